using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>What conmon is to watch over.</summary>
internal sealed record ConmonJob
{
    /// <summary>The container.</summary>
    public required string ContainerId { get; init; }

    /// <summary>The container's, or the exec's.</summary>
    public required string JobId { get; init; }

    /// <summary>Where its control FIFO and its socket for attaching are made.</summary>
    public required string Folder { get; init; }

    public required string PidFile { get; init; }

    public required string ConmonPidFile { get; init; }

    public bool Terminal { get; init; }

    public bool Stdin { get; init; }

    /// <summary>The input stays open when a client lets go of it.</summary>
    public bool LeaveStdinOpen { get; init; }

    /// <summary>In CRI's format; empty for none.</summary>
    public string LogPath { get; init; } = "";

    /// <summary>Where the exit code is left, in a file of the container's name; empty for nowhere.</summary>
    public string ExitFolder { get; init; } = "";

    /// <summary>The process of an exec; null for the container itself.</summary>
    public string? ExecSpec { get; init; }
}

/// <summary>
/// Starts conmon, which starts a container or an exec by the OCI runtime, writes its log, holds its terminal and takes its exit
/// code, and outlives this process. Thread: any. Source: conmon(8) 2.1, its pipes' protocol as of --api-version 1.
/// </summary>
internal sealed class Conmon(HearthConfig config, OciRuntimeProgram runtime)
{
    /// <summary>Of the environment that programs get which start containers.</summary>
    public const string SearchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    private const int SyncDescriptor = 3;
    private const int StartDescriptor = 4;
    private const int AttachDescriptor = 5;

    public string? Path => ProgramPath.Find(config.Oci.Conmon);

    /// <summary>Starts it, and waits until the process exists.</summary>
    /// <param name="job">What to start.</param>
    /// <param name="cgroup">Where conmon itself goes.</param>
    /// <param name="attach">For an exec: called when it can be attached to, and before its process runs.</param>
    /// <param name="cancellation">Ends the wait, not what was begun.</param>
    /// <returns>The process id, and for an exec the wait for its exit code.</returns>
    /// <exception cref="PodException">The runtime refused; its words.</exception>
    public async Task<(int Pid, Task<int>? Exit)> StartAsync(ConmonJob job, OciCgroup cgroup, Action? attach, CancellationToken cancellation)
    {
        string program = Path ?? throw new PodException(PodFault.FailedPrecondition, $"There is no program \"{config.Oci.Conmon}\" (oci.conmon): install Debian's package conmon.");
        string id = job.JobId;
        (FileDescriptor syncRead, FileDescriptor syncWrite) = Pipe.Create();
        (FileDescriptor startRead, FileDescriptor startWrite) = Pipe.Create();
        (FileDescriptor attachRead, FileDescriptor attachWrite) = Pipe.Create();
        (FileDescriptor errorRead, FileDescriptor errorWrite) = Pipe.Create();
        Task<int>? exit = null;
        try
        {
            using (syncWrite)
            using (startRead)
            using (attachWrite)
            using (errorWrite)
            using (FileDescriptor nothing = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR))
            {
                List<string> environment =
                [
                    SearchPath,
                    $"_OCI_SYNCPIPE={SyncDescriptor}",
                    $"_OCI_STARTPIPE={StartDescriptor}",
                ];
                List<FileDescriptor> descriptors = [nothing, nothing, errorWrite, syncWrite, startRead];
                if (job.ExecSpec is not null)
                {
                    environment.Add($"_OCI_ATTACHPIPE={AttachDescriptor}");
                    descriptors.Add(attachWrite);
                }

                // It leaves a file "oom" where it is when its container runs out of memory.
                int first = ChildProcess.Spawn(program, [program, .. Arguments(job)], environment, descriptors, directory: job.Folder);
                // It waits for a word before it goes into the background, so that all of it is in the right cgroup.
                cgroup.AddServant(first);
                Pipe.WriteAll(startWrite, [0]);
                _ = Task.Run(() => ChildProcess.Reap(first), CancellationToken.None);
            }

            if (job.ExecSpec is not null)
            {
                _ = await ReadLineAsync(attachRead, cancellation).ConfigureAwait(false)
                    ?? throw new PodException(PodFault.Internal, $"conmon failed for {id}: {OciRuntimeProgram.Tidy(await ReadRestAsync(errorRead).ConfigureAwait(false))}.");
                attach?.Invoke();
                Pipe.WriteAll(startWrite, [0]);
            }

            startWrite.Dispose();
            (int pid, string message) = await ReadAnswerAsync(syncRead, cancellation).ConfigureAwait(false)
                ?? throw new PodException(PodFault.Internal, $"conmon failed for {id}: {OciRuntimeProgram.Tidy(await ReadRestAsync(errorRead).ConfigureAwait(false))}.");
            if (pid <= 0)
            {
                throw runtime.Failure(job.ExecSpec is null ? "create" : "exec", message);
            }

            if (job.ExecSpec is not null)
            {
                exit = ReadExitAsync(syncRead);
            }

            return (pid, exit);
        }
        finally
        {
            startWrite.Dispose();
            attachRead.Dispose();
            errorRead.Dispose();
            if (exit is null)
            {
                syncRead.Dispose();
            }
        }
    }

    private List<string> Arguments(ConmonJob job)
    {
        List<string> arguments =
        [
            "--api-version", "1", "-c", job.ContainerId, "-u", job.JobId, "-n", job.JobId, "-r", runtime.RequiredPath, "-b", job.Folder,
            "-p", job.PidFile, "-P", job.ConmonPidFile, "--full-attach", "--log-level", "error", "-l", job.LogPath.Length == 0 ? "none" : "k8s-file:" + job.LogPath,
        ];
        foreach (string option in runtime.GlobalOptions)
        {
            arguments.Add("--runtime-arg=" + option);
        }

        void If(bool condition, params ReadOnlySpan<string> options)
        {
            if (condition)
            {
                arguments.AddRange(options);
            }
        }

        If(job.Terminal, "-t");
        If(job.Stdin, "-i");
        If(job.LeaveStdinOpen, "--leave-stdin-open");
        If(job.ExitFolder.Length > 0, "--exit-dir", job.ExitFolder);
        If(job.ExecSpec is not null, "-e", "--exec-attach", "--exec-process-spec", job.ExecSpec ?? "");
        return arguments;
    }

    private static async Task<int> ReadExitAsync(FileDescriptor sync)
    {
        using (sync)
        {
            // Without an answer conmon was killed, and what it held with it.
            return await ReadAnswerAsync(sync, CancellationToken.None).ConfigureAwait(false) is var (code, _) ? code : 137;
        }
    }

    // {"data": 123} or {"data": -1, "message": "…"}, a line each; null at the end.
    private static async Task<(int Data, string Message)?> ReadAnswerAsync(FileDescriptor pipe, CancellationToken cancellation)
    {
        if (await ReadLineAsync(pipe, cancellation).ConfigureAwait(false) is not { } line)
        {
            return null;
        }

        try
        {
            JsonNode? answer = JsonNode.Parse(line);
            return ((int?)answer?["data"] ?? -1, (string?)answer?["message"] ?? "");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return (-1, line);
        }
    }

    private static Task<string?> ReadLineAsync(FileDescriptor pipe, CancellationToken cancellation) => Task.Run(
        () =>
        {
            var line = new List<byte>();
            byte[] one = new byte[1];
            while (Polling.Read(pipe, one) is var count)
            {
                if (count < 0 && LinuxException.LastErrno == Errno.EINTR)
                {
                    continue;
                }

                if (count <= 0 || one[0] == (byte)'\n')
                {
                    break;
                }

                line.Add(one[0]);
            }

            return line.Count == 0 ? null : Encoding.UTF8.GetString([.. line]);
        },
        CancellationToken.None).WaitAsync(cancellation);

    private static Task<string> ReadRestAsync(FileDescriptor pipe) => Task.Run(() => Encoding.UTF8.GetString(Pipe.ReadAll(pipe)));
}
