using System.Text;
using Hearth.Agent.Protocol;
using Hearth.Ttrpc;

namespace Hearth.Agent.Tests;

/// <summary>Connections to the loopback interface of the guest.</summary>
public sealed class PortTests(AgentUnderTest agent) : AgentTestBase(agent)
{
    [Fact]
    public async Task A_listener_in_the_guest_is_reached_and_half_closed_connections_stay_open()
    {
        Agent.Ip("link", "set", "lo", "up");
        string id = await Agent.StartAsync(AgentUnderTest.Specification("exec nc -l -p 8765 -e sh -c 'cat; echo end'"));
        Stream? found = null;
        await AgentUnderTest.EventuallyAsync(
            async () =>
            {
                try
                {
                    found = await Client.OpenPortAsync(8765);
                    return true;
                }
                catch (TtrpcException e) when (e.Code == StatusCode.NotFound)
                {
                    return false;
                }
            },
            "nobody listens");
        await using Stream connection = found!;

        await connection.WriteAsync("hello\n"u8.ToArray());
        ((System.Net.Sockets.NetworkStream)connection).Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);

        Assert.Equal("hello\nend\n", await new StreamReader(connection, Encoding.ASCII).ReadToEndAsync());
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });
    }

    [Fact]
    public async Task Where_nobody_listens_the_answer_says_so()
    {
        TtrpcException refused = await Assert.ThrowsAsync<TtrpcException>(() => Client.OpenPortAsync(9));

        Assert.Equal(StatusCode.NotFound, refused.Code);
    }

    [Theory]
    [InlineData("HPF1\0\0")]
    [InlineData("HPF2\0\u0001")]
    [InlineData("GET / ")]
    public async Task What_is_no_header_is_refused(string header)
    {
        await using Stream connection = await Agent.ConnectAsync(AgentPorts.Tcp);
        await connection.WriteAsync(Encoding.Latin1.GetBytes(header));
        byte[] answer = new byte[2];

        Assert.Equal(1, await connection.ReadAsync(answer));
        Assert.Equal((byte)StdioReply.Malformed, answer[0]);
        Assert.Equal(0, await connection.ReadAsync(answer));
    }

    [Fact]
    public async Task A_frozen_container_stands_still_and_can_be_killed()
    {
        string id = await Agent.StartAsync(AgentUnderTest.Specification("while :; do date +%s%N > /tmp/now; done"));
        await Client.SetFrozenAsync(new SetFrozenRequest { ContainerId = id, Frozen = true });
        ulong before = (await Client.StatsAsync(new StatsRequest { ContainerId = id })).Cpu.UsageMicroseconds;
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(before, (await Client.StatsAsync(new StatsRequest { ContainerId = id })).Cpu.UsageMicroseconds);
        }

        await Client.SetFrozenAsync(new SetFrozenRequest { ContainerId = id, Frozen = false });
        await AgentUnderTest.EventuallyAsync(
            async () => (await Client.StatsAsync(new StatsRequest { ContainerId = id })).Cpu.UsageMicroseconds > before, "it does not go on");
        await Client.SetFrozenAsync(new SetFrozenRequest { ContainerId = id, Frozen = true });
        await Client.SignalAsync(new SignalRequest { ContainerId = id, Signal = 9 });

        Assert.Equal(137u, (await Client.WaitProcessAsync(new WaitProcessRequest { ContainerId = id })).ExitStatus);
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });
    }

    [Fact]
    public async Task One_call_has_all_containers_and_the_interfaces()
    {
        string first = await Agent.StartAsync();
        string second = await Agent.StartAsync();

        AllStatsResponse all = await Client.AllStatsAsync();

        Assert.Superset(new HashSet<string> { first, second }, all.Containers.Select(static entry => entry.ContainerId).ToHashSet());
        Assert.All(all.Containers, static entry => Assert.True(entry.Stats.Cpu.UsageMicroseconds > 0));
        Assert.Contains(all.Interfaces, static counters => counters.Name == "lo");
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = first });
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = second });
    }
}
