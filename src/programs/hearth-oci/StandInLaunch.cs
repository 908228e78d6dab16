using System.Collections;
using System.Text;
using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Programs.Oci;

/// <summary>A stand-in that was started and waits for its task.</summary>
internal sealed class StandInLaunch : IDisposable
{
    private StandInLaunch(int pid, ControlChannel control)
    {
        Pid = pid;
        Control = control;
    }

    public int Pid { get; }

    public ControlChannel Control { get; }

    /// <summary>Starts one.</summary>
    /// <param name="consoleSocket">Where the near side of its terminal is sent; null for one without, which has this process's streams.</param>
    /// <param name="network">
    /// A network namespace that it enters, because managers look for the container's at this process; empty for a new one, null for
    /// this process's.
    /// </param>
    public static StandInLaunch Start(string? consoleSocket, string? network)
    {
        (ControlChannel near, ControlChannel far) = ControlChannel.CreatePair();
        using (far)
        using (FileDescriptor? peer = consoleSocket is null ? null : OpenTerminal(consoleSocket))
        {
            FileDescriptor[] standard = peer is null
                ? [new FileDescriptor(0, ownsHandle: false), new FileDescriptor(1, ownsHandle: false), new FileDescriptor(2, ownsHandle: false)]
                : [peer, peer, peer];
            string program = Environment.ProcessPath!;
            string[] arguments = peer is null ? [program, StandIn.Role] : [program, StandIn.Role, "controlling"];
            string[] environment = [.. from DictionaryEntry variable in Environment.GetEnvironmentVariables() select $"{variable.Key}={variable.Value}"];
            int pid = Namespaces.OnOwnThread(() =>
            {
                if (network is { Length: > 0 })
                {
                    using FileDescriptor space = FileDescriptor.Open(network, Fcntl.O_RDONLY);
                    Namespaces.Enter(space, Sched.CLONE_NEWNET);
                }
                else if (network is not null)
                {
                    Namespaces.Unshare(Sched.CLONE_NEWNET);
                }

                return ChildProcess.Spawn(program, arguments, environment, [.. standard, far], newSession: true);
            });
            return new StandInLaunch(pid, near);
        }
    }

    /// <summary>Ends it, where what it stands for was not started.</summary>
    public void Kill()
    {
        using FileDescriptor process = ChildProcess.OpenPidfd(Pid);
        ChildProcess.Signal(process, Signals.SIGKILL);
    }

    /// <summary>Lets it go on by itself; one without a task then ends.</summary>
    public void Dispose() => Control.Dispose();

    private static FileDescriptor OpenTerminal(string socket)
    {
        using var master = new TerminalMaster(OpenMultiplexer());
        FileDescriptor peer = master.OpenPeer();
        try
        {
            // Raw from the start: the guest has a terminal of its own, and what one of them does the other must not do again.
            RawTerminal.MakeRaw(peer);
            using UnixStream console = UnixStream.Connect(socket);
            console.Send(Encoding.ASCII.GetBytes("/dev/ptmx"), [master]);
            return peer;
        }
        catch
        {
            peer.Dispose();
            throw;
        }
    }

    private static int OpenMultiplexer()
    {
        FileDescriptor opened = FileDescriptor.Open("/dev/ptmx", Fcntl.O_RDWR | Fcntl.O_NOCTTY);
        int number = opened.Number;
        // Another object takes the number over.
        opened.SetHandleAsInvalid();
        return number;
    }
}
