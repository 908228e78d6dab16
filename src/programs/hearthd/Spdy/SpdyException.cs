namespace Hearth.Programs.Daemon.Spdy;

/// <summary>The peer does not speak SPDY, or more of it than is allowed: the connection ends.</summary>
internal sealed class SpdyException(string message) : IOException(message);
