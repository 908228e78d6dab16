using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Setup;

/// <summary>
/// The agent's program as a process that becomes a container's. It is alone in its address space, so it may do to itself
/// what the agent must not: leave namespaces, give up privileges. Descriptors: 0 to 2 as the container's process will have
/// them, 3 the <see cref="SetupChannel"/>, 4 the <see cref="ContainerSetup"/>, 5 the process whose namespaces it enters.
/// </summary>
internal static class SetupRole
{
    public const string Argument = "--set-up-container";

    private const int ChannelNumber = 3;
    private const int SetupNumber = 4;
    private const int TargetNumber = 5;

    public static int Run()
    {
        // First of all: from here on the process can be seen by what runs in the container.
        Credentials.SetUndumpable();
        using var channel = new ControlChannel(ChannelNumber);
        ProcessImage.KeepOpenOnlyHere(ChannelNumber);
        try
        {
            using FileDescriptor document = ProcessImage.Adopt(SetupNumber);
            ContainerSetup setup = ContainerSetup.Parse(Pipe.ReadAll(document));
            // Found before the namespaces change: another /proc could be anything.
            using FileDescriptor descriptors = FileDescriptor.Open("/proc/self/fd", Fcntl.O_PATH | Fcntl.O_DIRECTORY);
            ProcessImage.StartSession();
            if (setup.Container is null)
            {
                Enter(setup, channel, descriptors);
            }
            else
            {
                new ContainerRoot(setup, channel, descriptors).Make();
                if (setup.FindProgram)
                {
                    ProcessStart.FindIn(setup.Process, setup.Process.Cwd);
                }
            }

            channel.Send([SetupChannel.Ready]);
            Span<byte> answer = stackalloc byte[1];
            if (channel.Receive(answer, out _) == 1 && answer[0] == SetupChannel.Go)
            {
                ProcessStart.Become(setup);
            }
        }
        catch (TtrpcException e)
        {
            SetupChannel.SendFailure(channel, e.Code, e.Message);
        }
        catch (Exception e)
        {
            SetupChannel.SendFailure(channel, StatusCode.Unknown, e.Message);
        }

        return 1;
    }

    /// <summary>Gives the process a terminal and the agent its other side.</summary>
    public static void TakeTerminal(ContainerSetup setup, RootDirectory root, ControlChannel channel, FileDescriptor descriptors, Action<FileDescriptor>? more = null)
    {
        using TerminalMaster master = TerminalMaster.Open(root, descriptors);
        using FileDescriptor peer = master.OpenPeer();
        if (setup.Process.ConsoleSize is { } size)
        {
            master.Resize((ushort)size.Width, (ushort)size.Height);
        }

        TerminalMaster.SetOwner(peer, setup.Process.User.Uid);
        for (int number = 0; number <= 2; number++)
        {
            ProcessImage.Duplicate(peer, number);
        }

        TerminalMaster.TakeAsControlling(peer);
        more?.Invoke(peer);
        channel.Send([SetupChannel.Terminal], master);
    }

    private static void Enter(ContainerSetup setup, ControlChannel channel, FileDescriptor descriptors)
    {
        using FileDescriptor target = ProcessImage.Adopt(TargetNumber);
        // A mount namespace can be entered only by who shares its root directory with no other thread.
        Namespaces.Unshare(Sched.CLONE_FS);
        Namespaces.Join(target, setup.Namespaces);
        if (setup.Terminal)
        {
            using var root = new RootDirectory("/");
            TakeTerminal(setup, root, channel, descriptors);
        }
    }
}
