using Hearth.Firecracker.Models;

namespace Hearth.Firecracker.Tests;

/// <summary>The client against answers that arrive in every shape.</summary>
public sealed class ClientTests
{
    private const string Version = "HTTP/1.1 200 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n{\"firecracker_version\":\"1.2.3\"}";
    private const string Done = "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n";

    [Fact]
    public async Task Requests_share_a_connection_and_carry_their_bodies()
    {
        using var monitor = new ScriptedMonitor([Version, Done, Version]);
        using var client = new FirecrackerClient(monitor.SocketPath);
        Assert.Equal("1.2.3", await client.GetVersionAsync());
        await client.PutVsockAsync(new Vsock { GuestCid = 3, UdsPath = "v.sock" });
        Assert.Equal("1.2.3", await client.GetVersionAsync());
        Assert.Contains("PUT /vsock HTTP/1.1\r\nHost: localhost\r\n", monitor.Requests, StringComparison.Ordinal);
        Assert.Contains("\r\nContent-Length: 35\r\n\r\n{\"guest_cid\":3,\"uds_path\":\"v.sock\"}", monitor.Requests, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_may_come_in_any_pieces()
    {
        using var monitor = new ScriptedMonitor([string.Join('|', Version.ToCharArray())]);
        using var client = new FirecrackerClient(monitor.SocketPath);
        Assert.Equal("1.2.3", await client.GetVersionAsync());
    }

    [Fact]
    public async Task A_connection_that_the_monitor_closed_is_made_again()
    {
        using var monitor = new ScriptedMonitor([Version.Replace("keep-alive", "close")], [Version], [Version]);
        using var client = new FirecrackerClient(monitor.SocketPath);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal("1.2.3", await client.GetVersionAsync());
        }
    }

    [Fact]
    public async Task A_refusal_has_its_status_and_the_monitors_words()
    {
        using var monitor = new ScriptedMonitor(["HTTP/1.1 400 \r\nContent-Length: 27\r\n\r\n{\"fault_message\":\"no, no.\"}"], ["HTTP/1.1 503\r\nContent-Length: 2\r\n\r\nno"]);
        using var client = new FirecrackerClient(monitor.SocketPath);
        FirecrackerException refused = await Assert.ThrowsAsync<FirecrackerException>(() => client.PauseAsync());
        Assert.Equal((400, "no, no."), (refused.Status, refused.FaultMessage));
        Assert.Equal("PATCH /vm: no, no.", refused.Message);
        client.Dispose();
        FirecrackerException busy = await Assert.ThrowsAsync<FirecrackerException>(() => client.PauseAsync());
        Assert.Equal((503, (string?)null), (busy.Status, busy.FaultMessage));
    }

    [Theory]
    [InlineData("SSH-2.0-OpenSSH\r\n\r\n")]
    [InlineData("HTTP/1.1 20x \r\n\r\n")]
    [InlineData("HTTP/1.1 200 \r\nContent-Length: -1\r\n\r\n")]
    [InlineData("HTTP/1.1 200 \r\nContent-Length: 999999999\r\n\r\n")]
    [InlineData("HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n{}")]
    [InlineData("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("HTTP/1.1 200 \r\nContent-Length: 10\r\n\r\n{\"fire")]
    [InlineData("HTTP/1.1 20")]
    [InlineData("")]
    public async Task What_is_no_answer_is_an_error_without_a_status(string answer)
    {
        using var monitor = new ScriptedMonitor([answer]);
        using var client = new FirecrackerClient(monitor.SocketPath);
        FirecrackerException failure = await Assert.ThrowsAsync<FirecrackerException>(() => client.GetVersionAsync());
        Assert.Null(failure.Status);
        Assert.Contains(monitor.SocketPath, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_monitor_that_is_not_there_is_an_error_that_names_its_socket()
    {
        using var client = new FirecrackerClient("/nowhere/api.sock");
        FirecrackerException failure = await Assert.ThrowsAsync<FirecrackerException>(() => client.GetVersionAsync());
        Assert.Contains("/nowhere/api.sock", failure.Message, StringComparison.Ordinal);
        using var tooLong = new FirecrackerClient("/" + new string('x', 200));
        await Assert.ThrowsAsync<FirecrackerException>(() => tooLong.GetVersionAsync());
    }

    [Fact]
    public async Task Headers_without_an_end_are_given_up()
    {
        using var monitor = new ScriptedMonitor(["HTTP/1.1 200 \r\n" + new string('a', 64 << 10)]);
        using var client = new FirecrackerClient(monitor.SocketPath);
        await Assert.ThrowsAsync<FirecrackerException>(() => client.GetVersionAsync());
    }

    [Fact]
    public async Task A_request_can_be_given_up_and_its_late_answer_is_nobodys()
    {
        using var monitor = new ScriptedMonitor([], [Version]);
        using var client = new FirecrackerClient(monitor.SocketPath);
        using var cancellation = new CancellationTokenSource();
        Task<string> waiting = client.GetVersionAsync(cancellation.Token);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => waiting);
        Assert.Equal("1.2.3", await client.GetVersionAsync());
    }
}
