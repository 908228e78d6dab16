using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Vmm.Mmds;

namespace Hearth.Vmm.Tests.Mmds;

/// <summary>
/// The service behind a TAP device of a network namespace of its own, asked by the kernel's TCP and curl: clients that
/// nobody here wrote.
/// </summary>
public sealed partial class MmdsCurlTests
{
    private const string Base = "http://169.254.169.254";

    [Fact]
    public void Version_1_and_its_errors_by_curl() => InNamespace((service, _) =>
    {
        service.Store.Put("""{"latest":{"meta-data":{"ami-id":"ami-1","n":5}}}"""u8);
        Assert.Equal("meta-data/", Curl($"{Base}/latest"));
        Assert.Equal("ami-id\nn", Curl($"{Base}/latest/meta-data/"));
        Assert.Equal("ami-1", Curl($"{Base}/latest/meta-data/ami-id"));
        Assert.Equal("""{"ami-id":"ami-1","n":5}""", Curl("-H", "Accept: application/json", $"{Base}/latest/meta-data"));
        Assert.Equal("Resource not found: /none. 404", Curl("-w", " %{http_code}", $"{Base}/none"));
        Assert.Equal("Cannot retrieve value. The value has an unsupported type. 501", Curl("-w", " %{http_code}", $"{Base}/latest/meta-data/n"));
        Assert.Contains("Allow: GET, PUT\r\n", Curl("-i", "-X", "PATCH", $"{Base}/"), StringComparison.Ordinal);
        Assert.Equal("Unsupported HTTP method. 501", Curl("-w", " %{http_code}", "-d", "some=body", $"{Base}/"));
        Assert.Equal("Invalid request. 400", Curl("-w", " %{http_code}", "-X", "GET", "-H", "Content-Length: 100", "-d", "some body", $"{Base}/"));
        Assert.StartsWith("HTTP/1.1 501 ", Curl("-I", $"{Base}/"), StringComparison.Ordinal);
        Assert.Equal("ami-1", Curl("-0", $"{Base}/latest/meta-data/ami-id"));
        service.Store.Patch("""{"latest":{"meta-data":{"ami-id":"ami-2"}}}"""u8);
        Assert.Equal("ami-2", Curl($"{Base}/latest/meta-data/ami-id"));
    });

    [Fact]
    public void Version_2_and_its_tokens_by_curl() => InNamespace((service, _) =>
    {
        service.Configure(new MmdsConfig { NetworkInterfaces = ["eth0"], Version = MmdsVersion.V2 });
        service.Store.Put("""{"a":"value"}"""u8);
        Assert.EndsWith(" 401", Curl("-w", " %{http_code}", $"{Base}/a"), StringComparison.Ordinal);
        string token = Curl("-X", "PUT", "-H", "X-metadata-token-ttl-seconds: 60", $"{Base}/latest/api/token");
        Assert.Equal(MmdsTokens.EncodedLength, token.Length);
        Assert.Equal("value", Curl("-H", $"X-metadata-token: {token}", $"{Base}/a"));
        Assert.Equal("value", Curl("-H", $"X-aws-ec2-metadata-token: {token}", $"{Base}/a"));
        Assert.Equal("MMDS token not valid. 401", Curl("-w", " %{http_code}", "-H", "X-metadata-token: foo", $"{Base}/a"));
        Assert.EndsWith(" 400", Curl("-w", " %{http_code}", "-X", "PUT", "-H", "X-Forwarded-For: foo", $"{Base}/latest/api/token"), StringComparison.Ordinal);
    });

    [Fact]
    public void Large_documents_and_kept_connections_by_curl() => InNamespace((service, _) =>
    {
        string large = string.Concat(Enumerable.Range(0, 150_000).Select(i => (char)('a' + (i % 26))));
        service.Store.Put(Encoding.ASCII.GetBytes($$"""{"large":"{{large}}","small":"s"}"""));

        // One connection carries all of it, and curl says how many it opened.
        string[] urls = [.. Enumerable.Range(0, 50).Select(i => i % 10 == 0 ? $"{Base}/large" : $"{Base}/small")];
        string output = Curl(["-w", "[%{num_connects}]", .. urls]);
        string expected = string.Concat(urls.Select((url, i) => (url.EndsWith("large", StringComparison.Ordinal) ? large : "s") + (i == 0 ? "[1]" : "[0]")));
        Assert.True(expected == output, $"{output.Length} characters instead of {expected.Length}");

        // And many at once.
        output = Curl(["-Z", "--parallel-max", "25", .. urls]);
        Assert.Equal((5 * large.Length) + 45, output.Length);
    });

    [Fact]
    public void Over_a_small_mtu_and_a_lossy_link_by_curl() => InNamespace((service, pump) =>
    {
        service.Store.Put(Encoding.ASCII.GetBytes($$"""{"large":"{{new string('x', 100_000)}}"}"""));
        Shell("ip link set tap0 mtu 576");
        Assert.Equal(100_000, Curl($"{Base}/large").Length);
        pump.LoseEvery = 11;
        Assert.Equal(100_000, Curl($"{Base}/large").Length);
    });

    // Runs on a thread that has left the others' network; the namespace goes with it.
    private static void InNamespace(Action<MmdsService, Pump> test)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, for a network namespace and a TAP device");
        Assert.SkipUnless(File.Exists("/dev/net/tun"), "no /dev/net/tun on this machine");
        Assert.SkipUnless(File.Exists("/usr/bin/curl"), "no curl on this machine");
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                FileDescriptor.Check(unshare(CloneNewNet), "unshare(CLONE_NEWNET)");
                var service = new MmdsService(1 << 20);
                using var pump = new Pump(service);
                Shell("ip addr add 169.254.1.2/16 dev tap0 && ip link set tap0 up");
                test(service, pump);
                pump.Dispose();
                Assert.Equal(0, service.Metrics.RxAcceptedErr.Value);
            }
            catch (Exception e)
            {
                failure = e;
            }
        });
        thread.Start();
        thread.Join();
        if (failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }
    }

    private static string Curl(params string[] arguments) => Run("/usr/bin/curl", ["-s", "-S", "-m", "60", .. arguments]);

    private static void Shell(string script) => Run("/bin/sh", ["-c", script]);

    private static string Run(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment.Remove("http_proxy");
        start.Environment.Remove("HTTP_PROXY");
        start.Environment.Remove("all_proxy");
        start.Environment.Remove("ALL_PROXY");
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} ended with {process.ExitCode}: {errors.Result}");
        return output;
    }

    private const int CloneNewNet = 0x40000000;

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unshare(int flags);

    /// <summary>Carries frames between a TAP device and the service, on a thread of its own.</summary>
    private sealed unsafe class Pump : IDisposable
    {
        private const nuint TunSetIff = 0x400454ca;
        private const short IffTap = 2;
        private const short IffNoPi = 0x1000;

        private readonly FileDescriptor _tap;
        private readonly MmdsNetworkStack _stack;
        private readonly Thread _thread;
        private volatile bool _stopped;
        private int _frames;

        public Pump(MmdsService service)
        {
            _stack = new MmdsNetworkStack(service, IPAddress.Parse("169.254.169.254"));
            _tap = FileDescriptor.Open("/dev/net/tun", Fcntl.O_RDWR | Fcntl.O_NONBLOCK);
            byte* request = stackalloc byte[40];
            new Span<byte>(request, 40).Clear();
            "tap0"u8.CopyTo(new Span<byte>(request, 16));
            *(short*)(request + 16) = IffTap | IffNoPi;
            // SAFETY: struct ifreq has 40 bytes on this architecture, and these are as many.
            FileDescriptor.Check(Fcntl.ioctl(_tap.Number, TunSetIff, (nint)request), "ioctl(TUNSETIFF)");
            _thread = new Thread(Carry);
            _thread.Start();
        }

        /// <summary>Loses each n-th frame in either direction; 0 for none.</summary>
        public volatile int LoseEvery;

        public void Dispose()
        {
            _stopped = true;
            _thread.Join();
            _tap.Dispose();
        }

        private void Carry()
        {
            var buffer = new byte[65536];
            while (!_stopped)
            {
                long now = Environment.TickCount64;
                var poll = new pollfd { fd = _tap.Number, events = Poll.POLLIN };
                // SAFETY: one pollfd on this stack, count 1.
                _ = Poll.poll(&poll, 1, (int)Math.Clamp(_stack.NextDeadlineMs - now, 0, 20));
                now = Environment.TickCount64;
                int length;
                while ((length = Polling.Read(_tap, buffer)) > 0)
                {
                    if (!IsLost())
                    {
                        _stack.TryConsumeFrame(buffer.AsSpan(0, length), now);
                    }
                }

                while ((length = _stack.TryProduceFrame(buffer.AsSpan(0, MmdsNetworkStack.MaxFrameBytes), now)) > 0)
                {
                    if (!IsLost())
                    {
                        fixed (byte* p = buffer)
                        {
                            // SAFETY: the buffer is pinned and longer than the frame.
                            _ = Unistd.write(_tap.Number, p, (nuint)length);
                        }
                    }
                }
            }
        }

        private bool IsLost() => LoseEvery > 0 && ++_frames % LoseEvery == 0;
    }
}
