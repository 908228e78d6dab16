using System.Collections;
using System.Text;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Bootstrap;

/// <summary>
/// Starts a shim in the background: listening already, in a mount namespace of its own which sees the host's mounts but not the
/// other way, with the bundle's log as its standard error.
/// </summary>
internal sealed record ShimLaunch
{
    private const uint OwnerOnly = 0x3F;
    private const int Backlog = 128;
    private const int ReadyTimeMs = 60_000;

    public required string Namespace { get; init; }

    public required string PodId { get; init; }

    public required string Bundle { get; init; }

    public required ShimPaths Paths { get; init; }

    public required bool Debug { get; init; }

    public required string EventsAddress { get; init; }

    public required string ConfigPath { get; init; }

    /// <summary>The pod's network namespace as the bundle has it; null without one.</summary>
    public required string? Network { get; init; }

    /// <summary>A hook's program that only who has all of root's capabilities can open; null without one.</summary>
    public required string? HookProgram { get; init; }

    /// <summary>Whether somebody listens on a socket.</summary>
    public static bool IsServed(string socket)
    {
        using UnixStream? connection = UnixStream.TryConnect(socket);
        return connection is not null;
    }

    /// <summary>The shim that listens on a socket; null where nobody does, and where whoever does is not this socket's shim.</summary>
    public static ProcessRecord? FindServer(string socket)
    {
        using UnixStream? connection = UnixStream.TryConnect(socket);
        if (connection?.PeerPid is not { } pid || HostProcess.StartTimeOf(pid) is not { } start)
        {
            return null;
        }

        try
        {
            // Read after the time of its start: a later process of this number has another.
            return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0').Contains(socket) ? new ProcessRecord(pid, start) : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Returns when the shim is ready.</summary>
    /// <exception cref="HearthException">It does not come up.</exception>
    public static void Run(ShimLaunch launch)
    {
        (FileDescriptor ready, FileDescriptor tellReady) = Pipe.Create();
        using (ready)
        {
            try
            {
                using (tellReady)
                using (UnixListener tasks = Listen(launch.Paths.Socket))
                using (UnixListener streams = Listen(launch.Paths.StreamSocket))
                using (FileDescriptor nothing = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR))
                using (FileDescriptor log = OpenLog(launch.Bundle))
                using (FileDescriptor mounts = FileDescriptor.Open("/proc/self/ns/mnt", Fcntl.O_RDONLY))
                using (FileDescriptor? network = ManagerNetwork.Open(launch.Network))
                using (FileDescriptor? program = ManagerProgram.Open(launch.HookProgram))
                {
                    Namespaces.OnOwnThread(() =>
                    {
                        Namespaces.Unshare(Sched.CLONE_NEWNS);
                        Mounts.Mount(null, "/", null, SysMount.MS_REC | SysMount.MS_SLAVE);
                        ShimConfinement.Apply();
                        return ChildProcess.Spawn(
                            Environment.ProcessPath!, launch.Arguments(program is not null), launch.Variables(), [nothing, nothing, log, tasks, streams, tellReady, mounts, network ?? nothing, program ?? nothing]);
                    });
                }

                WaitUntilReady(ready);
            }
            catch
            {
                File.Delete(launch.Paths.Socket);
                File.Delete(launch.Paths.StreamSocket);
                throw;
            }
        }
    }

    private static void WaitUntilReady(FileDescriptor ready)
    {
        if (!Polling.WaitReadable(ready, ReadyTimeMs))
        {
            throw new HearthException($"The shim did not say that it is ready in {ReadyTimeMs / 1000} s.");
        }

        string answer = Encoding.UTF8.GetString(Pipe.ReadAll(ready));
        if (answer != ShimProcess.Ready)
        {
            throw new HearthException(answer.Length == 0 ? "The shim ended as soon as it was started." : answer);
        }
    }

    private static UnixListener Listen(string path)
    {
        // Nobody listens there: it was looked.
        File.Delete(path);
        uint mask = ProcessImage.SetFileModeMask(OwnerOnly);
        try
        {
            return UnixListener.Bind(path, Backlog);
        }
        finally
        {
            ProcessImage.SetFileModeMask(mask);
        }
    }

    // containerd reads a FIFO there, others may have a file. Opened both ways, so that no reader is needed.
    private static FileDescriptor OpenLog(string bundle)
    {
        string path = Path.Combine(bundle, "log");
        try
        {
            return File.Exists(path)
                ? FileDescriptor.Open(path, Fcntl.O_RDWR | Fcntl.O_APPEND | Fcntl.O_NONBLOCK)
                : FileDescriptor.Open("/dev/null", Fcntl.O_RDWR);
        }
        catch (LinuxException)
        {
            return FileDescriptor.Open("/dev/null", Fcntl.O_RDWR);
        }
    }

    private List<string> Arguments(bool hasProgram)
    {
        List<string> arguments = [Environment.ProcessPath!, "-namespace", Namespace, "-id", PodId, "-socket", Paths.Socket];
        if (Debug)
        {
            arguments.Add("-debug");
        }

        if (hasProgram)
        {
            arguments.AddRange(["-hook-program", HookProgram!]);
        }

        return arguments;
    }

    private List<string> Variables()
    {
        Dictionary<string, string> variables = [];
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            variables[(string)variable.Key] = (string?)variable.Value ?? "";
        }

        variables["TTRPC_ADDRESS"] = EventsAddress;
        if (ConfigPath.Length > 0)
        {
            variables.TryAdd(ShimConfig.Variable, ConfigPath);
        }

        return [.. variables.Select(static pair => $"{pair.Key}={pair.Value}")];
    }
}
