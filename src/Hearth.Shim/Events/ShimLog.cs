using System.Globalization;
using System.Text;
using Hearth.Linux;

namespace Hearth.Shim.Events;

/// <summary>
/// What the shim says of itself, a line each, to its standard error: the manager's log FIFO. Never waits for a reader.
/// Thread: any.
/// </summary>
public sealed class ShimLog
{
    private readonly LogTarget? _target;
    private readonly bool _debug;

    /// <param name="target">Where it goes; null for nowhere.</param>
    /// <param name="debug">Whether details are written.</param>
    public ShimLog(LogTarget? target, bool debug)
    {
        _target = target;
        _debug = debug;
    }

    public void Info(string message) => Write("info", message);

    public void Error(string message) => Write("error", message);

    public void Debug(string message)
    {
        if (_debug)
        {
            Write("debug", message);
        }
    }

    // As containerd's own shims write, whose lines it copies into its log.
    private void Write(string level, string message)
    {
        string time = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ", CultureInfo.InvariantCulture);
        string text = message.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n");
        _target?.TryWrite(Encoding.UTF8.GetBytes($"time=\"{time}\" level={level} msg=\"{text}\" runtime=io.containerd.hearth.v2\n"));
    }
}
