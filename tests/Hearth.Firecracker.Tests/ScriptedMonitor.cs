using System.Net.Sockets;
using System.Text;

namespace Hearth.Firecracker.Tests;

/// <summary>A socket that reads requests and gives prepared answers, a piece at a time: what no well-behaved monitor says.</summary>
internal sealed class ScriptedMonitor : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-sdk-").FullName;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly StringBuilder _requests = new();

    /// <param name="connections">For each connection the answers to its requests; a | cuts an answer into pieces. After the last one it is closed.</param>
    public ScriptedMonitor(params string[][] connections)
    {
        SocketPath = Path.Combine(_folder, "api.sock");
        _listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        _listener.Listen();
        _ = Task.Run(() => ServeAsync(connections));
    }

    public string SocketPath { get; }

    public string Requests
    {
        get
        {
            lock (_requests)
            {
                return _requests.ToString();
            }
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task ServeAsync(string[][] connections)
    {
        foreach (string[] answers in connections)
        {
            using Socket client = await _listener.AcceptAsync();
            foreach (string answer in answers)
            {
                await ReadRequestAsync(client);
                foreach (string piece in answer.Split('|'))
                {
                    await client.SendAsync(Encoding.UTF8.GetBytes(piece));
                    await Task.Yield();
                }
            }
        }
    }

    private async Task ReadRequestAsync(Socket client)
    {
        byte[] buffer = new byte[4096];
        string text = "";
        while (!text.Contains("\r\n\r\n") || (text.Contains("Content-Length") && !text.EndsWith('}')))
        {
            int count = await client.ReceiveAsync(buffer);
            if (count == 0)
            {
                return;
            }

            text += Encoding.UTF8.GetString(buffer, 0, count);
        }

        lock (_requests)
        {
            _requests.Append(text).Append('\n');
        }
    }
}
