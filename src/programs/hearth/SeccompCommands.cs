using System.CommandLine;
using Hearth.Linux.Seccomp;

namespace Hearth.Programs.Hearth;

/// <summary><c>hearth seccomp build</c>.</summary>
internal static class SeccompCommands
{
    public static Command Create()
    {
        var policy = new Argument<string>("POLICY") { Description = "A policy in JSON; docs/seccomp.json is the built-in one" };
        var output = new Option<string>("--output", "-o") { Description = "Where the filters go", HelpName = "FILE", DefaultValueFactory = _ => "seccomp.bin" };
        var build = new Command("build", "Makes the filters that hearth-vmm --seccomp-filter takes of a policy") { policy, output };
        build.SetAction(result =>
        {
            var filters = new FilterSet(PolicyDocument.Parse(File.ReadAllBytes(result.GetRequiredValue(policy)))
                .ToDictionary(static pair => pair.Key, static pair => FilterSet.Compile(pair.Value)));
            File.WriteAllBytes(result.GetRequiredValue(output), filters.ToFile());
            foreach (string name in filters.Names)
            {
                Console.WriteLine($"{name}: {filters.For(name, 0).Length} instructions");
            }
        });
        return new Command("seccomp", "System calls that a monitor's threads may make") { build };
    }
}
