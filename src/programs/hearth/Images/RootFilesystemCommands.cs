using System.CommandLine;
using Hearth.Images;
using Hearth.Images.RootFilesystems;

namespace Hearth.Programs.Hearth.Images;

/// <summary><c>hearth rootfs build</c>.</summary>
internal static class RootFilesystemCommands
{
    public static Command Create()
    {
        var suite = new Option<string>("--suite") { Description = "The Debian suite", DefaultValueFactory = _ => "bookworm" };
        var include = new Option<string[]>("--include") { Description = "Further packages, separated by commas (repeatable); with systemd-sysv among them, systemd is the init", HelpName = "PKG,..." };
        var size = new Option<int?>("--size") { Description = "The image's size; by default what is in it and half as much again", HelpName = "MIB" };
        var output = new Option<string>("--output", "-o") { Description = "Where the image goes", HelpName = "FILE.ext4", Required = true };
        var build = new Command("build", "Builds a Debian root file system with a console login: root, without a password") { suite, include, size, output };
        build.SetAction(async (result, cancellation) =>
        {
            using var progress = new ConsoleProgress();
            var options = new RootFilesystemOptions
            {
                Suite = result.GetRequiredValue(suite),
                Include = [.. (result.GetValue(include) ?? []).SelectMany(i => i.Split(',', StringSplitOptions.RemoveEmptyEntries))],
                SizeMib = result.GetValue(size),
            };
            string cached = await new RootFilesystemBuilder(ImageCache.Default(), progress).BuildAsync(options, cancellation);
            await ImageCache.PublishAsync(cached, result.GetRequiredValue(output), cancellation);
            Console.WriteLine(result.GetRequiredValue(output));
        });
        var rootfs = new Command("rootfs", "Makes guest root file systems");
        rootfs.Subcommands.Add(build);
        return rootfs;
    }
}
