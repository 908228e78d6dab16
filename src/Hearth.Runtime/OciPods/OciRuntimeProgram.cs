using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Hearth.Configuration;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>What the runtime knows of a container.</summary>
/// <param name="Status"><c>created</c>, <c>running</c>, <c>paused</c>, <c>stopped</c>.</param>
/// <param name="Pid">Of its first process; 0 if it has ended.</param>
internal sealed record OciState(string Status, int Pid);

/// <summary>crun or runc: a command a call. Thread: any. Source: the OCI runtime command line interface.</summary>
internal sealed class OciRuntimeProgram(HearthConfig config)
{
    private const int ErrorTail = 600;
    private const int SigKill = 9;
    private const uint OwnersOnly = 0x180; // 0600
    private static readonly TimeSpan s_timeLimit = TimeSpan.FromMinutes(4);

    /// <summary>Its path; null if there is none.</summary>
    public string? Path => ProgramPath.Find(config.Oci.Runtime);

    public string RequiredPath => Path ?? throw new PodException(
        PodFault.FailedPrecondition, $"There is no program \"{config.Oci.Runtime}\" (oci.runtime): install Debian's package crun or runc.");

    /// <summary>What comes before the command. runc manages cgroups by their files unless told otherwise; crun asks.</summary>
    public IReadOnlyList<string> GlobalOptions =>
        System.IO.Path.GetFileName(config.Oci.Runtime).Contains("crun", StringComparison.Ordinal)
            ? ["--root", OciPaths.StateOf(config), "--cgroup-manager", "cgroupfs"]
            : ["--root", OciPaths.StateOf(config)];

    /// <summary>A process of it, not yet started, with all three streams as pipes.</summary>
    public ProcessStartInfo Start(params IEnumerable<string> arguments) => new(RequiredPath, [.. GlobalOptions, .. arguments])
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
        WorkingDirectory = "/",
    };

    /// <exception cref="PodException">It failed; its own words.</exception>
    public async Task<string> RunAsync(IEnumerable<string> arguments, CancellationToken cancellation)
    {
        (int code, string output, string error) = await TryAsync(arguments, cancellation).ConfigureAwait(false);
        return code == 0 ? output : throw Failure(arguments.First(), error.Length > 0 ? error : $"exit code {code}");
    }

    /// <summary>As <see cref="RunAsync"/>, with the exit code.</summary>
    public async Task<(int Code, string Output, string Error)> TryAsync(IEnumerable<string> arguments, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(s_timeLimit);
        Process process;
        try
        {
            process = Process.Start(Start(arguments))!;
        }
        catch (Win32Exception e)
        {
            throw new PodException(PodFault.FailedPrecondition, $"{RequiredPath} cannot be started: {e.Message}.", e);
        }

        using (process)
        {
            using var streams = new RedirectedStreams(process);
            process.StandardInput.Close();
            try
            {
                Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token);
                Task<string> error = process.StandardError.ReadToEndAsync(limit.Token);
                await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
                return (process.ExitCode, await output.ConfigureAwait(false), await error.ConfigureAwait(false));
            }
            catch (OperationCanceledException)
            {
                Kill(process);
                cancellation.ThrowIfCancellationRequested();
                throw new PodException(PodFault.DeadlineExceeded, $"{config.Oci.Runtime} {arguments.First()} did not end within {s_timeLimit.TotalSeconds} seconds.");
            }
        }
    }

    /// <summary>Makes a container whose process has no streams; it would keep pipes open, which <see cref="TryAsync"/> reads to their ends.</summary>
    /// <param name="bundle">Its folder.</param>
    /// <param name="pidFile">Gets its process id.</param>
    /// <param name="errors">A file that is made: what the runtime says, and the container's errors later.</param>
    /// <param name="id">Its name.</param>
    /// <param name="cancellation">Kills the runtime.</param>
    public async Task CreateAsync(string bundle, string pidFile, string errors, string id, CancellationToken cancellation)
    {
        string program = RequiredPath;
        int pid;
        using (FileDescriptor nothing = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR))
        using (FileDescriptor said = FileDescriptor.Open(errors, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_TRUNC, OwnersOnly))
        {
            pid = ChildProcess.Spawn(
                program, [program, .. GlobalOptions, "create", "--bundle", bundle, "--pid-file", pidFile, id], [Conmon.SearchPath], [nothing, nothing, said]);
        }

        using FileDescriptor process = ChildProcess.OpenPidfd(pid);
        Task<int> ended = Task.Run(() => ChildProcess.Reap(pid), CancellationToken.None);
        try
        {
            if (await ended.WaitAsync(s_timeLimit, cancellation).ConfigureAwait(false) is not 0 and var code)
            {
                string error = await File.ReadAllTextAsync(errors, CancellationToken.None).ConfigureAwait(false);
                throw Failure("create", error.Length > 0 ? error : $"exit code {code}");
            }
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            ChildProcess.Signal(process, SigKill);
            await ended.ConfigureAwait(false);
            cancellation.ThrowIfCancellationRequested();
            throw new PodException(PodFault.DeadlineExceeded, $"{config.Oci.Runtime} create did not end within {s_timeLimit.TotalSeconds} seconds.", e);
        }
    }

    /// <returns>Null if there is no such container.</returns>
    public async Task<OciState?> StateAsync(string id, CancellationToken cancellation)
    {
        (int code, string output, _) = await TryAsync(["state", id], cancellation).ConfigureAwait(false);
        if (code != 0)
        {
            return null;
        }

        try
        {
            JsonNode? state = JsonNode.Parse(output);
            return new OciState((string?)state?["status"] ?? "", (int?)state?["pid"] ?? 0);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new PodException(PodFault.Internal, $"{config.Oci.Runtime} state {id} printed what is no state: {e.Message}", e);
        }
    }

    /// <summary>Kills what is left of a container, and forgets it. One that is gone is no error.</summary>
    public async Task DeleteAsync(string id, CancellationToken cancellation)
    {
        (int code, _, string error) = await TryAsync(["delete", "--force", id], cancellation).ConfigureAwait(false);
        if (code != 0 && await StateAsync(id, cancellation).ConfigureAwait(false) is not null)
        {
            throw Failure("delete", error);
        }
    }

    public PodException Failure(string command, string error)
    {
        string said = Tidy(error);
        return new PodException(PodFault.Internal, $"{System.IO.Path.GetFileName(config.Oci.Runtime)} {command} failed: {said}{(said.EndsWith('.') ? "" : ".")}");
    }

    /// <summary>The runtime's last words, without the time before crun's and the keys around runc's.</summary>
    internal static string Tidy(string error)
    {
        string last = error.Trim().Split('\n').LastOrDefault(static line => line.Trim().Length > 0)?.Trim() ?? "";
        int message = last.IndexOf("msg=\"", StringComparison.Ordinal);
        if (message >= 0 && last.EndsWith('"'))
        {
            last = last[(message + 5)..^1].Replace("\\\"", "\"", StringComparison.Ordinal);
        }
        else if (last.IndexOf(": ", StringComparison.Ordinal) is > 0 and var colon && DateTimeOffset.TryParse(last[..colon], System.Globalization.CultureInfo.InvariantCulture, out _))
        {
            last = last[(colon + 2)..];
        }

        return last.Length == 0 ? "it said nothing" : last.Length > ErrorTail ? "…" + last[^ErrorTail..] : last;
    }

    internal static void Kill(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception or AggregateException)
        {
            // It has ended by itself.
        }
    }
}
