using System.Collections.Concurrent;
using Grpc.Core;

namespace Hearth.Programs.Daemon.Telemetry;

/// <summary>How often CRI's methods were called, and how long it took. Thread: any.</summary>
internal sealed class CallMetrics
{
    private readonly ConcurrentDictionary<(string Method, StatusCode Code), CallCount> _calls = new();

    /// <param name="method">As gRPC has it: <c>/runtime.v1.RuntimeService/Version</c>. Only methods that exist come here.</param>
    /// <param name="code">How it ended.</param>
    /// <param name="time">From its arrival.</param>
    public void Count(string method, StatusCode code, TimeSpan time) =>
        _calls.GetOrAdd((method[(method.LastIndexOf('/') + 1)..], code), static _ => new CallCount()).Add(time);

    public void Write(PrometheusText text)
    {
        (KeyValuePair<(string Method, StatusCode Code), CallCount> Call, (long Count, double Seconds) Total)[] all =
            [.. _calls.OrderBy(static call => call.Key).Select(static call => (call, call.Value.Read()))];
        text.Family("hearthd_cri_calls_total", "counter", "Calls of CRI, by method and gRPC code.");
        foreach (var (call, total) in all)
        {
            text.Sample("hearthd_cri_calls_total", total.Count, ("method", call.Key.Method), ("code", call.Key.Code.ToString()));
        }

        text.Family("hearthd_cri_call_seconds_total", "counter", "Time that these calls took together.");
        foreach (var (call, total) in all)
        {
            text.Sample("hearthd_cri_call_seconds_total", total.Seconds, ("method", call.Key.Method), ("code", call.Key.Code.ToString()));
        }
    }

    private sealed class CallCount
    {
        // Guards both.
        private readonly Lock _lock = new();
        private long _count;
        private TimeSpan _time;

        public void Add(TimeSpan time)
        {
            lock (_lock)
            {
                _count++;
                _time += time;
            }
        }

        public (long Count, double Seconds) Read()
        {
            lock (_lock)
            {
                return (_count, _time.TotalSeconds);
            }
        }
    }
}
