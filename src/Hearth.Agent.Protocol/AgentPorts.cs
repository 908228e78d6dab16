namespace Hearth.Agent.Protocol;

/// <summary>The vsock ports that the agent listens on (any CID may connect, and only the host can), and the host's that it connects to.</summary>
public static class AgentPorts
{
    /// <summary>ttrpc, <c>hearth.agent.v1.Agent</c>.</summary>
    public const uint Ttrpc = 1024;

    /// <summary>Standard streams, each connection begun by a <see cref="StdioHandshake"/>.</summary>
    public const uint Stdio = 1025;

    /// <summary>TCP connections to the guest's loopback interface, each begun by a <see cref="PortHandshake"/>.</summary>
    public const uint Tcp = 1026;

    /// <summary>The host's: the agent connects to it once when it listens, and ends the connection. Nobody need be there.</summary>
    public const uint Ready = 1024;

    /// <summary>The host's: questions for names, as DNS over TCP has them (two bytes of length before each; RFC 1035 §4.2.2).</summary>
    public const uint Names = 1027;
}
