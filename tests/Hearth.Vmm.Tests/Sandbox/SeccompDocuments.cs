using System.Globalization;
using System.Text;
using Hearth.Linux;
using Hearth.Linux.Seccomp;
using Hearth.Vmm.Sandbox;

namespace Hearth.Vmm.Tests.Sandbox;

/// <summary>docs/seccomp.md and docs/seccomp.json, as the policy makes them.</summary>
internal static class SeccompDocuments
{
    // Calls a filter of Firecracker 1.17 allows: resources/seccomp/x86_64-unknown-linux-musl.json.
    private static readonly Dictionary<ThreadKind, int> s_firecracker = new() { [ThreadKind.Api] = 31, [ThreadKind.Devices] = 50, [ThreadKind.Vcpu] = 27 };

    public static string Repository
    {
        get
        {
            string folder = AppContext.BaseDirectory;
            while (!File.Exists(Path.Combine(folder, "Hearth.slnx")))
            {
                folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("These tests run from the checkout they were built in.");
            }

            return folder;
        }
    }

    public static byte[] Json() => PolicyDocument.Write(SandboxPolicy.Kinds.Select(static kind => (SandboxPolicy.NameOf(kind), SandboxPolicy.RulesOf(kind))));

    public static byte[] Markdown()
    {
        var text = new StringBuilder(
            """
            # What hearth-vmm asks of the kernel

            Made of `SandboxPolicy` and the devices' rooms by `Hearth.Vmm.Tests`, which checks that it is current. The filters are on
            before the guest's first instruction, for every thread of the process; what they do not allow ends the process with exit
            code 148 and a line that names the call and the kind of thread. `--no-seccomp` runs without.

            Filters of one's own: copy [seccomp.json](seccomp.json), change it, `hearth seccomp build seccomp.json -o seccomp.bin`,
            and start with `--seccomp-filter seccomp.bin`. A thread's call must pass the `process` filter and its own.

            ## How many

            | threads | calls | rules | instructions | calls in Firecracker's filter |
            | --- | --- | --- | --- | --- |

            """);
        FilterSet filters = SandboxPolicy.Compile();
        foreach (ThreadKind kind in SandboxPolicy.Kinds)
        {
            IReadOnlyList<SyscallRule> rules = SandboxPolicy.RulesOf(kind);
            text.Append(CultureInfo.InvariantCulture, $"| {SandboxPolicy.NameOf(kind)} | {Allowed(rules).Select(static rule => rule.Name).Distinct().Count()} | {rules.Distinct().Count()} ");
            text.Append(CultureInfo.InvariantCulture, $"| {filters.For(SandboxPolicy.NameOf(kind), 0).Length} | {(s_firecracker.TryGetValue(kind, out int calls) ? calls.ToString(CultureInfo.InvariantCulture) : "none of its kind")} |\n");
        }

        text.Append(
            """

            `process` is what no thread goes beyond, whoever started it. `api` is the first thread, `devices` the device loop (Firecracker's
            is its VMM thread), `vcpu` each vCPU, `runtime` the .NET finalizer thread. No thread may start another.

            """);
        foreach (ThreadKind kind in SandboxPolicy.Kinds)
        {
            string title = kind == ThreadKind.Process ? "process, besides what the others have" : SandboxPolicy.NameOf(kind);
            text.Append(CultureInfo.InvariantCulture, $"\n## {title}\n\n| call | if | for |\n| --- | --- | --- |\n");
            foreach (IGrouping<string, SyscallRule> call in Told(kind).GroupBy(static rule => rule.Name).OrderBy(static call => call.Key, StringComparer.Ordinal))
            {
                foreach (SyscallRule rule in Reached(call))
                {
                    string name = rule.Refusal == Errno.None ? $"`{rule.Name}`" : $"`{rule.Name}`: refused, {rule.Refusal}";
                    text.Append(CultureInfo.InvariantCulture, $"| {name} | {string.Join(", ", rule.Checks.Select(Text))} | {rule.Reason} |\n");
                }
            }
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static IEnumerable<SyscallRule> Told(ThreadKind kind) => kind == ThreadKind.Process
        ? SandboxPolicy.RulesOf(kind).Except(SandboxPolicy.Kinds.Where(static other => other != ThreadKind.Process).SelectMany(SandboxPolicy.RulesOf))
        : SandboxPolicy.RulesOf(kind);

    private static IEnumerable<SyscallRule> Allowed(IEnumerable<SyscallRule> rules) => rules.Where(static rule => rule.Refusal == Errno.None);

    // A refusal is for what no other rule allows.
    private static IEnumerable<SyscallRule> Reached(IEnumerable<SyscallRule> call)
    {
        bool always = Allowed(call).Any(static rule => rule.Checks.Count == 0);
        return call.Where(rule => rule.Refusal == Errno.None || !always).DistinctBy(static rule => (string.Join(',', rule.Checks), rule.Reason));
    }

    private static string Text(ArgumentCheck check)
    {
        string value = check.Value == SyscallRule.OwnProcess ? "this process" : check.Value > 999 ? $"0x{check.Value:x}" : $"{check.Value}";
        return check.Comparison == ArgumentComparison.MaskedEqual
            ? $"argument {check.Index} & 0x{(check.Is32Bit ? (uint)check.Mask : check.Mask):x} is {value}"
            : $"argument {check.Index} is {value}";
    }
}
