using System.Text.Json;
using Hearth.Images;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Records;
using Hearth.Runtime.Specs;
using Hearth.Runtime.State;

namespace Hearth.Runtime.Pods;

/// <summary>Processes in containers, streams, ports, and what people want to know.</summary>
public sealed partial class PodRuntime
{
    /// <summary>Runs a command in a running container.</summary>
    /// <param name="id">The container.</param>
    /// <param name="command">Program and arguments.</param>
    /// <param name="timeout">After which the command is killed; null for never.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="PodException">
    /// DeadlineExceeded; FailedPrecondition: it does not run. A program that is not there is no exception but exit code 127, one that
    /// cannot be run 126, with the reason on stderr.
    /// </exception>
    public async Task<ExecResult> ExecSyncAsync(string id, IReadOnlyList<string> command, TimeSpan? timeout = null, CancellationToken cancellation = default)
    {
        ContainerEntry entry = Visible(_containers.Get(id));
        IRunningPod running = RunningOf(entry);
        try
        {
            ProcessSpec process = SpecBuilder.Exec(ProcessOf(entry), entry.Record, null, new ExecOptions { Command = command });
            return await running.RunAsync(entry.Record.Id, process, timeout, cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            throw Failures.Of(e, $"Running \"{command.FirstOrDefault()}\" in {entry.Record.Config.Name}");
        }
    }

    /// <summary>Runs a command in a running container, with streams. It runs when this returns.</summary>
    public async Task<IProcessSession> OpenExecAsync(string id, ExecOptions options, CancellationToken cancellation = default)
    {
        ContainerEntry entry = Visible(_containers.Get(id));
        IRunningPod running = RunningOf(entry);
        try
        {
            Image? image = options.User.Length > 0 ? Images.Find(entry.Record.ImageManifest) : null;
            ProcessSpec process = SpecBuilder.Exec(ProcessOf(entry), entry.Record, image, options);
            return await running.ExecAsync(entry.Record.Id, process, options, cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            throw Failures.Of(e, $"Running \"{options.Command.FirstOrDefault()}\" in {entry.Record.Config.Name}");
        }
    }

    /// <summary>Joins the streams of a container that runs, or is about to be started: output from now on.</summary>
    public async Task<IProcessSession> OpenAttachAsync(string id, AttachOptions options, CancellationToken cancellation = default)
    {
        ContainerEntry entry = Visible(_containers.Get(id));
        IRunningPod running = entry.Record.Phase == ContainerPhase.Created ? entry.Pod.Running ?? throw Ended(entry) : RunningOf(entry);
        if (options.Stdin && !entry.Record.Config.Stdin)
        {
            throw new PodException(PodFault.FailedPrecondition, $"The container {entry.Record.Config.Name} has no standard input: create it with stdin.");
        }

        if (options.Stderr && entry.Record.Config.Tty)
        {
            throw new PodException(PodFault.InvalidArgument, $"The container {entry.Record.Config.Name} has a terminal, which has one output: attach to stdout alone.");
        }

        try
        {
            return await running.AttachAsync(entry.Record, options, cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            throw Failures.Of(e, $"Attaching to {entry.Record.Config.Name}");
        }
    }

    /// <summary>Opens a TCP connection to a port of the pod's loopback interface.</summary>
    /// <exception cref="PodException">NotFound: no such pod, or nobody listens there.</exception>
    public async Task<Stream> OpenPortAsync(string podId, ushort port, CancellationToken cancellation = default)
    {
        PodEntry entry = Visible(_pods.Get(podId));
        try
        {
            return await RunningOf(entry).OpenPortAsync(port, cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            throw Failures.Of(e, $"Connecting to port {port} of pod {entry.Record.Config.Metadata.Name}");
        }
    }

    /// <summary>More about a pod, for people: CRI's verbose info, each value JSON.</summary>
    public async Task<IReadOnlyDictionary<string, string>> DescribePodAsync(string id, CancellationToken cancellation = default)
    {
        PodEntry entry = Visible(_pods.Get(id));
        var info = new Dictionary<string, string> { ["record"] = RecordStore.ToJson(entry.Record) };
        if (entry.Running is { } running)
        {
            try
            {
                foreach ((string key, string value) in await running.DescribeAsync(cancellation).ConfigureAwait(false))
                {
                    info[key] = value;
                }
            }
            catch (Exception e) when (Failures.Of(e, "Describing the pod") is PodException failure)
            {
                info["failure"] = JsonEncodedText.Encode(failure.Message) is var text ? $"\"{text}\"" : "";
            }
        }

        return info;
    }

    /// <summary>More about a container, for people: CRI's verbose info, each value JSON.</summary>
    public async Task<IReadOnlyDictionary<string, string>> DescribeContainerAsync(string id, CancellationToken cancellation = default)
    {
        ContainerEntry entry = Visible(_containers.Get(id));
        var info = new Dictionary<string, string> { ["record"] = RecordStore.ToJson(entry.Record) };
        try
        {
            info["spec"] = await File.ReadAllTextAsync(SpecPath(entry), cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The bundle went with the pod.
        }

        return info;
    }

    private string SpecPath(ContainerEntry entry) => Path.Combine(ContainerFolder(entry.Pod, entry.Record.Id), PodFolders.SpecFile);

    /// <summary>The container's first process, as the bundle has it.</summary>
    private ProcessSpec ProcessOf(ContainerEntry entry)
    {
        if (entry.Process is { } known)
        {
            return known;
        }

        try
        {
            RuntimeSpec spec = RuntimeSpec.Parse(File.ReadAllBytes(SpecPath(entry)));
            return entry.Process = spec.Process ?? throw new JsonException("it has no process");
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            throw new PodException(PodFault.Internal, $"The bundle of {entry.Record.Config.Name} cannot be read: {e.Message}", e);
        }
    }
}
