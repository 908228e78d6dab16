using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Daemon;
using Hearth.Programs.Hearth.Output;

namespace Hearth.Programs.Hearth.Names;

/// <summary>Something that has an id and names.</summary>
/// <param name="Id">All of it.</param>
/// <param name="Names">Under which a person may know it.</param>
/// <param name="Value">What it is.</param>
internal readonly record struct Named<T>(string Id, IReadOnlyList<string> Names, T Value);

/// <summary>What a person means by a name, or by the beginning of an id.</summary>
internal static class Lookup
{
    private const int Listed = 5;

    /// <summary>
    /// A whole id wins, then a name, then a beginning of an id that only one has.
    /// </summary>
    /// <param name="text">As typed.</param>
    /// <param name="all">What there is.</param>
    /// <param name="kind">What it is called: <c>container</c>.</param>
    /// <param name="listing">The command that shows them all.</param>
    /// <exception cref="CommandLineException">None, or several.</exception>
    public static T Find<T>(string text, IReadOnlyCollection<Named<T>> all, string kind, string listing)
    {
        if (text.Length == 0)
        {
            throw new CommandLineException($"An empty text names no {kind}: {listing} lists them.");
        }

        List<Named<T>> found = [.. all.Where(one => one.Id == text)];
        if (found.Count == 0)
        {
            found = [.. all.Where(one => one.Names.Contains(text))];
        }

        if (found.Count == 0)
        {
            found = [.. all.Where(one => one.Id.StartsWith(text, StringComparison.Ordinal))];
        }

        return found.Count switch
        {
            1 => found[0].Value,
            0 => throw new CommandLineException($"There is no {kind} \"{Humane.Printable(text)}\": {listing} lists them."),
            _ => throw new CommandLineException(
                $"\"{Humane.Printable(text)}\" is {found.Count} {kind}s: {string.Join(", ", found.Take(Listed).Select(one => $"{Humane.ShortId(one.Id)} ({Humane.Printable(one.Names.LastOrDefault() ?? "no name")})"))}{(found.Count > Listed ? ", …" : "")}. Give more of the id."),
        };
    }

    public static async Task<Container> ContainerAsync(DaemonClient daemon, string text, CancellationToken cancellation) =>
        (await ContainersAsync(daemon, [text], cancellation))[0];

    /// <summary>Each of these, in their order; none twice.</summary>
    public static async Task<IReadOnlyList<Container>> ContainersAsync(DaemonClient daemon, IReadOnlyCollection<string> texts, CancellationToken cancellation)
    {
        IReadOnlyCollection<Named<Container>> all = await AllContainersAsync(daemon, cancellation);
        return [.. texts.Select(text => Find(text, all, "container", "hearth ps -a")).DistinctBy(container => container.Id)];
    }

    public static async Task<PodSandbox> PodAsync(DaemonClient daemon, string text, CancellationToken cancellation)
    {
        ListPodSandboxResponse pods = await daemon.Runtime.ListPodSandboxAsync(new ListPodSandboxRequest(), cancellationToken: cancellation);
        return Find(text, [.. pods.Items.Select(Name)], "pod", "hearth pods");
    }

    public static Named<PodSandbox> Name(PodSandbox pod) =>
        new(pod.Id, [pod.Metadata?.Name ?? "", $"{pod.Metadata?.Namespace}/{pod.Metadata?.Name}"], pod);

    /// <summary>A container is known by its name, and by its pod's before it: in a cluster, many have the same.</summary>
    public static Named<Container> Name(Container container, PodSandbox? pod) => new(
        container.Id,
        pod is null ? [container.Metadata?.Name ?? ""] : [container.Metadata?.Name ?? "", $"{pod.Metadata?.Name}/{container.Metadata?.Name}", $"{pod.Metadata?.Namespace}/{pod.Metadata?.Name}/{container.Metadata?.Name}"],
        container);

    private static async Task<IReadOnlyCollection<Named<Container>>> AllContainersAsync(DaemonClient daemon, CancellationToken cancellation)
    {
        ListContainersResponse containers = await daemon.Runtime.ListContainersAsync(new ListContainersRequest(), cancellationToken: cancellation);
        ListPodSandboxResponse pods = await daemon.Runtime.ListPodSandboxAsync(new ListPodSandboxRequest(), cancellationToken: cancellation);
        Dictionary<string, PodSandbox> byId = pods.Items.ToDictionary(pod => pod.Id);
        return [.. containers.Containers.Select(container => Name(container, byId.GetValueOrDefault(container.PodSandboxId)))];
    }
}
