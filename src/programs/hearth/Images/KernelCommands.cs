using System.CommandLine;
using Hearth.Images;
using Hearth.Images.Kernels;

namespace Hearth.Programs.Hearth.Images;

/// <summary><c>hearth kernel build|import|check</c>.</summary>
internal static class KernelCommands
{
    public static Command Create()
    {
        var kernel = new Command("kernel", "Makes guest kernels");
        kernel.Subcommands.Add(Build());
        kernel.Subcommands.Add(Import());
        kernel.Subcommands.Add(Check());
        return kernel;
    }

    private static Command Build()
    {
        var fragments = new Option<string[]>("--config") { Description = "A configuration fragment laid over Hearth's own (repeatable)", HelpName = "FRAGMENT" };
        var smp = new Option<bool>("--smp") { Description = "For guests of more than one vCPU" };
        var output = new Option<string>("--output", "-o") { Description = "Where the kernel goes", HelpName = "FILE", DefaultValueFactory = _ => "vmlinux" };
        var command = new Command("build", "Builds an uncompressed kernel from Debian's linux-source package; cached by its configuration") { fragments, smp, output };
        command.SetAction(async (result, cancellation) =>
        {
            using var progress = new ConsoleProgress();
            var options = new KernelBuildOptions { Fragments = result.GetValue(fragments) ?? [], Smp = result.GetValue(smp) };
            string cached = await new KernelBuilder(ImageCache.Default(), progress).BuildAsync(options, cancellation);
            await ImageCache.PublishAsync(cached, result.GetRequiredValue(output), cancellation);
            Console.WriteLine(result.GetRequiredValue(output));
        });
        return command;
    }

    private static Command Import()
    {
        var source = new Argument<string>("FILE") { Description = "A Debian kernel package (.deb), the name of one (linux-image-cloud-amd64), or a vmlinuz with --modules" };
        var modules = new Option<string?>("--modules") { Description = "A vmlinuz's modules", HelpName = "FOLDER" };
        var output = new Option<string>("--output", "-o") { Description = "The folder for vmlinuz and initrd", HelpName = "FOLDER", DefaultValueFactory = _ => "." };
        var command = new Command("import", "Makes a stock Debian kernel bootable: the kernel, and an initrd with its virtio modules") { source, modules, output };
        command.SetAction(async (result, cancellation) =>
        {
            using var progress = new ConsoleProgress();
            BootablePair pair = await new KernelImporter(ImageCache.Default(), progress).ImportAsync(
                result.GetRequiredValue(source), result.GetValue(modules), result.GetRequiredValue(output), cancellation);
            Console.WriteLine(pair.Kernel);
            Console.WriteLine(pair.Initrd);
        });
        return command;
    }

    private static Command Check()
    {
        var config = new Argument<string>("CONFIG") { Description = "A kernel's .config (for an installed kernel: /boot/config-VERSION)" };
        var command = new Command("check", "Says what a kernel configuration lacks for a Hearth guest, and why") { config };
        command.SetAction(result =>
        {
            string path = result.GetRequiredValue(config);
            KernelConfig parsed = KernelConfig.Load(path);
            bool bootable = true;
            foreach (KernelRequirement unmet in KernelRequirements.Unmet(parsed))
            {
                bool module = parsed[unmet.Option] == "m";
                bootable &= !unmet.Required || module;
                string how = module ? "is a module, and needs an initrd (hearth kernel import)" : unmet.Required ? "is needed" : "is recommended";
                Console.WriteLine($"{unmet.Option} {how}. Without it: no {unmet.Reason}");
            }

            Console.WriteLine(bootable ? $"{path}: boots under Hearth" : $"{path}: does not boot under Hearth");
            return bootable ? 0 : 1;
        });
        return command;
    }
}
