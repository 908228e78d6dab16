using Hearth.Configuration;
using Hearth.Images.Building;

namespace Hearth.Runtime.Pods;

/// <summary>What <see cref="PodRuntime"/> works with.</summary>
public sealed record PodRuntimeOptions
{
    public required HearthConfig Config { get; init; }

    /// <summary>The configuration's path, for shims; null for none, then they go by their defaults.</summary>
    public string? ConfigPath { get; init; }

    /// <summary>Who reads images' layers; null for this process.</summary>
    public ImageBuilderProgram? ImageBuilder { get; init; }

    /// <summary>Told what nobody waits for: a pod that was found dead, a clean-up that failed. One line each. Thread: any.</summary>
    public Action<string> Log { get; init; } = static _ => { };
}
