using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Hearth.Agent.Protocol;
using Hearth.Shim.Protocol;
using Hearth.Ttrpc;

namespace Hearth.Programs.Oci;

/// <summary>
/// <c>events</c>: what a container uses, counted by its guest's kernel, a line of JSON each time in the form of runc's (types/events.go), and
/// a line when it ran out of memory.
/// </summary>
internal static class EventsCommand
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(5);

    /// <summary>Once with <c>--stats</c>; else every <c>--interval</c>, until the container has ended.</summary>
    /// <exception cref="OciException">It does not run, or the interval is none.</exception>
    public static async Task RunAsync(ContainerState state, Arguments arguments)
    {
        bool once = arguments.Flag("stats");
        TimeSpan interval = arguments.Value("interval") is { } text ? Interval(text) : s_interval;
        if (await LifeCommands.StatusAsync(state) is "stopped")
        {
            throw new OciException("container not running");
        }

        try
        {
            await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
            ulong kills = 0;
            for (bool first = true; ; first = false)
            {
                PodStats pod = await shim.PodStatsAsync();
                if (pod.Containers.FirstOrDefault(one => one.ContainerId == state.Id)?.Stats is not { } stats)
                {
                    return;
                }

                if (!first && stats.Memory.OomKills > kills)
                {
                    Console.WriteLine(Line("oom", state.Id, static _ => { }));
                }

                kills = stats.Memory.OomKills;
                Console.WriteLine(Line("stats", state.Id, json => Write(json, stats, pod.Interfaces)));
                if (once || await LifeCommands.StatusAsync(state) is "stopped")
                {
                    return;
                }

                await Task.WhenAny(Task.Delay(interval), shim.Closed);
            }
        }
        catch (Exception e) when (!once && e is TtrpcException or SocketException)
        {
            // It has ended meanwhile, and its machine with it.
        }
    }

    /// <summary>A line of one kind.</summary>
    internal static string Line(string type, string id, Action<Utf8JsonWriter> data)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            json.WriteString("type", type);
            json.WriteString("id", id);
            json.WriteStartObject("data");
            data(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(text.ToArray());
    }

    /// <summary>CPU time in nanoseconds, memory in bytes; a limit of 0 is none.</summary>
    internal static void Write(Utf8JsonWriter json, StatsResponse stats, IEnumerable<InterfaceStats> interfaces)
    {
        const ulong nanoseconds = 1000;
        json.WriteStartObject("cpu");
        json.WriteStartObject("usage");
        json.WriteNumber("total", stats.Cpu.UsageMicroseconds * nanoseconds);
        json.WriteNumber("kernel", stats.Cpu.SystemMicroseconds * nanoseconds);
        json.WriteNumber("user", stats.Cpu.UserMicroseconds * nanoseconds);
        json.WriteEndObject();
        json.WriteStartObject("throttling");
        json.WriteNumber("throttledPeriods", stats.Cpu.ThrottledPeriods);
        json.WriteNumber("throttledTime", stats.Cpu.ThrottledMicroseconds * nanoseconds);
        json.WriteEndObject();
        json.WriteEndObject();

        json.WriteStartObject("memory");
        json.WriteNumber("cache", stats.Memory.File);
        json.WriteStartObject("usage");
        json.WriteNumber("limit", stats.Memory.Limit == 0 ? ulong.MaxValue : stats.Memory.Limit);
        json.WriteNumber("usage", stats.Memory.Usage);
        json.WriteNumber("failcnt", stats.Memory.OomKills);
        json.WriteEndObject();
        json.WriteStartObject("raw");
        json.WriteNumber("anon", stats.Memory.Anonymous);
        json.WriteNumber("file", stats.Memory.File);
        json.WriteNumber("inactive_file", stats.Memory.Usage - Math.Min(stats.Memory.WorkingSet, stats.Memory.Usage));
        json.WriteNumber("pgfault", stats.Memory.PageFaults);
        json.WriteNumber("pgmajfault", stats.Memory.MajorPageFaults);
        json.WriteEndObject();
        json.WriteEndObject();

        json.WriteStartObject("pids");
        json.WriteNumber("current", stats.Pids.Current);
        json.WriteNumber("limit", stats.Pids.Limit);
        json.WriteEndObject();

        json.WriteStartArray("network_interfaces");
        foreach (InterfaceStats one in interfaces)
        {
            json.WriteStartObject();
            json.WriteString("Name", one.Name);
            json.WriteNumber("RxBytes", one.ReceivedBytes);
            json.WriteNumber("RxPackets", one.ReceivedPackets);
            json.WriteNumber("RxErrors", one.ReceivedErrors);
            json.WriteNumber("RxDropped", one.ReceivedDropped);
            json.WriteNumber("TxBytes", one.SentBytes);
            json.WriteNumber("TxPackets", one.SentPackets);
            json.WriteNumber("TxErrors", one.SentErrors);
            json.WriteNumber("TxDropped", one.SentDropped);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>A time as runc takes it: 500ms, 5s, 1m.</summary>
    internal static TimeSpan Interval(string text)
    {
        (string number, double milliseconds) = text switch
        {
            [.. var digits, 'm', 's'] => (digits, 1),
            [.. var digits, 's'] => (digits, 1000),
            [.. var digits, 'm'] => (digits, 60_000),
            _ => (text, 1000),
        };
        const double most = 86_400_000;
        return double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double count) && count * milliseconds is >= 1 and <= most
            ? TimeSpan.FromMilliseconds(count * milliseconds)
            : throw new OciException($"--interval takes a time as 500ms, 5s or 1m, a day at most; \"{text}\" is none.");
    }
}
