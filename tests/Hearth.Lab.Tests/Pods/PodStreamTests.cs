using System.Net;
using System.Net.WebSockets;
using Hearth.Cri.Protocol;

namespace Hearth.Lab.Tests.Pods;

/// <summary>Exec, attach and port-forward, by a SPDY and by a WebSocket client.</summary>
public sealed class PodStreamTests(PodLab lab) : PodTestBase(lab)
{
    private const byte Stdin = 0;
    private const byte Stdout = 1;
    private const byte Stderr = 2;
    private const byte Error = 3;
    private const byte Resize = 4;

    [Fact]
    public async Task Exec_streams_over_both_protocols()
    {
        (_, string container, _) = await RunIdlePodAsync("exec-stream");

        string url = await ExecAsync(container, tty: false, stdin: true, "sh", "-c", "read line; echo got $line; echo err >&2; cat; exit 5");
        await using (RemoteCommand command = await RemoteCommand.ConnectAsync(url, "v5.channel.k8s.io"))
        {
            await command.SendAsync(Stdin, "hello\n");
            await command.AwaitAsync(Stdout, "got hello\n");
            await command.SendAsync(Stdin, "rest");
            await command.CloseInputAsync();
            Assert.Equal("got hello\nrest", await command.ReadToEndAsync(Stdout));
            Assert.Equal("err\n", command.Text(Stderr));
            Assert.Contains("\"NonZeroExitCode\"", command.Text(Error), StringComparison.Ordinal);
            Assert.Contains("\"5\"", command.Text(Error), StringComparison.Ordinal);
        }

        // Each address is good for one connection.
        await Assert.ThrowsAsync<WebSocketException>(() => RemoteCommand.ConnectAsync(url, "v4.channel.k8s.io"));

        url = await ExecAsync(container, tty: true, stdin: true, "sh");
        await using (RemoteCommand command = await RemoteCommand.ConnectAsync(url, "v4.channel.k8s.io"))
        {
            await command.SendAsync(Resize, """{"Width": 111, "Height": 33}""");
            await command.SendAsync(Stdin, "until stty size | grep '33 111'; do sleep 0.1; done; tty; exit\n");
            string output = await command.ReadToEndAsync(Stdout);
            Assert.Contains("33 111\r\n", output, StringComparison.Ordinal);
            Assert.Contains("/dev/pts/", output, StringComparison.Ordinal);
            Assert.Contains("\"Success\"", command.Text(Error), StringComparison.Ordinal);
        }

        url = await ExecAsync(container, tty: false, stdin: true, "sh", "-c", "wc -c; echo err >&2; exit 3");
        await using (SpdyClient client = await SpdyClient.ConnectAsync(new Uri(url), "v4.channel.k8s.io"))
        {
            uint error = await client.OpenAsync(("streamtype", "error"));
            uint stdin = await client.OpenAsync(("streamtype", "stdin"));
            uint stdout = await client.OpenAsync(("streamtype", "stdout"));
            uint stderr = await client.OpenAsync(("streamtype", "stderr"));
            byte[] block = new byte[16000];
            for (int i = 0; i < 50; i++)
            {
                await client.SendAsync(stdin, block, last: i == 49);
            }

            Assert.Equal("800000\n", await client.ReadToEndAsync(stdout));
            Assert.Equal("err\n", await client.ReadToEndAsync(stderr));
            Assert.Contains("\"3\"", await client.ReadToEndAsync(error), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Attach_reaches_the_first_process()
    {
        PodSandboxConfig config = Lab.Pod("attach");
        string pod = await RunPodAsync(config);
        ContainerConfig shell = Lab.Shell("shell", "while read line; do echo you said $line; done; echo end of input");
        shell.Stdin = true;
        shell.StdinOnce = true;
        string container = await Client.RunContainerAsync(pod, config, shell);
        var request = new AttachRequest { ContainerId = container, Stdin = true, Stdout = true, Stderr = true };
        string url = (await Client.Runtime.AttachAsync(request, deadline: CriClient.Deadline)).Url;
        await using (RemoteCommand command = await RemoteCommand.ConnectAsync(url, "v5.channel.k8s.io"))
        {
            await command.SendAsync(Stdin, "one\n");
            await command.AwaitAsync(Stdout, "you said one\n");
            await command.CloseInputAsync();
            await command.ReadToEndAsync(Stdout);
            Assert.Contains("end of input\n", command.Text(Stdout), StringComparison.Ordinal);
        }

        ContainerStatus status = await Client.AwaitStateAsync(container, ContainerState.ContainerExited);
        Assert.Equal(["stdout F you said one", "stdout F end of input"], LogLines(status.LogPath));

        ContainerConfig terminal = Lab.Shell("terminal", "stty -echo; echo ready; read line; until stty size | grep '22 77'; do sleep 0.1; done; echo bye $line; sleep 100000");
        terminal.Stdin = terminal.Tty = true;
        string second = await Client.RunContainerAsync(pod, config, terminal);
        url = (await Client.Runtime.AttachAsync(new AttachRequest { ContainerId = second, Stdin = true, Stdout = true, Tty = true }, deadline: CriClient.Deadline)).Url;
        await using (SpdyClient client = await SpdyClient.ConnectAsync(new Uri(url), "v4.channel.k8s.io"))
        {
            await client.OpenAsync(("streamtype", "error"));
            uint stdin = await client.OpenAsync(("streamtype", "stdin"));
            uint stdout = await client.OpenAsync(("streamtype", "stdout"));
            uint resize = await client.OpenAsync(("streamtype", "resize"));
            await UntilAsync(() => LogLines(Path.Combine(config.LogDirectory, "terminal.log")).Any(static line => line.Contains("ready", StringComparison.Ordinal)), "the prompt");
            await client.SendAsync(resize, """{"Width":77,"Height":22}"""u8.ToArray());
            await client.SendAsync(stdin, "you\n"u8.ToArray());
            string output = "";
            while (!output.Contains("bye you", StringComparison.Ordinal))
            {
                output += await client.ReadAsync(stdout);
            }

            Assert.Contains("22 77", output, StringComparison.Ordinal);
        }

        // Whoever was attached is gone, and the container is not.
        Assert.Equal(ContainerState.ContainerRunning, (await Client.StatusAsync(second)).State);
    }

    [Fact]
    public async Task Ports_are_forwarded_over_SPDY_and_over_SPDY_in_a_WebSocket()
    {
        await Client.PullAsync(Lab.Web);
        PodSandboxConfig config = Lab.Pod("forward");
        string pod = await RunPodAsync(config);
        ContainerConfig web = Lab.Shell("web", "exec httpd -f -p 127.0.0.1:8080 -h /www");
        web.Image.Image = Lab.Web;
        string container = await Client.RunContainerAsync(pod, config, web);
        await UntilAsync(async () => (await Client.ExecAsync(container, "wget -qO- 127.0.0.1:8080")).Stdout == "hearth\n", "the server");

        await using (SpdyClient client = await SpdyClient.ConnectAsync(new Uri(await ForwardAsync(pod)), "portforward.k8s.io"))
        {
            await GetPageAsync(client, "1");
            await GetPageAsync(client, "2");
        }

        await using (SpdyClient client = await SpdyClient.TunnelAsync(new Uri(await ForwardAsync(pod)), "SPDY/3.1+portforward.k8s.io"))
        {
            await GetPageAsync(client, "1");
        }

        Assert.NotEqual(HttpStatusCode.OK, (await new HttpClient().GetAsync(new Uri(new Uri(await ForwardAsync(pod)), "/portforward/guessed"))).StatusCode);
    }

    private static async Task GetPageAsync(SpdyClient client, string request)
    {
        uint error = await client.OpenAsync(("streamtype", "error"), ("port", "8080"), ("requestid", request));
        await client.SendAsync(error, ReadOnlyMemory<byte>.Empty, last: true);
        uint data = await client.OpenAsync(("streamtype", "data"), ("port", "8080"), ("requestid", request));
        await client.SendAsync(data, "GET / HTTP/1.0\r\n\r\n"u8.ToArray());
        string page = await client.ReadToEndAsync(data);
        Assert.StartsWith("HTTP/1", page, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\nhearth\n", page, StringComparison.Ordinal);
        await client.SendAsync(data, ReadOnlyMemory<byte>.Empty, last: true);
    }

    private async Task<string> ForwardAsync(string pod) => (await Client.Runtime.PortForwardAsync(new PortForwardRequest { PodSandboxId = pod, Port = { 8080 } }, deadline: CriClient.Deadline)).Url;

    private async Task<string> ExecAsync(string container, bool tty, bool stdin, params string[] command)
    {
        var request = new ExecRequest { ContainerId = container, Tty = tty, Stdin = stdin, Stdout = true, Stderr = !tty, Cmd = { command } };
        return (await Client.Runtime.ExecAsync(request, deadline: CriClient.Deadline)).Url;
    }
}
