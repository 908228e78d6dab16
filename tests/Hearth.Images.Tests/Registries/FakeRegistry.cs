using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Hearth.Images.Oci;

namespace Hearth.Images.Tests.Registries;

internal sealed record FakeRequest(string Method, string Path, IReadOnlyDictionary<string, string> Headers, string Body)
{
    public string? Authorization => Headers.GetValueOrDefault("authorization");

    /// <summary>Where the asked-for range begins.</summary>
    public int From => Headers.TryGetValue("range", out string? range) ? int.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture) : 0;
}

/// <summary>An answer, which may be broken off after some bytes of its body, or never come.</summary>
internal sealed record FakeAnswer(int Status, byte[] Body, params (string Name, string Value)[] Headers)
{
    public int? SendOnly { get; init; }

    public bool Hang { get; init; }
}

/// <summary>A registry on loopback that serves what it was given, and misbehaves where a test says so.</summary>
internal sealed class FakeRegistry : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly ConcurrentDictionary<string, byte[]> _content = new();

    public FakeRegistry()
    {
        _listener.Start();
        Host = $"127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";
        _ = AcceptAsync();
    }

    public string Host { get; }

    public ConcurrentQueue<FakeRequest> Requests { get; } = new();

    /// <summary>Answers before the registry does; null lets the registry answer.</summary>
    public Func<FakeRequest, FakeAnswer?> Before { get; set; } = _ => null;

    public void Add(string path, byte[] content) => _content[path] = content;

    public void Add(TestImage image, string repository, string tag)
    {
        foreach (byte[] blob in image.Blobs)
        {
            Add($"/v2/{repository}/blobs/{Digest.Of(blob)}", blob);
        }

        Add($"/v2/{repository}/manifests/{tag}", image.Manifest);
        Add($"/v2/{repository}/manifests/{image.Digest}", image.Manifest);
    }

    public int Count(string part) => Requests.Count(request => request.Path.Contains(part, StringComparison.Ordinal));

    public void Dispose()
    {
        _end.Cancel();
        _listener.Stop();
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_end.IsCancellationRequested)
        {
            try
            {
                _ = ServeAsync(await _listener.AcceptTcpClientAsync(_end.Token));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        try
        {
            using (client)
            {
                NetworkStream stream = client.GetStream();
                while (await ReadAsync(stream) is { } request)
                {
                    Requests.Enqueue(request);
                    FakeAnswer answer = Before(request) ?? Answer(request);
                    if (answer.Hang)
                    {
                        await Task.Delay(Timeout.Infinite, _end.Token);
                    }

                    var head = new StringBuilder($"HTTP/1.1 {answer.Status} X\r\nContent-Length: {answer.Body.Length}\r\n");
                    foreach ((string name, string value) in answer.Headers)
                    {
                        head.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
                    }

                    await stream.WriteAsync(Encoding.ASCII.GetBytes(head + "\r\n"), _end.Token);
                    await stream.WriteAsync(answer.Body.AsMemory(0, answer.SendOnly ?? answer.Body.Length), _end.Token);
                    if (answer.SendOnly is not null)
                    {
                        return;
                    }
                }
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The client went away, or the test is over.
        }
    }

    private FakeAnswer Answer(FakeRequest request)
    {
        if (!_content.TryGetValue(request.Path.Split('?')[0], out byte[]? content))
        {
            return new FakeAnswer(404, """{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"""u8.ToArray());
        }

        return request.From == 0
            ? new FakeAnswer(200, content)
            : new FakeAnswer(206, content[request.From..], ("Content-Range", $"bytes {request.From}-{content.Length - 1}/{content.Length}"));
    }

    private static async Task<FakeRequest?> ReadAsync(NetworkStream stream)
    {
        var reader = new List<byte>();
        var one = new byte[1];
        while (!(reader.Count >= 4 && reader[^1] == '\n' && reader[^3] == '\n'))
        {
            if (await stream.ReadAsync(one) == 0)
            {
                return null;
            }

            reader.Add(one[0]);
        }

        string[] lines = Encoding.ASCII.GetString([.. reader]).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        string[] first = lines[0].Split(' ');
        Dictionary<string, string> headers = lines[1..].Select(line => line.Split(": ", 2)).ToDictionary(parts => parts[0].ToLowerInvariant(), parts => parts[1]);
        var body = new byte[int.Parse(headers.GetValueOrDefault("content-length", "0"), CultureInfo.InvariantCulture)];
        await stream.ReadExactlyAsync(body);
        return new FakeRequest(first[0], first[1], headers, Encoding.ASCII.GetString(body));
    }
}
