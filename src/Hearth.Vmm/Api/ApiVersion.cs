namespace Hearth.Vmm.Api;

/// <summary>What clients are told about versions; docs/decisions has why.</summary>
public static class ApiVersion
{
    /// <summary>The Firecracker release whose API this is: clients look at it to know what they may ask.</summary>
    public const string Firecracker = "1.17.0";

    /// <summary>Hearth's own.</summary>
    public const string Hearth = "0.1.0";
}
