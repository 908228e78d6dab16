namespace Hearth.Firecracker.Models;

/// <summary>A custom CPU template. Numbers are text: <c>0x1</c>; bitmaps are <c>0b</c> and 0, 1 or x (as it is) a bit.</summary>
public sealed record CpuConfig
{
    public IReadOnlyList<string>? KvmCapabilities { get; init; }

    public IReadOnlyList<CpuidLeafModifier>? CpuidModifiers { get; init; }

    public IReadOnlyList<MsrModifier>? MsrModifiers { get; init; }

    public IReadOnlyList<ArmRegisterModifier>? RegModifiers { get; init; }

    public IReadOnlyList<VcpuFeatures>? VcpuFeatures { get; init; }
}

/// <summary>What changes of one leaf of CPUID.</summary>
public sealed record CpuidLeafModifier
{
    public required string Leaf { get; init; }

    public required string Subleaf { get; init; }

    public required int Flags { get; init; }

    public required IReadOnlyList<CpuidRegisterModifier> Modifiers { get; init; }
}

/// <summary>What changes of one register of a leaf.</summary>
public sealed record CpuidRegisterModifier
{
    /// <summary>eax, ebx, ecx or edx.</summary>
    public required string Register { get; init; }

    public required string Bitmap { get; init; }
}

/// <summary>What changes of a model specific register.</summary>
public sealed record MsrModifier
{
    public required string Addr { get; init; }

    public required string Bitmap { get; init; }
}

/// <summary>What changes of a register of arm64.</summary>
public sealed record ArmRegisterModifier
{
    public required string Addr { get; init; }

    public required string Bitmap { get; init; }
}

/// <summary>Features of arm64's vCPUs.</summary>
public sealed record VcpuFeatures
{
    public required int Index { get; init; }

    public required string Bitmap { get; init; }
}
