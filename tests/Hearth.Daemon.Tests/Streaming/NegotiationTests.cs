using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Programs.Daemon.Streaming;

namespace Hearth.Daemon.Tests.Streaming;

/// <summary>Who is let in to the streaming server, and where it listens.</summary>
public class NegotiationTests
{
    private static readonly string[] s_upgrade = ["Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v4.channel.k8s.io"];

    [Fact]
    public async Task A_token_is_good_once()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        string url = bench.Publish(StreamingBench.ExecRequest());

        Assert.Equal(101, await StatusAsync(url, s_upgrade));
        Assert.Equal(404, await StatusAsync(url, s_upgrade));
    }

    [Fact]
    public async Task A_token_is_good_for_a_minute()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        string early = bench.Publish(StreamingBench.ExecRequest());
        string late = bench.Publish(StreamingBench.ExecRequest());

        bench.Time.Advance(TimeSpan.FromSeconds(59));
        Assert.Equal(101, await StatusAsync(early, s_upgrade));
        bench.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(404, await StatusAsync(late, s_upgrade));
    }

    [Fact]
    public async Task A_token_is_bound_to_its_kind_of_request()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        string url = bench.Publish(StreamingBench.ExecRequest());

        Assert.Equal(404, await StatusAsync(url.Replace("/exec/", "/attach/"), s_upgrade));
        Assert.Equal(404, await StatusAsync(url + "/", s_upgrade));
        Assert.Equal(404, await StatusAsync(bench.Server.BaseUrl + "/exec/", s_upgrade));
        Assert.Equal(404, await StatusAsync(bench.Server.BaseUrl + "/", s_upgrade));
        Assert.Equal(101, await StatusAsync(url, s_upgrade));
    }

    [Fact]
    public void Tokens_are_128_bits_that_do_not_repeat()
    {
        var tokens = new StreamTokens(TimeProvider.System);
        HashSet<string> seen = [.. Enumerable.Range(0, 500).Select(_ => tokens.Issue(StreamingBench.ExecRequest())!)];

        Assert.Equal(500, seen.Count);
        Assert.All(seen, static token => Assert.Equal(32, token.Length));
    }

    [Fact]
    public void Requests_that_nobody_comes_for_are_bounded_and_make_room_in_time()
    {
        var time = new StreamingBench.ManualTime();
        var tokens = new StreamTokens(time);
        for (int i = 0; i < StreamTokens.MaxWaiting; i++)
        {
            Assert.NotNull(tokens.Issue(StreamingBench.ExecRequest()));
        }

        Assert.Null(tokens.Issue(StreamingBench.ExecRequest()));
        time.Advance(StreamTokens.Lifetime);
        Assert.NotNull(tokens.Issue(StreamingBench.ExecRequest()));
    }

    [Theory]
    [InlineData(400, "Connection: close")]
    [InlineData(400, "Connection: Upgrade", "Upgrade: h2c", "X-Stream-Protocol-Version: v4.channel.k8s.io")]
    [InlineData(400, "Connection: Upgrade", "Upgrade: SPDY/3.1")]
    [InlineData(403, "Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v9.channel.k8s.io")]
    [InlineData(101, "Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v5.channel.k8s.io, v4.channel.k8s.io")]
    [InlineData(101, "Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v5.channel.k8s.io", "X-Stream-Protocol-Version: v4.channel.k8s.io")]
    public async Task The_protocol_is_agreed_on_or_the_client_told_what_there_is(int status, params string[] headers)
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();

        var (answered, answer, connection) = await StreamingBench.RequestAsync(bench.Publish(StreamingBench.ExecRequest()), headers);

        await connection.DisposeAsync();
        Assert.Equal(status, answered);
        if (status == 403)
        {
            Assert.Equal("v4.channel.k8s.io", answer["X-Accepted-Stream-Protocol-Versions"]);
        }
    }

    [Theory]
    [InlineData("0.0.0.0", "every address")]
    [InlineData("10.0.0.1", "in the clear")]
    [InlineData("localhost", "no IP address")]
    public async Task Addresses_that_would_not_do_are_refused(string address, string reason)
    {
        HearthException refused = await Assert.ThrowsAsync<HearthException>(() => StreamingBench.StartAsync(new DaemonConfig { StreamAddress = address }));

        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task In_the_clear_it_listens_on_the_loopback_address_and_no_other()
    {
        await using StreamingBench bench = await StreamingBench.StartAsync();
        string port = new Uri(bench.Server.BaseUrl).Port.ToString("X4", System.Globalization.CultureInfo.InvariantCulture);

        // proc(5), /proc/net/tcp: the local address, and the state, of which 0A is listening.
        string[][] sockets = [.. File.ReadAllLines("/proc/self/net/tcp").Concat(File.ReadAllLines("/proc/self/net/tcp6")).Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
        string[] listening = [.. sockets.Where(socket => socket[3] == "0A" && socket[1].EndsWith($":{port}", StringComparison.Ordinal)).Select(static socket => socket[1])];
        Assert.Equal([$"0100007F:{port}"], listening);
    }

    [Fact]
    public async Task A_port_in_use_is_named()
    {
        using var taken = new TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        int port = ((System.Net.IPEndPoint)taken.LocalEndpoint).Port;

        HearthException refused = await Assert.ThrowsAsync<HearthException>(() => StreamingBench.StartAsync(new DaemonConfig { StreamPort = port }));

        Assert.Contains($"{port}", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_a_certificate_streams_are_behind_TLS()
    {
        string folder = Directory.CreateTempSubdirectory("hearth-tls-").FullName;
        try
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            using X509Certificate2 certificate = new CertificateRequest("CN=hearth", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            File.WriteAllText(Path.Combine(folder, "tls.crt"), certificate.ExportCertificatePem());
            File.WriteAllText(Path.Combine(folder, "tls.key"), key.ExportPkcs8PrivateKeyPem());
            var config = new DaemonConfig { StreamCertificate = Path.Combine(folder, "tls.crt"), StreamKey = Path.Combine(folder, "tls.key") };
            await Assert.ThrowsAsync<HearthException>(() => StreamingBench.StartAsync(config with { StreamKey = "" }));
            await using StreamingBench bench = await StreamingBench.StartAsync(config);

            string url = bench.Publish(StreamingBench.ExecRequest());
            Assert.StartsWith("https://127.0.0.1:", url, StringComparison.Ordinal);
            using var client = new HttpClient(new HttpClientHandler { ServerCertificateCustomValidationCallback = static (_, _, _, _) => true });
            // Not upgraded, but answered: the token was known, the request read.
            Assert.Equal(System.Net.HttpStatusCode.BadRequest, (await client.PostAsync(url, null)).StatusCode);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<int> StatusAsync(string url, string[] headers)
    {
        var (status, _, connection) = await StreamingBench.RequestAsync(url, headers);
        await connection.DisposeAsync();
        return status;
    }
}
