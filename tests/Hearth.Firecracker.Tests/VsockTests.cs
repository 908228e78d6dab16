using System.Net.Sockets;
using System.Text;

namespace Hearth.Firecracker.Tests;

/// <summary>The handshake on the vsock device's socket.</summary>
public sealed class VsockTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-sdk-").FullName;

    private string UdsPath => Path.Combine(_folder, "v.sock");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task What_follows_the_answer_is_the_guests()
    {
        using Socket device = Listen();
        Task<string> asked = AnswerAsync(device, "OK 1073741824\nhello");
        await using NetworkStream stream = await VsockDialer.DialAsync(UdsPath, 1024);
        byte[] got = new byte[5];
        await stream.ReadExactlyAsync(got);
        Assert.Equal("hello", Encoding.ASCII.GetString(got));
        Assert.Equal("CONNECT 1024\n", await asked);
    }

    [Theory]
    [InlineData("")]
    [InlineData("NO\n")]
    [InlineData("OK")]
    [InlineData("OK 111111111111111111111111111111111111111111111111\n")]
    public async Task Anything_else_is_nobody(string answer)
    {
        using Socket device = Listen();
        Task<string> asked = AnswerAsync(device, answer);
        await Assert.ThrowsAsync<IOException>(() => VsockDialer.DialAsync(UdsPath, 1024));
        await asked;
    }

    [Fact]
    public async Task Dialling_goes_on_until_somebody_listens()
    {
        using Socket device = Listen();
        Task answers = Task.Run(async () =>
        {
            await AnswerAsync(device, "");
            await AnswerAsync(device, "");
            await AnswerAsync(device, "OK 1\n");
        });
        await using NetworkStream stream = await VsockDialer.DialUntilAsync(UdsPath, 7, TimeSpan.FromMilliseconds(1), TestContext.Current.CancellationToken);
        await answers;
    }

    [Fact]
    public async Task A_listener_is_the_sockets_path_and_the_port()
    {
        using (var listener = VsockListener.Listen(UdsPath, 52))
        {
            Task<NetworkStream> accepted = listener.AcceptAsync();
            using var guest = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await guest.ConnectAsync(new UnixDomainSocketEndPoint(UdsPath + "_52"));
            await guest.SendAsync("hi"u8.ToArray());
            await using NetworkStream stream = await accepted;
            byte[] got = new byte[2];
            await stream.ReadExactlyAsync(got);
            Assert.Equal("hi"u8.ToArray(), got);
        }

        Assert.False(File.Exists(UdsPath + "_52"));
    }

    private Socket Listen()
    {
        var device = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        device.Bind(new UnixDomainSocketEndPoint(UdsPath));
        device.Listen();
        return device;
    }

    private static async Task<string> AnswerAsync(Socket device, string answer)
    {
        using Socket client = await device.AcceptAsync();
        byte[] buffer = new byte[64];
        int count = await client.ReceiveAsync(buffer);
        await client.SendAsync(Encoding.ASCII.GetBytes(answer));
        return Encoding.ASCII.GetString(buffer, 0, count);
    }
}
