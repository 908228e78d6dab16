using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Names;
using Hearth.Programs.Hearth.Output;
using Hearth.Programs.Hearth.Shell;

namespace Hearth.Programs.Hearth.Containers;

/// <summary><c>hearth stats</c>, and <c>top</c>, which is the same, all, live.</summary>
internal static class StatsCommands
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_sample = TimeSpan.FromMilliseconds(500);

    public static IEnumerable<Command> Create() => [Stats(), Top()];

    private static Command Stats()
    {
        var names = new Argument<string[]>("CONTAINER") { Description = "Names, or the beginnings of ids; by default all that run", Arity = ArgumentArity.ZeroOrMore };
        names.CompletionSources.Add(Suggestions.Containers);
        var once = new Option<bool>("--no-stream") { Description = "Once, and not again and again" };
        Option<string> format = CommonOptions.Format();
        var command = new Command("stats", "Shows what containers use, live") { names, once, format };
        command.SetDaemonAction(async (result, daemon, cancellation) =>
        {
            HashSet<string>? wanted = result.GetValue(names) is { Length: > 0 } given ? [.. (await Lookup.ContainersAsync(daemon, given, cancellation)).Select(container => container.Id)] : null;
            if (result.GetValue(format) == CommonOptions.Json)
            {
                await PrintJsonAsync(daemon, wanted, result.GetValue(once), cancellation);
            }
            else
            {
                await ShowAsync(daemon, wanted, result.GetValue(once) || Console.IsOutputRedirected, cancellation);
            }
        });
        return command;
    }

    private static Command Top()
    {
        var command = new Command("top", "Shows what all running containers use, live");
        command.SetDaemonAction((_, daemon, cancellation) => ShowAsync(daemon, null, Console.IsOutputRedirected, cancellation));
        return command;
    }

    private static async Task PrintJsonAsync(DaemonClient daemon, HashSet<string>? wanted, bool once, CancellationToken cancellation)
    {
        do
        {
            var answer = new ListContainerStatsResponse();
            answer.Stats.Add(await ReadAsync(daemon, wanted, cancellation));
            Console.WriteLine(Json.Line(answer));
        }
        while (!once && await WaitAsync(s_interval, cancellation));
    }

    private static async Task ShowAsync(DaemonClient daemon, HashSet<string>? wanted, bool once, CancellationToken cancellation)
    {
        // Ctrl-C is how one leaves, and no error.
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context =>
        {
            context.Cancel = true;
            leave.Cancel();
        });
        IReadOnlyList<ContainerStats> before = await ReadAsync(daemon, wanted, cancellation);
        TimeSpan wait = s_sample;
        while (await WaitAsync(wait, leave.Token))
        {
            IReadOnlyList<ContainerStats> now = await ReadAsync(daemon, wanted, cancellation);
            if (!once)
            {
                // Home, and clear what is below: no flicker of an emptied screen.
                Console.Write("\e[H\e[J");
            }

            StatsTable.Of(before, now).Write(Console.Out, Palette.Output);
            if (once)
            {
                return;
            }

            before = now;
            wait = s_interval;
        }
    }

    private static async Task<bool> WaitAsync(TimeSpan time, CancellationToken cancellation)
    {
        try
        {
            await Task.Delay(time, cancellation);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private static async Task<IReadOnlyList<ContainerStats>> ReadAsync(DaemonClient daemon, HashSet<string>? wanted, CancellationToken cancellation)
    {
        ListContainerStatsResponse answer = await daemon.Runtime.ListContainerStatsAsync(new ListContainerStatsRequest(), cancellationToken: cancellation);
        return [.. answer.Stats.Where(one => wanted?.Contains(one.Attributes.Id) ?? true)];
    }
}

/// <summary>What two looks at containers' counters say of the time between.</summary>
internal static class StatsTable
{
    public static Table Of(IReadOnlyList<ContainerStats> before, IReadOnlyList<ContainerStats> now)
    {
        Dictionary<string, ContainerStats> earlier = before.ToDictionary(one => one.Attributes.Id);
        var table = new Table("CONTAINER ID", "NAME", "CPU", "MEMORY", "WORKING SET", "WRITTEN");
        foreach (ContainerStats one in now.OrderByDescending(one => Cpu(earlier.GetValueOrDefault(one.Attributes.Id), one) ?? 0))
        {
            double? cpu = Cpu(earlier.GetValueOrDefault(one.Attributes.Id), one);
            table.Add(
                Humane.ShortId(one.Attributes.Id),
                one.Attributes.Metadata?.Name ?? "",
                cpu is null ? "-" : cpu.Value.ToString("0.0", CultureInfo.InvariantCulture) + " %",
                Bytes(one.Memory?.UsageBytes),
                Bytes(one.Memory?.WorkingSetBytes),
                Bytes(one.WritableLayer?.UsedBytes));
        }

        return table;
    }

    // Percent of one CPU.
    private static double? Cpu(ContainerStats? before, ContainerStats now)
    {
        if (before?.Cpu?.UsageCoreNanoSeconds is { } first && now.Cpu?.UsageCoreNanoSeconds is { } second && now.Cpu.Timestamp > before.Cpu.Timestamp && second.Value >= first.Value)
        {
            return 100.0 * (second.Value - first.Value) / (now.Cpu.Timestamp - before.Cpu.Timestamp);
        }

        return now.Cpu?.UsageNanoCores is { } rate ? rate.Value / 1e7 : null;
    }

    private static string Bytes(UInt64Value? bytes) => bytes is null ? "-" : Humane.Bytes(bytes.Value);
}
