using System.CommandLine;
using Hearth.Images;
using Hearth.Images.Initrds;

namespace Hearth.Programs.Hearth.Images;

/// <summary><c>hearth initrd build</c>.</summary>
internal static class InitrdCommands
{
    public static Command Create()
    {
        var init = new Option<string>("--init") { Description = "The program or script that the kernel starts", HelpName = "FILE", Required = true };
        var files = new Option<string[]>("--file") { Description = "A further file, and where it goes (repeatable)", HelpName = "SRC:DST" };
        var busybox = new Option<bool>("--busybox") { Description = "Adds a static busybox, and /bin/sh, which is it" };
        var uncompressed = new Option<bool>("--uncompressed") { Description = "Leaves it uncompressed: larger, and faster to boot" };
        var output = new Option<string>("--output", "-o") { Description = "Where the initrd goes", HelpName = "FILE", Required = true };
        var build = new Command("build", "Builds a small initrd: an init, files, and busybox where it is wanted") { init, files, busybox, uncompressed, output };
        build.SetAction(async (result, cancellation) =>
        {
            using var progress = new ConsoleProgress();
            var options = new InitrdOptions
            {
                Init = result.GetRequiredValue(init),
                Files = [.. (result.GetValue(files) ?? []).Select(Parse)],
                Busybox = result.GetValue(busybox),
                Compressed = !result.GetValue(uncompressed),
            };
            await new InitrdBuilder(ImageCache.Default(), progress).BuildAsync(options, result.GetRequiredValue(output), cancellation);
            Console.WriteLine(result.GetRequiredValue(output));
        });
        var initrd = new Command("initrd", "Makes guest initrds");
        initrd.Subcommands.Add(build);
        return initrd;
    }

    private static InitrdFile Parse(string argument)
    {
        int colon = argument.LastIndexOf(':');
        return colon > 0 && colon < argument.Length - 1
            ? new InitrdFile(argument[..colon], argument[(colon + 1)..])
            : throw new ImageException($"\"{argument}\" does not say where the file goes. Write --file SOURCE:DESTINATION.");
    }
}
