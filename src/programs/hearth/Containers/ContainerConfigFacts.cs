using System.Text.Json;
using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;

namespace Hearth.Programs.Hearth.Containers;

/// <summary>What attaching must know of how a container was made, which CRI's status says only in its verbose info.</summary>
/// <param name="Tty">It has a terminal.</param>
/// <param name="Stdin">It has an input.</param>
internal readonly record struct ContainerConfigFacts(bool Tty, bool Stdin)
{
    public static async Task<ContainerConfigFacts> OfAsync(DaemonClient daemon, string containerId, CancellationToken cancellation)
    {
        ContainerStatusResponse answer = await daemon.Runtime.ContainerStatusAsync(new ContainerStatusRequest { ContainerId = containerId, Verbose = true }, cancellationToken: cancellation);
        if (answer.Status.State != ContainerState.ContainerRunning)
        {
            throw new CommandLineException($"{answer.Status.Metadata?.Name} does not run, so there is nothing to attach to. hearth logs {answer.Status.Metadata?.Name} shows what it said.", CommandLineException.RuntimeFailed);
        }

        return Of(answer.Info);
    }

    /// <summary>Looks through all of the info for <c>tty</c> and <c>stdin</c>: what is around them is the daemon's own.</summary>
    internal static ContainerConfigFacts Of(IEnumerable<KeyValuePair<string, string>> info)
    {
        bool tty = false;
        bool stdin = false;
        foreach ((_, string value) in info)
        {
            try
            {
                using var document = JsonDocument.Parse(value);
                tty |= Find(document.RootElement, "tty");
                stdin |= Find(document.RootElement, "stdin");
            }
            catch (JsonException)
            {
                // Not all of it is JSON.
            }
        }

        return new ContainerConfigFacts(tty, stdin);
    }

    private static bool Find(JsonElement element, string name) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().Any(property => (property.NameEquals(name) && property.Value.ValueKind == JsonValueKind.True) || Find(property.Value, name)),
        JsonValueKind.Array => element.EnumerateArray().Any(item => Find(item, name)),
        _ => false,
    };
}
