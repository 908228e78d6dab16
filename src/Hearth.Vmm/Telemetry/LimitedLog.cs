namespace Hearth.Vmm.Telemetry;

/// <summary>
/// Passes on messages that a guest can cause at will, so many at once and so many a minute, so that it cannot fill the
/// host's disk. What was left out is counted and said with the next message.
/// <para>Thread: any.</para>
/// </summary>
public sealed class LimitedLog
{
    private const int Burst = 10;
    private const long RefillMs = 10_000;

    // Guards the fields below.
    private readonly Lock _lock = new();
    private readonly Action<string> _log;
    private readonly Func<long> _clockMs;
    private int _allowed = Burst;
    private long _refilledMs;
    private long _left;

    /// <param name="log">Takes what passes.</param>
    /// <param name="clockMs">Milliseconds that only grow; null for the system's.</param>
    public LimitedLog(Action<string> log, Func<long>? clockMs = null)
    {
        _log = log;
        _clockMs = clockMs ?? (static () => Environment.TickCount64);
        _refilledMs = _clockMs();
    }

    public void Write(string message)
    {
        long left;
        lock (_lock)
        {
            long earned = (_clockMs() - _refilledMs) / RefillMs;
            _refilledMs += earned * RefillMs;
            _allowed = (int)Math.Min(Burst, _allowed + earned);
            if (_allowed == 0)
            {
                _left++;
                return;
            }

            _allowed--;
            left = _left;
            _left = 0;
        }

        if (left > 0)
        {
            _log($"{left} messages like the next were left out.");
        }

        _log(message);
    }
}
