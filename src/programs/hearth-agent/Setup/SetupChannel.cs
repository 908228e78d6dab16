using System.Text;
using Hearth.Linux;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Setup;

/// <summary>What the setting-up process and the agent say to each other: a byte, and for a failure its code and words.</summary>
internal static class SetupChannel
{
    /// <summary>Process to agent: everything is done but the last step.</summary>
    public const byte Ready = (byte)'R';

    /// <summary>Process to agent, with a descriptor: the terminal.</summary>
    public const byte Terminal = (byte)'P';

    /// <summary>Process to agent: it cannot be done.</summary>
    public const byte Failed = (byte)'E';

    /// <summary>Agent to process: take the last step. If it succeeds the channel closes without another word.</summary>
    public const byte Go = (byte)'S';

    public static void SendFailure(ControlChannel channel, StatusCode code, string message)
    {
        byte[] text = Encoding.UTF8.GetBytes(message);
        channel.Send([Failed, (byte)code, .. text.AsSpan(0, Math.Min(text.Length, ControlChannel.MaxMessage - 2))]);
    }

    /// <summary>The failure in a message that begins with <see cref="Failed"/>.</summary>
    public static TtrpcException Failure(ReadOnlySpan<byte> message) =>
        new(message.Length > 1 ? (StatusCode)message[1] : StatusCode.Unknown, message.Length > 2 ? Encoding.UTF8.GetString(message[2..]) : "The process could not be set up.");
}
