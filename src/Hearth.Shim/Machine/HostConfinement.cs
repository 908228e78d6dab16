using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>What a program of the host is started with, and never gets rid of. Thread: any.</summary>
internal sealed record HostConfinement
{
    /// <summary>The path of the network namespace it runs in; null for this process's own.</summary>
    public string? NetworkNamespace { get; init; }

    /// <summary><c>CLONE_NEW*</c>: namespaces that it gets of its own; in a PID namespace it is process 1.</summary>
    public int NewNamespaces { get; init; }

    /// <summary>The most capabilities it can have, bit n for capability n; null for this process's own.</summary>
    public ulong? Capabilities { get; init; }

    /// <summary>Neither it nor what it starts gains privileges by an exec.</summary>
    public bool NoNewPrivileges { get; init; }

    /// <summary>Starts something so confined.</summary>
    public int Run(Func<int> spawn)
    {
        if (this == new HostConfinement())
        {
            return spawn();
        }

        // All of it is the thread's own, and its children's.
        int Confined()
        {
            if (NewNamespaces != 0)
            {
                Namespaces.Unshare(NewNamespaces);
            }

            if (Capabilities is { } capabilities)
            {
                Credentials.LimitBounding(capabilities);
            }

            if (NoNewPrivileges)
            {
                Credentials.SetNoNewPrivileges();
            }

            return spawn();
        }

        return NetworkNamespace is null ? Namespaces.OnOwnThread(Confined) : Hearth.Network.NetworkNamespace.Run(NetworkNamespace, Confined);
    }
}
