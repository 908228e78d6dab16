using System.Runtime.InteropServices;
using System.Text;
using Hearth.Linux;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;
using Hearth.Ttrpc;

namespace Hearth.Programs.Oci;

/// <summary>What a stand-in stands for.</summary>
/// <param name="Shim">Where the container's shim listens.</param>
/// <param name="Id">The container.</param>
/// <param name="ExecId">The process; empty for the first.</param>
/// <param name="Folder">Where its FIFOs are.</param>
/// <param name="Terminal">It has one.</param>
internal sealed record StandInTask(string Shim, string Id, string ExecId, string Folder, bool Terminal)
{
    public string FifoName => ExecId.Length == 0 ? "init" : ExecId;

    public string Encode() => string.Join('\n', Shim, Id, ExecId, Folder, Terminal ? "1" : "0");

    public static StandInTask Decode(string text) => text.Split('\n') is [string shim, string id, string execId, string folder, string terminal]
        ? new StandInTask(shim, id, execId, folder, terminal == "1")
        : throw new OciException("The stand-in was told nothing it understands.");
}

/// <summary>
/// The process that stands for a container's process on the host: managers have its number, wait for its end, take its exit status,
/// and read and write its standard streams, which are the container's.
/// </summary>
internal static class StandIn
{
    public const string Role = "--stand-in";

    private const int ControlDescriptor = 3;
    private const string Ready = "ready";
    private const int LostStatus = 137;

    private static readonly (PosixSignal Signal, uint Number)[] s_forwarded =
        [(PosixSignal.SIGHUP, 1), (PosixSignal.SIGINT, 2), (PosixSignal.SIGQUIT, 3), (PosixSignal.SIGTERM, 15)];

    /// <summary>
    /// The role. Everything is done on other threads: the first one gets the container's root, because /proc/PID/root and /proc/PID/ns/mnt
    /// are that thread's. Thread: the process's first.
    /// </summary>
    public static int Run(bool controlling)
    {
        int status = LostStatus;
        var door = new StandInRoot();
        var worker = new Thread(() =>
        {
            try
            {
                status = RunAsync(controlling, door).GetAwaiter().GetResult();
            }
            finally
            {
                door.Close();
            }
        });
        worker.Start();
        door.Serve();
        worker.Join();
        return status;
    }

    // Told over descriptor 3 what it stands for, once that has been made.
    private static async Task<int> RunAsync(bool controlling, StandInRoot door)
    {
        var control = new ControlChannel(ControlDescriptor);
        ProcessImage.KeepOpenOnlyHere(ControlDescriptor);
        if (controlling)
        {
            using var terminal = new FileDescriptor(0, ownsHandle: false);
            TerminalMaster.TakeAsControlling(terminal);
        }

        var told = new byte[ControlChannel.MaxMessage];
        int length = control.Receive(told, out FileDescriptor? unexpected);
        unexpected?.Dispose();
        if (length == 0)
        {
            // Whoever creates has failed, and says so itself.
            return LostStatus;
        }

        StandInTask task = StandInTask.Decode(Encoding.UTF8.GetString(told, 0, length));
        if (task.ExecId.Length == 0 && door.Enter(Path.Combine(task.Folder, StateFolder.BundleName)) is { } failure)
        {
            control.Send(Encoding.UTF8.GetBytes(failure));
            return LostStatus;
        }

        int status = await StandAsync(task, () =>
        {
            control.Send(Encoding.UTF8.GetBytes(Ready));
            control.Dispose();
            return Task.CompletedTask;
        });
        if (task.ExecId.Length == 0 && HostProcess.IsOrphan(await File.ReadAllTextAsync("/proc/self/stat")))
        {
            await EndMachineAsync(task);
        }

        return status;
    }

    // Podman whose conmon was killed never deletes a container: of runc's that leaves a folder, of ours it would leave a machine. A
    // delete that comes after all finds nothing, which is no error.
    private static async Task EndMachineAsync(StandInTask task)
    {
        try
        {
            await using ShimClient shim = await ShimClient.ConnectAsync(task.Shim);
            await shim.DeleteAsync(task.Id);
            await shim.ShutdownAsync(task.Id);
        }
        catch (Exception e) when (e is TtrpcException or System.Net.Sockets.SocketException)
        {
            // It has gone already.
        }
    }

    /// <summary>Waits for a stand-in to have taken its task.</summary>
    public static void Tell(ControlChannel control, StandInTask task)
    {
        var answer = new byte[ControlChannel.MaxMessage];
        int length = control.Send(Encoding.UTF8.GetBytes(task.Encode())) ? control.Receive(answer, out _) : 0;
        string said = Encoding.UTF8.GetString(answer, 0, length);
        if (said != Ready)
        {
            throw new OciException($"The process that stands for {task.Id} has ended. {said}".TrimEnd());
        }
    }

    /// <summary>Carries the streams until the process has ended, which is not started before they are open.</summary>
    /// <param name="task">Whose.</param>
    /// <param name="opened">Called when they are open.</param>
    /// <returns>Its exit status.</returns>
    public static async Task<int> StandAsync(StandInTask task, Func<Task> opened)
    {
        await using ShimClient shim = await ShimClient.ConnectAsync(task.Shim);
        using Fifos fifos = Fifos.At(task.Folder, task.FifoName, task.Terminal);
        using var signals = new Registrations(s_forwarded.Select(one => PosixSignalRegistration.Create(one.Signal, context =>
        {
            context.Cancel = true;
            Forget(shim.KillAsync(task.Id, one.Number, all: false, task.ExecId));
        })));
        using PosixSignalRegistration? sizes = task.Terminal ? PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => Resize(shim, task)) : null;
        Task<WaitResponse> ended = shim.WaitAsync(task.Id, task.ExecId);
        fifos.Open();
        Task output = fifos.CarryOutputAsync();
        await opened();
        fifos.CarryInput(() => Forget(shim.CloseIOAsync(task.Id, task.ExecId)));
        if (task.Terminal)
        {
            Resize(shim, task);
        }

        try
        {
            WaitResponse end = await ended;
            await output;
            await ForgetAsync(shim, task);
            return (int)end.ExitStatus;
        }
        catch (TtrpcException)
        {
            // The shim is gone, and the machine with it.
            return LostStatus;
        }
    }

    /// <summary>Lets the shim forget an added process that has ended, or was not started. The first one is forgotten with its container.</summary>
    public static async Task ForgetAsync(ShimClient shim, StandInTask task)
    {
        try
        {
            if (task.ExecId.Length > 0)
            {
                await shim.DeleteAsync(task.Id, task.ExecId);
            }
        }
        catch (TtrpcException)
        {
            // The container is gone, and it with it.
        }
    }

    private static void Resize(ShimClient shim, StandInTask task)
    {
        using var terminal = new FileDescriptor(0, ownsHandle: false);
        if (RawTerminal.SizeOf(terminal) is { } size)
        {
            Forget(shim.ResizePtyAsync(task.Id, task.ExecId, size.Columns, size.Rows));
        }
    }

    // What it was for may have ended meanwhile.
    private static void Forget(Task call) => _ = call.ContinueWith(static task => task.Exception, TaskScheduler.Default);

    private sealed class Registrations(IEnumerable<PosixSignalRegistration> all) : IDisposable
    {
        private readonly List<PosixSignalRegistration> _all = [.. all];

        public void Dispose() => _all.ForEach(static one => one.Dispose());
    }
}
