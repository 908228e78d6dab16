namespace Hearth.Shim.Machine;

/// <summary>The host's files as a monitor sees them: as everybody, or from inside a jail. Thread: any.</summary>
internal interface IMonitorFiles : IDisposable
{
    /// <summary>Who the monitor runs as; null for root.</summary>
    uint? Owner { get; }

    /// <summary>The API's socket, as this process sees it, and as the monitor does.</summary>
    (string Here, string There) ApiSocket { get; }

    /// <summary>The vsock device's socket, as this process sees it, and as the monitor does.</summary>
    (string Here, string There) VsockSocket { get; }

    /// <summary>Lets the monitor have a file of the host, once or again.</summary>
    /// <param name="hostPath">The file, device or socket.</param>
    /// <param name="writable">A jailed monitor may change it; a socket can be connected to either way.</param>
    /// <returns>The path by which it opens it.</returns>
    string Lend(string hostPath, bool writable = false);

    /// <summary>Takes a file back that the monitor has closed.</summary>
    void TakeBack(string hostPath);

    /// <summary>What the monitor says, with the host's paths.</summary>
    string Translate(string message);
}

/// <summary>A monitor without a jail.</summary>
internal sealed class PlainMonitorFiles(PodFolder folder) : IMonitorFiles
{
    public uint? Owner => null;

    public (string Here, string There) ApiSocket => (folder.ApiSocket, folder.ApiSocket);

    public (string Here, string There) VsockSocket => (folder.VsockSocket, folder.VsockSocket);

    public string Lend(string hostPath, bool writable) => hostPath;

    public void TakeBack(string hostPath)
    {
    }

    public string Translate(string message) => message;

    public void Dispose()
    {
    }
}
