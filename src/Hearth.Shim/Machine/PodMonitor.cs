using Hearth.Configuration;
using Hearth.Firecracker;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Shim.Machine;

/// <summary>
/// The pod's monitor: its process, its API, and the paths by which it sees the host's files. The one place that knows how
/// a monitor is started. Thread: any.
/// </summary>
internal sealed class PodMonitor : IAsyncDisposable
{
    private const int MaxIdLength = 64;

    private readonly string _name;

    private PodMonitor(string name, HostProcess process, IMonitorFiles files)
    {
        _name = name;
        Process = process;
        Client = new FirecrackerClient(files.ApiSocket.Here);
    }

    public HostProcess Process { get; }

    public FirecrackerClient Client { get; }

    /// <summary>What the jailer is started with: the namespaces that it does not make itself.</summary>
    public static HostConfinement Confinement { get; } = new() { NewNamespaces = Sched.CLONE_NEWPID | Sched.CLONE_NEWIPC | Sched.CLONE_NEWUTS };

    /// <summary>Whether it can be asked for what Firecracker does not have.</summary>
    public static bool IsFirecracker(MicrovmConfig config) => Path.GetFileName(config.Monitor) is "firecracker";

    /// <summary>Whether it is started in a jail.</summary>
    public static bool IsJailed(MicrovmConfig config) => config.Jail;

    /// <summary>A pod's id as monitors take it: letters, digits and hyphens, 64 at most.</summary>
    /// <param name="podId">The pod's.</param>
    /// <param name="end">What it ends with.</param>
    public static string IdOf(string podId, string end = "") => string.Concat(podId.Select(static c => char.IsAsciiLetterOrDigit(c) ? c : '-').Take(MaxIdLength - end.Length)) + end;

    /// <summary>Starts it. Its API is not there yet.</summary>
    /// <param name="options">The machine's.</param>
    /// <param name="files">How it sees the host's.</param>
    /// <param name="network">The path of the network namespace that it runs in.</param>
    /// <exception cref="HearthException">There is no such program, or it cannot be started.</exception>
    public static PodMonitor Start(PodMachineOptions options, IMonitorFiles files, string network)
    {
        MicrovmConfig config = options.Config.Microvm;
        string[] arguments = ["--api-sock", files.ApiSocket.There, "--level", "Warning"];
        // The shim makes the PID namespace, not the jailer (--new-pid-ns): so the monitor stays a child, whose end is seen.
        HostProcess process = files is MonitorJail jail
            ? HostProcess.Start(
                ProgramFinder.Find(config.Jailer, "jailer"),
                jail.Arguments(network, arguments),
                Confinement)
            : HostProcess.Start(
                ProgramFinder.Find(config.Monitor, "monitor"),
                ["--id", IdOf(options.PodId), .. arguments],
                new HostConfinement { NetworkNamespace = network });
        return new PodMonitor(config.Monitor, process, files);
    }

    /// <summary>Of Firecracker's API; empty before it answers.</summary>
    public string Version { get; private set; } = "";

    /// <summary>Waits for the API, and asks who it is.</summary>
    /// <returns>The version of Firecracker's API.</returns>
    /// <exception cref="HearthException">It is one that pods cannot run on.</exception>
    public async Task<string> WaitForApiAsync(CancellationToken cancellation)
    {
        Version = await Client.WaitForVersionAsync(() => Process.Exited.IsCompleted, cancellation).ConfigureAwait(false);
        MonitorVersions.Check(_name, Version);
        return Version;
    }

    public async ValueTask DisposeAsync()
    {
        await Process.DisposeAsync().ConfigureAwait(false);
        Client.Dispose();
    }
}
