namespace Hearth.Vmm.Mmds;

/// <summary>
/// What all network interfaces of a microVM share of its metadata service: the document, the tokens, the counters and
/// how to answer. Thread: any; <see cref="Configure"/> is for before the start.
/// </summary>
public sealed class MmdsService
{
    /// <param name="sizeLimitBytes"><c>--mmds-size-limit</c>.</param>
    public MmdsService(int sizeLimitBytes) => Store = new MmdsStore(sizeLimitBytes);

    public MmdsStore Store { get; }

    public MmdsTokens Tokens { get; } = new();

    public MmdsMetrics Metrics { get; } = new();

    public MmdsVersion Version { get; private set; }

    /// <summary>Source: <see cref="MmdsConfig.ImdsCompat"/>.</summary>
    public bool ImdsCompat { get; private set; }

    /// <summary>Takes over how to answer; where and for whom is the network stacks' affair.</summary>
    public void Configure(MmdsConfig config)
    {
        Version = config.Version;
        ImdsCompat = config.ImdsCompat;
    }
}
