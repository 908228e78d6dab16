using System.Text;

namespace Hearth.Agent.Protocol;

/// <summary>One of a process's standard streams.</summary>
public enum StdioStream : byte
{
    Stdin = 0,
    Stdout = 1,
    Stderr = 2,
}

/// <summary>What the agent says to a connection on its port for standard streams.</summary>
public enum StdioReply : byte
{
    /// <summary>What follows is the stream.</summary>
    Ok = 0,

    /// <summary>These bytes are no header. The connection is closed, as after every refusal.</summary>
    Malformed = 1,

    /// <summary>There is no such process, or it has no such stream.</summary>
    NotFound = 2,

    /// <summary>Another connection has the stream.</summary>
    Busy = 3,
}

/// <summary>
/// The header that a connection for a standard stream begins with: <c>HIO1</c>, the stream, and then the container's id and
/// the exec id (empty for the container's first process), each a byte of length and so many bytes of UTF-8. The agent
/// answers with one <see cref="StdioReply"/>.
/// </summary>
/// <param name="ContainerId">Of the container.</param>
/// <param name="ExecId">Of the process; empty for the first.</param>
/// <param name="Stream">Which stream.</param>
public sealed record StdioHandshake(string ContainerId, string ExecId, StdioStream Stream)
{
    /// <summary>The longest header, in bytes.</summary>
    public const int MaxLength = 4 + 1 + 1 + 255 + 1 + 255;

    private static ReadOnlySpan<byte> Magic => "HIO1"u8;

    /// <exception cref="ArgumentException">An id has more than 255 bytes.</exception>
    public byte[] ToBytes()
    {
        byte[] container = Encoding.UTF8.GetBytes(ContainerId);
        byte[] exec = Encoding.UTF8.GetBytes(ExecId);
        if (container.Length > byte.MaxValue || exec.Length > byte.MaxValue)
        {
            throw new ArgumentException("An id has at most 255 bytes.");
        }

        return [.. Magic, (byte)Stream, (byte)container.Length, .. container, (byte)exec.Length, .. exec];
    }

    /// <summary>
    /// Looks whether <paramref name="bytes"/> are a whole header.
    /// </summary>
    /// <param name="bytes">What has come so far.</param>
    /// <param name="handshake">The header, if it is whole.</param>
    /// <returns>Its length; 0 if more must come; -1 if these bytes begin no header.</returns>
    public static int TryParse(ReadOnlySpan<byte> bytes, out StdioHandshake? handshake)
    {
        handshake = null;
        if (!Magic.StartsWith(bytes[..Math.Min(bytes.Length, Magic.Length)]))
        {
            return -1;
        }

        if (bytes.Length < 6)
        {
            return bytes.Length == 5 && bytes[4] > (byte)StdioStream.Stderr ? -1 : 0;
        }

        int execAt = 6 + bytes[5];
        if (bytes[4] > (byte)StdioStream.Stderr)
        {
            return -1;
        }

        if (bytes.Length <= execAt || bytes.Length < execAt + 1 + bytes[execAt])
        {
            return 0;
        }

        int end = execAt + 1 + bytes[execAt];
        handshake = new StdioHandshake(
            Encoding.UTF8.GetString(bytes[6..execAt]), Encoding.UTF8.GetString(bytes[(execAt + 1)..end]), (StdioStream)bytes[4]);
        return end;
    }
}
