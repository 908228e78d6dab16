using System.Net;
using System.Net.Sockets;
using Hearth.Agent.Protocol;
using Hearth.Network;
using Hearth.Oci.Runtime;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests.Machine;

public sealed class NameRelayTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-names-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("# Docker\nnameserver 127.0.0.11\noptions ndots:0\n", true)]
    [InlineData("search here\nnameserver\t127.0.0.11", true)]
    [InlineData("nameserver 127.0.0.1\nnameserver 127.0.0.53\n", false)]
    [InlineData("#nameserver 127.0.0.11\nnameserver 10.0.0.1\n", false)]
    [InlineData("", false)]
    public void Only_Dockers_resolver_is_looked_for_on_the_host(string content, bool expected)
    {
        string file = Path.Combine(_folder, "resolv.conf");
        File.WriteAllText(file, content);

        Assert.Equal(expected, NameRelay.ResolverOf([new MountSpec { Destination = "/etc/resolv.conf", Type = "bind", Source = file }]) is not null);
        Assert.Null(NameRelay.ResolverOf([new MountSpec { Destination = "/etc/hosts", Type = "bind", Source = file }, new MountSpec { Destination = "/etc/resolv.conf", Type = "bind", Source = file + "2" }]));
    }

    [Fact]
    public async Task A_question_of_the_guest_reaches_the_resolver_in_the_pods_namespace()
    {
        Assert.SkipWhen(Environment.UserName != "root", "makes a network namespace: needs root");
        string space = NetworkNamespace.Create(_folder, "pod");
        try
        {
            var address = new IPAddress([127, 0, 0, 11]);
            using Socket resolver = NetworkNamespace.Run(space, static () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            resolver.Bind(new IPEndPoint(address, 53));
            resolver.Listen();
            string uds = Path.Combine(_folder, "v.sock");
            await using (NameRelay relay = NameRelay.Start(uds, space, address))
            {
                using var guest = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await guest.ConnectAsync(new UnixDomainSocketEndPoint($"{uds}_{AgentPorts.Names}"));
                await guest.SendAsync("question"u8.ToArray());
                // It has nothing more to ask, and still wants its answer.
                guest.Shutdown(SocketShutdown.Send);
                using Socket asked = await resolver.AcceptAsync().WaitAsync(ShimUnderTest.Deadline);
                byte[] buffer = new byte[16];
                Assert.Equal("question"u8.ToArray(), buffer[..await asked.ReceiveAsync(buffer)]);
                Assert.Equal(0, await asked.ReceiveAsync(buffer).WaitAsync(ShimUnderTest.Deadline));
                await asked.SendAsync("answer"u8.ToArray());
                Assert.Equal("answer"u8.ToArray(), buffer[..await guest.ReceiveAsync(buffer)]);
                asked.Close();
                Assert.Equal(0, await guest.ReceiveAsync(buffer).WaitAsync(ShimUnderTest.Deadline));
            }

            Assert.False(File.Exists($"{uds}_{AgentPorts.Names}"));
        }
        finally
        {
            NetworkNamespace.Remove(space);
        }
    }
}
