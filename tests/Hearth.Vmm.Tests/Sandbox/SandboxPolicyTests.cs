using System.Text;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Linux.Seccomp;
using Hearth.Vmm.Sandbox;

namespace Hearth.Vmm.Tests.Sandbox;

/// <summary>The built-in policy, and what is made of it.</summary>
public sealed class SandboxPolicyTests
{
    [Fact]
    public void No_thread_may_start_programs_or_threads_or_reach_other_processes_or_the_network()
    {
        string[] never =
        [
            "execve", "execveat", "clone", "clone3", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "kill", "tkill", "pidfd_send_signal",
            "mount", "umount2", "pivot_root", "chroot", "setns", "unshare", "bind", "listen", "arch_prctl", "setuid", "setresuid", "capset", "bpf",
            "perf_event_open", "io_uring_setup", "userfaultfd", "mremap", "memfd_create", "open_by_handle_at", "keyctl", "init_module", "kexec_load",
            "rename", "mkdir", "link", "symlink", "chmod", "chown", "truncate", "getdents64",
        ];
        Assert.All(SandboxPolicy.Kinds, kind => Assert.All(never, name => Assert.DoesNotContain(SandboxPolicy.RulesOf(kind), rule => rule.Name == name)));
        Assert.All(never, static name => Assert.True(SyscallTable.Numbers.ContainsKey(name), name));
    }

    [Fact]
    public void Only_the_process_filter_lets_a_further_one_be_installed() =>
        Assert.Equal([ThreadKind.Process], SandboxPolicy.Kinds.Where(static kind => SandboxPolicy.RulesOf(kind).Any(static rule => rule.Name == "seccomp")));

    [Fact]
    public void A_thread_that_runs_first_when_the_filter_is_on_can_take_its_first_steps_and_change_nothing_but_its_name()
    {
        const ulong setName = 15;
        Assert.Subset(SandboxPolicy.RulesOf(ThreadKind.Process).Select(static rule => rule.Name).ToHashSet(), new HashSet<string> { "prctl", "rseq", "set_robust_list", "sched_getaffinity" });
        SyscallRule named = Assert.Single(SandboxPolicy.Kinds.SelectMany(SandboxPolicy.RulesOf), static rule => rule.Name == "prctl");
        Assert.Equal((0u, ArgumentComparison.Equal, setName), ((uint)named.Checks.Single().Index, named.Checks.Single().Comparison, named.Checks.Single().Value));
    }

    [Theory]
    [InlineData("mmap", 2, 4)]
    [InlineData("mprotect", 2, 4)]
    public void No_memory_becomes_executable(string name, int argument, ulong bit) =>
        Assert.All(SandboxPolicy.Kinds, kind => Assert.All(
            SandboxPolicy.RulesOf(kind).Where(rule => rule.Name == name),
            rule => Assert.Contains(rule.Checks, check => check is { Comparison: ArgumentComparison.MaskedEqual, Value: 0 } && check.Index == argument && check.Mask == bit)));

    [Fact]
    public void Every_ioctl_socket_and_signal_is_one_of_a_few() =>
        Assert.All(SandboxPolicy.Kinds, static kind => Assert.All(
            SandboxPolicy.RulesOf(kind).Where(static rule => rule.Name is "ioctl" or "socket" or "tgkill" or "futex"),
            static rule => Assert.NotEmpty(rule.Checks)));

    [Fact]
    public void Sockets_are_of_this_host_and_signals_for_this_process()
    {
        SyscallRule[] rules = [.. SandboxPolicy.Kinds.SelectMany(SandboxPolicy.RulesOf)];
        Assert.Contains(rules, static rule => rule.Name == "socket");
        Assert.All(rules.Where(static rule => rule.Name == "socket"), static rule => Assert.Contains(SyscallRule.Is(0, SysSocket.AF_UNIX), rule.Checks));
        Assert.Contains(rules, static rule => rule.Name == "tgkill");
        Assert.All(rules.Where(static rule => rule.Name == "tgkill"), static rule => Assert.Contains(SyscallRule.Is(0, SyscallRule.OwnProcess), rule.Checks));
    }

    [Fact]
    public void Every_rule_has_a_reason_and_a_call_that_exists() =>
        Assert.All(SandboxPolicy.Kinds.SelectMany(SandboxPolicy.RulesOf), static rule =>
        {
            Assert.NotEmpty(rule.Reason);
            _ = SyscallTable.NumberOf(rule.Name);
        });

    [Fact]
    public void The_policy_as_JSON_makes_the_same_filters()
    {
        IReadOnlyDictionary<string, IReadOnlyList<SyscallRule>> parsed = PolicyDocument.Parse(SeccompDocuments.Json());
        FilterSet filters = SandboxPolicy.Compile();
        Assert.Equal(filters.Names.Order(), parsed.Keys.Order());
        FilterSet? stored = FilterSet.Parse(new FilterSet(parsed.ToDictionary(static pair => pair.Key, static pair => FilterSet.Compile(pair.Value))).ToFile());
        Assert.All(filters.Names, name => Assert.Equal(filters.For(name, 1), stored!.For(name, 1)));
    }

    [Fact]
    public void A_filter_is_bound_to_its_process_and_kind()
    {
        var filters = new FilterSet(new Dictionary<string, sock_filter[]> { ["a"] = FilterSet.Compile([new SyscallRule("tgkill", "x", SyscallRule.Is(0, SyscallRule.OwnProcess))]) });
        sock_filter[] bound = filters.For("a", 3);
        Assert.Contains(bound, static instruction => instruction.k == (uint)Environment.ProcessId);
        Assert.DoesNotContain(bound, static instruction => instruction.k is SyscallRule.OwnProcess or LinuxSeccomp.SECCOMP_RET_TRAP);
        Assert.Contains(bound, static instruction => instruction.k == (LinuxSeccomp.SECCOMP_RET_TRAP | 3));
        Assert.Contains("\"b\"", Assert.Throws<HearthException>(() => filters.For("b", 0)).Message);
        Assert.Contains("\"api\"", Assert.Throws<HearthException>(() => new ThreadSandbox(filters)).Message.Replace("process", "api"));
    }

    [Fact]
    public void Files_that_are_cut_or_lengthened_hold_no_filters()
    {
        byte[] file = SandboxPolicy.Compile().ToFile();
        Assert.NotNull(FilterSet.Parse(file));
        Assert.Null(FilterSet.Parse([.. file, 0]));
        for (int length = 0; length < file.Length; length++)
        {
            Assert.Null(FilterSet.Parse(file.AsSpan(0, length)));
        }
    }

    [Theory]
    [InlineData("""[]""", "not as it should be")]
    [InlineData("""{"api": {"filters": []}}""", "no \"filters\" here")]
    [InlineData("""{"api": {"filter": [{"syscall": "teapot"}]}}""", "\"teapot\"")]
    [InlineData("""{"api": {"filter": [{"syscall": "read", "arguments": []}]}}""", "no \"arguments\" here")]
    [InlineData("""{"api": {"filter": [{"syscall": "read", "args": [{"index": 6, "type": "dword", "op": "eq", "val": 1}]}]}}""", "index of 0 to 5")]
    [InlineData("""{"api": {"filter": [{"syscall": "read", "args": [{"index": 1, "type": "dword", "op": "like", "val": 1}]}]}}""", "no comparison")]
    [InlineData("""{"api": {"filter": [{"syscall": "read", "args": [{"index": 1, "type": "byte", "op": "eq", "val": 1}]}]}}""", "no type")]
    public void A_policy_that_is_none_is_refused_with_the_place(string json, string problem) =>
        Assert.Contains(problem, Assert.Throws<HearthException>(() => PolicyDocument.Parse(Encoding.UTF8.GetBytes(json))).Message);

    [Theory]
    [InlineData("docs/seccomp.md")]
    [InlineData("docs/seccomp.json")]
    public void The_documents_say_what_the_policy_says(string path)
    {
        byte[] wanted = path.EndsWith("json", StringComparison.Ordinal) ? SeccompDocuments.Json() : SeccompDocuments.Markdown();
        string file = Path.Combine(SeccompDocuments.Repository, path);
        if (Environment.GetEnvironmentVariable("HEARTH_UPDATE_DOCS") == "1")
        {
            File.WriteAllBytes(file, wanted);
        }

        Assert.True(File.ReadAllBytes(file).AsSpan().SequenceEqual(wanted), $"{path} is out of date: run this test with HEARTH_UPDATE_DOCS=1.");
    }
}
