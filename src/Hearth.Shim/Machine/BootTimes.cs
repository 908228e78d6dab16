using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Hearth.Shim.Machine;

/// <summary>How long the stages of a machine's start took, one after the other, for who looks for time. Thread: one at a time.</summary>
internal sealed class BootTimes
{
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly StringBuilder _stages = new();
    private long _lastMs;

    /// <summary>A stage is over.</summary>
    public void Ended(string stage)
    {
        long now = _watch.ElapsedMilliseconds;
        _stages.Append(CultureInfo.InvariantCulture, $"{(_stages.Length == 0 ? "" : ", ")}{stage} {now - _lastMs}");
        _lastMs = now;
    }

    /// <summary>As <c>320 ms (files 9, api 60, …)</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{_lastMs} ms ({_stages})");
}
