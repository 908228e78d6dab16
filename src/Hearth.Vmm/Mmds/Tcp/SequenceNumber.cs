namespace Hearth.Vmm.Mmds.Tcp;

/// <summary>Comparison on the circle of 2^32. Source: RFC 9293 §3.4.</summary>
internal static class SequenceNumber
{
    /// <summary>How far <paramref name="a"/> is ahead of <paramref name="b"/>; negative when behind.</summary>
    public static int Distance(uint a, uint b) => unchecked((int)(a - b));
}
