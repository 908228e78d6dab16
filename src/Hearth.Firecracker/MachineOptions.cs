using Hearth.Firecracker.Models;

namespace Hearth.Firecracker;

/// <summary>A microVM to be: the monitor's program, and what the default steps of <see cref="MachineSetup"/> put.</summary>
public sealed record MachineOptions
{
    /// <summary>hearth-vmm or firecracker: a path, or a name on PATH.</summary>
    public string Monitor { get; init; } = "hearth-vmm";

    /// <summary>Arguments of the monitor besides its API socket's.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>Where the API socket is made. A jailed monitor's is below its chroot, and this is not used.</summary>
    public string SocketPath { get; init; } = Path.Combine(Path.GetTempPath(), $"firecracker-{Guid.NewGuid():N}.sock");

    /// <summary>Starts the monitor in a jail; null for none. Every path in bodies is then one inside it.</summary>
    public JailerOptions? Jailer { get; init; }

    /// <summary>How long the API socket may take.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromSeconds(10);

    public required BootSource BootSource { get; init; }

    public MachineConfiguration MachineConfig { get; init; } = new() { VcpuCount = 1, MemSizeMib = 128 };

    public IReadOnlyList<Drive> Drives { get; init; } = [];

    public IReadOnlyList<NetworkInterface> NetworkInterfaces { get; init; } = [];

    public IReadOnlyList<Filesystem> Filesystems { get; init; } = [];

    public Vsock? Vsock { get; init; }

    public EntropyDevice? Entropy { get; init; }

    public Balloon? Balloon { get; init; }

    public Logger? Logger { get; init; }

    public Metrics? Metrics { get; init; }

    public MmdsConfig? MmdsConfig { get; init; }

    /// <summary>The metadata to start with: a JSON object in UTF-8; empty for none.</summary>
    public ReadOnlyMemory<byte> Mmds { get; init; }
}

/// <summary>How a jailer starts the monitor. Source: Firecracker docs/jailer.md.</summary>
public sealed record JailerOptions
{
    /// <summary>hearth-jailer or jailer.</summary>
    public string Jailer { get; init; } = "hearth-jailer";

    /// <summary>Letters, digits and hyphens: 64 at most.</summary>
    public required string Id { get; init; }

    /// <summary>The monitor's program, by its full path.</summary>
    public required string ExecFile { get; init; }

    public required int Uid { get; init; }

    public required int Gid { get; init; }

    public string ChrootBaseDir { get; init; } = "/srv/jailer";

    /// <summary>A network namespace's path; null to stay.</summary>
    public string? NetworkNamespace { get; init; }

    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>What is the monitor's <c>/</c>.</summary>
    public string Root => Path.Combine(ChrootBaseDir, Path.GetFileName(ExecFile), Id, "root");
}
