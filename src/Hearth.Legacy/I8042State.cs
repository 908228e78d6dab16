namespace Hearth.Legacy;

/// <summary>What a snapshot keeps of the keyboard controller.</summary>
public sealed record I8042State
{
    /// <summary>The command whose argument has not come yet; 0 for none.</summary>
    public required byte Command { get; init; }

    public required byte Control { get; init; }

    public required byte OutputPort { get; init; }

    /// <summary>Bytes the guest has not read.</summary>
    public required byte[] Output { get; init; }
}
