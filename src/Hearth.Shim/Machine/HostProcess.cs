using System.Globalization;
using System.Net.Sockets;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Shim.Machine;

/// <summary>
/// A program of the host that serves the pod: the end of its output, and its own end, which is seen at once, since nobody
/// else has the other end of its output. No thread waits for it. Thread: any.
/// </summary>
internal sealed class HostProcess : IAsyncDisposable
{
    // The serial console goes here: enough for a panic's last lines.
    private const int TailBytes = 8 << 10;
    private const int BufferBytes = 2 << 10;

    private static readonly string[] s_environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];

    private readonly Socket _output;
    private readonly FileDescriptor _pidfd;

    private HostProcess(string program, int pid, Socket output)
    {
        Program = program;
        Pid = pid;
        StartTime = StartTimeOf(pid) ?? 0;
        _output = output;
        _pidfd = ChildProcess.OpenPidfd(pid);
        Exited = FollowAsync();
    }

    public string Program { get; }

    public int Pid { get; }

    /// <summary>By which the process is told from a later one of the same number.</summary>
    public long StartTime { get; }

    public OutputTail Output { get; } = new(TailBytes);

    /// <summary>Its exit status, or 128 and the number of the signal that ended it.</summary>
    public Task<int> Exited { get; }

    /// <summary>Starts a program; its output is followed from here on.</summary>
    /// <param name="program">Its path.</param>
    /// <param name="arguments">Without the program's own name.</param>
    /// <param name="confinement">What it may and where it is; null for as much as this process.</param>
    /// <param name="inherited">What it has as descriptor 3; null for nothing.</param>
    public static HostProcess Start(string program, IReadOnlyList<string> arguments, HostConfinement? confinement = null, FileDescriptor? inherited = null)
    {
        (FileDescriptor near, FileDescriptor far) = Pipe.CreateSockets();
        using (far)
        using (FileDescriptor nothing = FileDescriptor.Open("/dev/null", Fcntl.O_RDONLY))
        {
            var output = new Socket(new SafeSocketHandle(near.Number, ownsHandle: true));
            near.SetHandleAsInvalid();
            try
            {
                FileDescriptor[] descriptors = inherited is null ? [nothing, far, far] : [nothing, far, far, inherited];
                int Spawn() => ChildProcess.Spawn(program, [program, .. arguments], s_environment, descriptors);
                int pid = confinement is null ? Spawn() : confinement.Run(Spawn);
                MakeKillable(pid);
                return new HostProcess(program, pid, output);
            }
            catch
            {
                output.Dispose();
                throw;
            }
        }
    }

    /// <summary>When a process began, in the kernel's ticks; null if it is gone. Source: proc(5), /proc/PID/stat, field 22.</summary>
    public static long? StartTimeOf(int pid)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            // Its name, in parentheses, may have anything in it.
            return long.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[19], CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // The shim outlives the host's want of memory, to clean up; what serves a guest, and can grow by what the guest does, does not.
    private static void MakeKillable(int pid)
    {
        try
        {
            File.WriteAllText($"/proc/{pid}/oom_score_adj", "0");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It has ended, or this process may not say.
        }
    }

    public void Kill() => ChildProcess.Signal(_pidfd, Signals.SIGKILL);

    /// <summary>Ends it, and waits for its end.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!Exited.IsCompleted)
        {
            Kill();
        }

        await Exited.ConfigureAwait(false);
        _pidfd.Dispose();
        _output.Dispose();
    }

    private async Task<int> FollowAsync()
    {
        byte[] buffer = new byte[BufferBytes];
        int count;
        do
        {
            try
            {
                count = await _output.ReceiveAsync(buffer, SocketFlags.None).ConfigureAwait(false);
                Output.Add(buffer.AsSpan(0, count));
            }
            catch (SocketException)
            {
                count = 0;
            }
        }
        while (count > 0);

        // It has ended, or it has closed its output and means no good.
        Kill();
        return await Task.Run(() => ChildProcess.Reap(Pid)).ConfigureAwait(false);
    }
}
