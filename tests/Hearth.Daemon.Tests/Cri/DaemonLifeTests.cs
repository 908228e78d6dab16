using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Testing;

namespace Hearth.Daemon.Tests.Cri;

/// <summary>Starting and stopping hearthd, and what it refuses to start with.</summary>
public class DaemonLifeTests
{
    [Fact]
    public async Task SIGTERM_ends_held_calls_and_removes_the_socket()
    {
        await using var daemon = new DaemonUnderTest();
        await daemon.StartAsync();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite, File.GetUnixFileMode(daemon.Socket));
        using AsyncServerStreamingCall<ContainerEventResponse> events = daemon.Runtime.GetContainerEvents(new GetEventsRequest());
        Task<bool> first = events.ResponseStream.MoveNext(default);
        await daemon.Runtime.VersionAsync(new VersionRequest());

        Assert.Equal(0, await daemon.StopAsync());

        await Assert.ThrowsAsync<RpcException>(() => first);
        Assert.False(File.Exists(daemon.Socket));
        Assert.Contains("pods run on", daemon.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Root_and_its_group_are_let_in_and_nobody_else()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "becomes other users");
        await using var daemon = new DaemonUnderTest();
        await daemon.StartAsync();
        // What refuses must be the socket's own mode, not the test's folder.
        File.SetUnixFileMode(daemon.Folder, (UnixFileMode)0x1ed);
        const int couldNotConnect = 7;

        Assert.Equal(couldNotConnect, Knock("--reuid=65534", "--regid=65534", "--clear-groups"));
        Assert.NotEqual(couldNotConnect, Knock("--reuid=65534", "--regid=0", "--clear-groups"));
        Assert.NotEqual(couldNotConnect, Knock());

        int Knock(params string[] asWhom)
        {
            using Process curl = Process.Start(new ProcessStartInfo("setpriv", [.. asWhom, "curl", "--silent", "--max-time", "30", "--http2-prior-knowledge", "--unix-socket", daemon.Socket, "http://cri/"])
            {
                RedirectStandardOutput = true,
            })!;
            _ = curl.StandardOutput.ReadToEnd();
            curl.WaitForExit();
            return curl.ExitCode;
        }
    }

    [Fact]
    public async Task No_thread_of_it_can_look_into_processes_or_load_modules_and_what_it_starts_can_be_given_it_all()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "gives up what only root has");
        await using var daemon = new DaemonUnderTest();
        await daemon.StartAsync();
        await daemon.Runtime.VersionAsync(new VersionRequest());
        // Bits 0-5, 9, 10, 12, 18, 21, 23, 24, 27, 31: not SYS_PTRACE, SYS_MODULE, SYS_RAWIO, SYS_BOOT, SETUID, NET_RAW and the like.
        const ulong kept = 0x89A4163F;
        string[] own = File.ReadAllLines("/proc/self/status");
        string[][] threads = ProcessThreads.StatusesOf(daemon.Id);
        Assert.True(threads.Length > 3, $"{threads.Length} threads");
        Assert.All(threads, status =>
        {
            Assert.Equal((Of("CapPrm", own) & kept, 0ul), (Of("CapPrm", status), Of("CapInh", status)));
            Assert.Equal(Of("CapPrm", status), Of("CapEff", status));
            // For the shims, plugins and containers of the host that it starts.
            Assert.Equal((Of("CapBnd", own), 0ul), (Of("CapBnd", status), Of("NoNewPrivs", status)));
        });

        static ulong Of(string set, string[] status) =>
            ulong.Parse(status.Single(line => line.StartsWith(set + ":", StringComparison.Ordinal))[(set.Length + 1)..], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task A_dead_daemons_socket_is_replaced_and_a_living_ones_is_not()
    {
        await using var daemon = new DaemonUnderTest();
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(daemon.Socket + ".bound"));
            // As after kill -9: the file stays.
            File.Move(daemon.Socket + ".bound", daemon.Socket);
        }

        await daemon.StartAsync();
        var (code, _, errors) = DaemonUnderTest.Run("--config", Path.Combine(daemon.Folder, "hearth.toml"));

        Assert.Equal(1, code);
        Assert.Contains("Another daemon answers", errors, StringComparison.Ordinal);
        Assert.Equal("hearth", (await daemon.Runtime.VersionAsync(new VersionRequest())).RuntimeName);
    }

    [Fact]
    public async Task A_file_in_the_sockets_place_is_left_alone()
    {
        await using var daemon = new DaemonUnderTest();
        File.WriteAllText(daemon.Socket, "precious");

        var (code, _, errors) = DaemonUnderTest.Run("--config", daemon.WriteConfig(""));

        Assert.Equal(1, code);
        Assert.Contains("is no socket", errors, StringComparison.Ordinal);
        Assert.Equal("precious", File.ReadAllText(daemon.Socket));
    }

    [Theory]
    [InlineData("no_such_key = 1", "no_such_key")]
    [InlineData("log_level = \"loud\"", "loud")]
    [InlineData("stream_address = \"0.0.0.0\"", "0.0.0.0")]
    [InlineData("metrics_address = \"here\"", "here")]
    public async Task Mistakes_in_the_configuration_are_named(string line, string named)
    {
        await using var daemon = new DaemonUnderTest();

        var (code, _, errors) = DaemonUnderTest.Run("--config", daemon.WriteConfig(line));

        Assert.Equal(1, code);
        Assert.Contains(named, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_explain_themselves()
    {
        Assert.StartsWith("hearthd ", DaemonUnderTest.Run("--version").Output, StringComparison.Ordinal);
        Assert.Contains("--socket PATH", DaemonUnderTest.Run("--help").Output, StringComparison.Ordinal);
        Assert.Equal(1, DaemonUnderTest.Run("--frobnicate").ExitCode);
        Assert.Equal(1, DaemonUnderTest.Run("--config").ExitCode);
        Assert.Contains("/no/such.toml", DaemonUnderTest.Run("--config", "/no/such.toml").Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_count_calls_and_are_nobody_elses_business()
    {
        await using var daemon = new DaemonUnderTest();
        await daemon.StartAsync();
        await daemon.Runtime.VersionAsync(new VersionRequest());
        await DaemonUnderTest.FailureAsync(daemon.Runtime.ContainerStatusAsync(new ContainerStatusRequest { ContainerId = "nope" }));
        using var client = new HttpClient();

        string text = await client.GetStringAsync($"http://{daemon.MetricsAddress}/metrics");

        Assert.Contains("hearthd_cri_calls_total{method=\"Version\",code=\"OK\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("hearthd_cri_calls_total{method=\"ContainerStatus\",code=\"NotFound\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("# TYPE process_resident_memory_bytes gauge\n", text, StringComparison.Ordinal);
        Assert.Equal(System.Net.HttpStatusCode.NotFound, (await client.GetAsync($"http://{daemon.MetricsAddress}/")).StatusCode);
    }
}
