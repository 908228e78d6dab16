using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using Hearth.Linux.Seccomp;
using Hearth.Testing;
using Hearth.Vmm.Sandbox;
using Hearth.Vmm.Tests.Sandbox;

namespace Hearth.Vmm.Tests.Vcpus;

/// <summary>The published monitor with a guest that only halts: are the filters in force, and what happens at a forbidden call.</summary>
public sealed class SeccompTests : IDisposable
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(120);

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-seccomp-").FullName;
    private readonly List<Process> _processes = [];

    // hlt; jmp -3
    private byte[] _code = [0xf4, 0xeb, 0xfd];

    private string Socket => Path.Combine(_folder, "api.sock");

    private string LogFile => Path.Combine(_folder, "log");

    public void Dispose()
    {
        foreach (Process process in _processes)
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Every_thread_is_under_two_filters_and_can_gain_no_privileges()
    {
        Process monitor = Start();
        string[][] threads;
        var waited = Stopwatch.StartNew();
        // The first filter is every thread's before the guest runs; the loop puts its own over it when it first runs.
        do
        {
            threads = ProcessThreads.StatusesOf(monitor.Id);
        }
        while (waited.Elapsed < s_deadline && !threads.All(static status => status.Contains("Seccomp_filters:\t2")));

        Assert.InRange(threads.Length, 4, 8);
        Assert.All(threads, static status =>
        {
            Assert.Contains("Seccomp:\t2", status);
            Assert.Contains("NoNewPrivs:\t1", status);
            Assert.Contains("Seccomp_filters:\t2", status);
        });
        string[] names = [.. threads.Select(static status => status[0]["Name:\t".Length..])];
        Assert.Contains("vcpu0", names);
        Assert.Contains("devices", names);
        Assert.Contains("200", Get("/"));
    }

    [Fact]
    public void A_guest_that_resets_ends_the_process_in_order()
    {
        // mov al, 0xfe; out 0x64, al
        _code = [0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd];
        Process monitor = Launch();
        Assert.True(monitor.WaitForExit(s_deadline), "the monitor goes on");
        Assert.Equal(0, monitor.ExitCode);
        Assert.DoesNotContain("forbids", monitor.StandardError.ReadToEnd());
        Assert.False(File.Exists(Socket));
    }

    [Fact]
    public void Without_seccomp_there_are_none()
    {
        Process monitor = Start("--no-seccomp");
        Assert.All(ProcessThreads.StatusesOf(monitor.Id), static status => Assert.Contains("Seccomp:\t0", status));
    }

    [Theory]
    [InlineData(ThreadKind.Api, "accept4")]
    [InlineData(ThreadKind.Api, "recvfrom")]
    public void A_forbidden_call_ends_the_process_and_is_named(ThreadKind kind, string call)
    {
        Process monitor = Start("--seccomp-filter", Without(kind, call), "--log-path", LogFile);
        _ = Get("/");
        AssertEnded(monitor, SandboxPolicy.NameOf(kind), call);
    }

    [Fact]
    public void A_vcpu_that_may_not_run_its_guest_ends_the_process()
    {
        Process monitor = Launch("--seccomp-filter", Without(ThreadKind.Vcpu, "ioctl"), "--log-path", LogFile);
        AssertEnded(monitor, "vcpu", "ioctl");
    }

    [Fact]
    public void A_call_that_the_built_in_filter_lacks_ends_the_process()
    {
        // ./test makes it: the lab, where this runs on a host without KVM, has no compiler.
        string injector = Path.Combine(SeccompDocuments.Repository, "out", "inject");
        if (!File.Exists(injector))
        {
            injector = Path.Combine(_folder, "inject");
            using Process compiler = Process.Start(new ProcessStartInfo("cc", ["-w", "-o", injector, Path.Combine(SeccompDocuments.Repository, "tests/Hearth.Vmm.Tests/Vcpus/inject.c")]))!;
            compiler.WaitForExit();
        }

        Process monitor = Start("--log-path", LogFile);
        // What the API thread calls next becomes another call, before seccomp looks at it.
        using Process tracer = Process.Start(new ProcessStartInfo(injector, [$"{monitor.Id}"]) { RedirectStandardOutput = true })!;
        Assert.Equal("ready", tracer.StandardOutput.ReadLine());
        _ = Get("/");
        tracer.WaitForExit();
        Assert.Equal(0, tracer.ExitCode);
        AssertEnded(monitor, "api", "getppid");
    }

    [Fact]
    public void Filters_that_are_none_are_refused_before_anything_starts()
    {
        string file = Path.Combine(_folder, "none");
        File.WriteAllText(file, "{}");
        Process monitor = Launch("--seccomp-filter", file);
        Assert.True(monitor.WaitForExit(s_deadline));
        Assert.Equal(1, monitor.ExitCode);
        Assert.Contains("hearth seccomp build", monitor.StandardError.ReadToEnd());
    }

    private void AssertEnded(Process monitor, string kind, string call)
    {
        Assert.True(monitor.WaitForExit(s_deadline), "the monitor goes on");
        string line = $"Error: a thread of kind \"{kind}\" called {call}, which its seccomp filter forbids. Exit code 148.\n";
        Assert.Equal(148, monitor.ExitCode);
        Assert.Contains(line, monitor.StandardError.ReadToEnd());
        Assert.EndsWith(line, File.ReadAllText(LogFile));
    }

    private string Without(ThreadKind without, string call)
    {
        var filters = new FilterSet(SandboxPolicy.Kinds.ToDictionary(
            SandboxPolicy.NameOf,
            kind => FilterSet.Compile(SandboxPolicy.RulesOf(kind).Where(rule => kind != without || rule.Name != call))));
        string file = Path.Combine(_folder, "filters");
        File.WriteAllBytes(file, filters.ToFile());
        return file;
    }

    // Until the guest runs.
    private Process Start(params string[] options)
    {
        Process monitor = Launch(options);
        Assert.True(SpinWait.SpinUntil(() => monitor.HasExited || (File.Exists(Socket) && HasStarted(monitor.Id, options.Contains("--no-seccomp"))), s_deadline), "the guest did not start");
        Assert.False(monitor.HasExited, monitor.HasExited ? monitor.StandardError.ReadToEnd() : "");
        return monitor;
    }

    private static bool HasStarted(int pid, bool withoutFilters)
    {
        try
        {
            return ProcessThreads.StatusesOf(pid).Any(status => status[0] == "Name:\tvcpu0" && (withoutFilters || status.Contains("Seccomp_filters:\t2")));
        }
        catch (IOException)
        {
            // It ended meanwhile.
            return false;
        }
    }

    private Process Launch(params string[] options)
    {
        Assert.SkipUnless(File.Exists("/dev/kvm"), "no /dev/kvm on this machine");
        string program = Path.Combine(SeccompDocuments.Repository, "out/bin/hearth-vmm");
        Assert.True(File.Exists(program), "out/bin/hearth-vmm is missing: run ./build hearth-vmm");
        string kernel = Path.Combine(_folder, "kernel");
        File.WriteAllBytes(kernel, Kernel(_code));
        string config = Path.Combine(_folder, "config.json");
        File.WriteAllText(config, $$"""{"boot-source": {"kernel_image_path": "{{kernel}}"}, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 16} }""");
        Process monitor = Process.Start(new ProcessStartInfo(program, ["--api-sock", Path.GetFileName(Socket), "--config-file", config, .. options])
        {
            WorkingDirectory = _folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _processes.Add(monitor);
        return monitor;
    }

    private string Get(string path)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(Socket));
            socket.Send(System.Text.Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\n\r\n"));
            byte[] answer = new byte[4096];
            return System.Text.Encoding.ASCII.GetString(answer, 0, socket.Receive(answer));
        }
        catch (SocketException)
        {
            return "";
        }
    }

    // ELF of 64 bits with one segment at 1 MiB.
    private static byte[] Kernel(byte[] code)
    {
        const int headers = 64 + 56;
        byte[] file = new byte[headers + code.Length];
        ((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1]).CopyTo(file);
        Span<byte> header = file;
        BinaryPrimitives.WriteUInt16LittleEndian(header[16..], 2);
        BinaryPrimitives.WriteUInt16LittleEndian(header[18..], 62);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], 0x100000);
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], 64);
        BinaryPrimitives.WriteUInt16LittleEndian(header[52..], 64);
        BinaryPrimitives.WriteUInt16LittleEndian(header[54..], 56);
        BinaryPrimitives.WriteUInt16LittleEndian(header[56..], 1);
        Span<byte> segment = header[64..];
        BinaryPrimitives.WriteUInt32LittleEndian(segment, 1);
        BinaryPrimitives.WriteUInt32LittleEndian(segment[4..], 5);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[8..], headers);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[16..], 0x100000);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[24..], 0x100000);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[32..], (ulong)code.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[40..], (ulong)code.Length);
        code.CopyTo(file, headers);
        return file;
    }
}
