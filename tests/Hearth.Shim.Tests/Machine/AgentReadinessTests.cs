using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Hearth.Agent.Protocol;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests.Machine;

/// <summary>Against a vsock device's Unix socket that refuses whoever comes before the guest's agent listens.</summary>
public sealed class AgentReadinessTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-ready-").FullName;
    private readonly Socket _device = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private volatile bool _listens;
    private int _refused;

    private string UdsPath => Path.Combine(_folder, "v.sock");

    private static CancellationToken Limit => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    public AgentReadinessTests()
    {
        _device.Bind(new UnixDomainSocketEndPoint(UdsPath));
        _device.Listen();
        _ = Task.Run(ServeAsync);
    }

    public void Dispose()
    {
        _device.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Nothing_is_asked_before_the_agent_has_said_that_it_listens()
    {
        using (var readiness = AgentReadiness.Listen(UdsPath, TimeSpan.FromDays(1)))
        {
            Task<Stream> dialing = readiness.DialAsync(AgentPorts.Ttrpc, Limit);
            Assert.False(dialing.IsCompleted);
            _listens = true;
            Announce();
            await using Stream stream = await dialing;
            Assert.Equal(0, _refused);
        }

        Assert.False(File.Exists($"{UdsPath}_{AgentPorts.Ready}"));
    }

    [Fact]
    public async Task An_agent_that_says_nothing_is_found_all_the_same()
    {
        using var readiness = AgentReadiness.Listen(UdsPath, TimeSpan.FromMilliseconds(1));
        Task<Stream> dialing = readiness.DialAsync(AgentPorts.Ttrpc, Limit);
        SpinWait.SpinUntil(() => Volatile.Read(ref _refused) > 2);
        _listens = true;
        await using Stream stream = await dialing;
    }

    [Fact]
    public async Task A_guest_that_lies_is_asked_at_the_usual_pace()
    {
        const int paceMs = 200;
        var clock = Stopwatch.StartNew();
        using var readiness = AgentReadiness.Listen(UdsPath, TimeSpan.FromMilliseconds(paceMs));
        Task<Stream> dialing = readiness.DialAsync(AgentPorts.Ttrpc, Limit);
        for (int i = 0; i < 50; i++)
        {
            Announce();
        }

        SpinWait.SpinUntil(() => Volatile.Read(ref _refused) > 1);
        int refused = Volatile.Read(ref _refused);
        Assert.InRange(refused, 2, Math.Max(5, 2 + (int)(clock.ElapsedMilliseconds / paceMs)));
        _listens = true;
        await using Stream stream = await dialing;
    }

    [Fact]
    public async Task Who_has_waited_long_enough_gives_up()
    {
        using var readiness = AgentReadiness.Listen(UdsPath);
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(20));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => readiness.DialAsync(AgentPorts.Ttrpc, limit.Token));
    }

    // As a monitor passes on a guest's connection to the host.
    private void Announce()
    {
        using var guest = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        guest.Connect(new UnixDomainSocketEndPoint($"{UdsPath}_{AgentPorts.Ready}"));
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                Socket connection = await _device.AcceptAsync();
                byte[] line = new byte[32];
                int length = await connection.ReceiveAsync(line);
                Assert.Equal($"CONNECT {AgentPorts.Ttrpc}\n", Encoding.ASCII.GetString(line, 0, length));
                if (_listens)
                {
                    await connection.SendAsync("OK 1073741824\n"u8.ToArray());
                    continue;
                }

                Interlocked.Increment(ref _refused);
                connection.Dispose();
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }
}
