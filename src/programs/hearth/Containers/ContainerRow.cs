using Hearth.Cri.Protocol;
using Hearth.Programs.Hearth.Output;

namespace Hearth.Programs.Hearth.Containers;

/// <summary>One container as a person sees it.</summary>
/// <param name="Container">As listed.</param>
/// <param name="Status">More of it; null if it went meanwhile.</param>
/// <param name="Pod">Whose it is; null if that went.</param>
internal sealed record ContainerRow(Container Container, ContainerStatus? Status, PodSandbox? Pod)
{
    private const int LongestImage = 48;

    public static string[] Heading { get; } = ["CONTAINER ID", "IMAGE", "CREATED", "STATUS", "NAME", "POD"];

    public Table.Cell[] Cells(DateTimeOffset now) =>
    [
        Humane.ShortId(Container.Id),
        Image,
        Humane.Ago(Container.CreatedAt, now),
        new Table.Cell(StatusText(now), Paint),
        Container.Metadata?.Name ?? "",
        Pod is null ? Humane.ShortId(Container.PodSandboxId) : Pod.Metadata?.Name ?? "",
    ];

    /// <summary>docker's words: <c>Up 3 minutes</c>, <c>Exited (1) 2 hours ago</c>.</summary>
    public string StatusText(DateTimeOffset now) => Container.State switch
    {
        ContainerState.ContainerCreated => "Created",
        ContainerState.ContainerRunning => Status is { StartedAt: > 0 } ? $"Up {Humane.Span(now - Humane.Time(Status.StartedAt)!.Value)}" : "Up",
        ContainerState.ContainerExited => Status is null ? "Exited" : $"Exited ({Status.ExitCode}) {Humane.Ago(Status.FinishedAt, now)}{(Status.Reason == "OOMKilled" ? ", out of memory" : "")}",
        _ => "Unknown",
    };

    /// <summary>The image by the name it was asked for, else by its id; cut where it is long.</summary>
    public string Image
    {
        get
        {
            string name = Container.Image?.UserSpecifiedImage is { Length: > 0 } given ? given : Container.Image?.Image ?? "";
            name = name.StartsWith("sha256:", StringComparison.Ordinal) ? Humane.ShortId(name) : name;
            return name.Length > LongestImage ? name[..(LongestImage - 1)] + "…" : name;
        }
    }

    private string Paint(Palette palette, string text) => Container.State switch
    {
        ContainerState.ContainerRunning => palette.Green(text),
        ContainerState.ContainerExited when Status is { ExitCode: not 0 } => palette.Red(text),
        _ => text,
    };
}
