using System.Diagnostics;
using Hearth.Agent.Protocol;
using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>
/// What is where in a pod's folder, which is one process's at a time: a shim's, from here to the end of the machine, however long
/// that takes; or that of who cleans up after a shim. Thread: any.
/// </summary>
internal sealed class PodFolder : IDisposable
{
    // unix(7): sun_path, with its zero.
    private const int MaxSocketPath = 107;

    /// <summary>The folder of the monitor's jail.</summary>
    public const string JailName = "jail";

    /// <summary>How long whoever has the folder is waited for: a machine that is shut down in order gets five seconds for that.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan s_again = TimeSpan.FromMilliseconds(20);

    private readonly FileDescriptor _directory;

    private PodFolder(string path, FileDescriptor directory)
    {
        Path = path;
        _directory = directory;
    }

    public string Path { get; }

    public string ApiSocket => Socket("api.sock");

    /// <summary>The vsock device's; a guest that connects reaches this and <c>_PORT</c>.</summary>
    public string VsockSocket => Socket("v.sock");

    public string VirtiofsdSocket => Socket("fs.sock");

    /// <summary>An empty file: what a drive has that has no content yet.</summary>
    public string Empty => $"{Path}/empty";

    /// <summary>What virtiofsd serves.</summary>
    public string Shared => $"{Path}/shared";

    public string Record => RecordIn(Path);

    /// <summary>Where a pod's folder has its <see cref="MachineRecord"/>.</summary>
    public static string RecordIn(string folder) => $"{folder}/machine.json";

    /// <summary>Waits for whoever has a pod's folder.</summary>
    /// <param name="path">The folder's.</param>
    /// <param name="patience">How long.</param>
    /// <returns>Null where somebody still has it, and where there is no such folder (any more).</returns>
    public static async Task<FileDescriptor?> TryTakeAsync(string path, TimeSpan patience)
    {
        long start = Stopwatch.GetTimestamp();
        FileDescriptor? taken;
        while ((taken = FolderLock.TryTake(path)) is null && Directory.Exists(path) && Stopwatch.GetElapsedTime(start) < patience)
        {
            await Task.Delay(s_again).ConfigureAwait(false);
        }

        return taken;
    }

    /// <summary>Makes it, for its owner's eyes only.</summary>
    /// <exception cref="HearthException">It stays another process's.</exception>
    public static async Task<PodFolder> CreateAsync(string path)
    {
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        FileDescriptor directory = await TryTakeAsync(path, Patience).ConfigureAwait(false)
            ?? throw new HearthException($"The pod's folder {path} is in use by another shim, which has not ended in {Patience.TotalSeconds} s: end that one first.");
        var folder = new PodFolder(System.IO.Path.GetFullPath(path), directory);
        Directory.CreateDirectory(folder.Shared);
        File.WriteAllBytes(folder.Empty, []);
        return folder;
    }

    /// <summary>Takes away what a machine has put here, and the folder if nothing else is in it.</summary>
    public static void Delete(string path)
    {
        if (!Directory.Exists(path))
        {
            return;
        }

        string shared = $"{path}/shared";
        if (Directory.Exists(shared))
        {
            // Never recursively: what is mounted here is the host's. With a mount in it this fails, and that is right.
            Mounts.Detach(shared);
            Directory.Delete(shared);
        }

        MonitorJail.Remove(path);
        foreach (string name in (string[])["api.sock", "v.sock", $"v.sock_{AgentPorts.Names}", "fs.sock", "empty", "machine.json", "machine.json.next"])
        {
            File.Delete($"{path}/{name}");
        }

        if (!Directory.EnumerateFileSystemEntries(path).Any())
        {
            Directory.Delete(path);
        }
    }

    public void Dispose() => _directory.Dispose();

    // A pod's id has 64 characters, and a socket's path 107 at most. The monitor, which is another process, can go this way too.
    private string Socket(string name)
    {
        string path = $"{Path}/{name}";
        return System.Text.Encoding.UTF8.GetByteCount(path) <= MaxSocketPath ? path : $"{_directory.Door}/{name}";
    }
}
