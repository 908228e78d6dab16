using System.Diagnostics;
using System.Globalization;
using Hearth.Images.Layers;
using Hearth.Images.Oci;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Linux.Seccomp;
using Microsoft.Win32.SafeHandles;

namespace Hearth.Images.Building;

/// <summary>
/// The program that reads images' layers apart from everything else: as a user of its own without capabilities, without a
/// network, with no files but those that are handed to it. It is the calling program itself under another name of its first
/// argument. Source: docs/decisions/0022.
/// </summary>
/// <param name="Program">Its path.</param>
/// <param name="User">The number of its user and group: nobody else's.</param>
public sealed record ImageBuilderProgram(string Program, uint User)
{
    private const string Prepare = "build-image";
    private const string Confined = "build-image-confined";
    private const int ChannelNumber = 3;
    private const int MostLayers = 4096;

    // What it is told of a file is all it has: no other can be opened by number either, and no program started.
    private static readonly string[] s_refused =
    [
        "execve", "execveat", "socket", "connect", "bind", "listen", "accept", "accept4", "ptrace", "process_vm_readv",
        "process_vm_writev", "pidfd_open", "pidfd_getfd", "kill", "tkill", "unshare", "setns", "clone3", "mount", "umount2", "chroot", "pivot_root", "bpf",
        "perf_event_open", "userfaultfd", "io_uring_setup", "keyctl", "add_key", "request_key", "mknod", "mknodat", "link", "linkat",
        "symlink", "symlinkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir",
    ];

    /// <summary>For a program's first lines.</summary>
    /// <param name="arguments">The program's.</param>
    /// <returns>The exit status of what it was asked to be; null if that is not this.</returns>
    public static int? RunIfAsked(ReadOnlySpan<string> arguments)
    {
        if (arguments is not [Prepare or Confined, var number] || !uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out uint user))
        {
            return null;
        }

        try
        {
            if (arguments[0] == Prepare)
            {
                return GiveUp(user);
            }

            // For all threads, the runtime's too.
            Credentials.InstallFilter(FilterCompiler.Refuse(s_refused), LinuxSeccomp.SECCOMP_FILTER_FLAG_TSYNC);
            using var channel = new ControlChannel(ChannelNumber);
            ProcessImage.KeepOpenOnlyHere(ChannelNumber);
            Serve(channel);
            return 0;
        }
        catch (HearthException)
        {
            // Nobody listens any more.
            return 1;
        }
    }

    /// <summary>Starts it for one image.</summary>
    /// <exception cref="HearthException">It cannot be started.</exception>
    internal BuilderProcess Start(int layers, ImageLimits limits)
    {
        (ControlChannel near, ControlChannel far) = ControlChannel.CreatePair();
        using (far)
        using (FileDescriptor nothing = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR))
        {
            int pid = ChildProcess.Spawn(Program, [Program, Prepare, BuilderMessage.Text(User)], ["PATH=/usr/bin:/bin", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1"], [nothing, nothing, nothing, far], newSession: true);
            return new BuilderProcess(pid, near, layers, limits);
        }
    }

    // As root still: what is given up here is the thread's, and the exec takes it over.
    private static int GiveUp(uint user)
    {
        Namespaces.Unshare(Sched.CLONE_NEWNET | Sched.CLONE_NEWIPC | Sched.CLONE_NEWUTS);
        ProcessImage.ChangeDirectory("/");
        Credentials.SetLimit(SysResource.RLIMIT_CORE, 0, 0);
        Credentials.LimitBounding(0);
        Credentials.SetGroups([]);
        Credentials.SetUser(user, user);
        Credentials.SetCapabilities(0, 0, 0);
        Credentials.SetAmbient(0);
        Credentials.SetNoNewPrivileges();
        Errno errno = ProcessImage.Execute("/proc/self/exe", [Confined, Confined, BuilderMessage.Text(user)], ["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1"], [], 0);
        throw new LinuxException("execve(\"/proc/self/exe\")", errno);
    }

    private static void Serve(ControlChannel channel)
    {
        byte[] buffer = new byte[ControlChannel.MaxMessage];
        // One sender at a time, as the channel wants it.
        var sending = new Lock();
        void Send(BuilderMessage message)
        {
            lock (sending)
            {
                message.Send(channel);
            }
        }

        OwnBuild? build = null;
        Digest identity = default;
        SafeFileHandle? image = null;
        while (BuilderMessage.Receive(channel, buffer, out FileDescriptor? descriptor) is { } message)
        {
            switch (message.Word)
            {
                case BuilderMessage.Begin:
                    build = new OwnBuild((int)message.Number(0, MostLayers), new ImageLimits
                    {
                        MaxBytes = message.Number(1, long.MaxValue),
                        MaxEntries = (int)message.Number(2, int.MaxValue),
                        MaxXattrBytes = message.Number(3, long.MaxValue),
                    });
                    break;
                case BuilderMessage.Layer when build is not null && descriptor is not null:
                    int layer = (int)message.Number(0, MostLayers);
                    SafeFileHandle blob = Own(descriptor);
                    var diffId = Digest.Parse(message.Fields[1]);
                    // Others come while it is read.
                    _ = Task.Run(() => Answer(Send, () =>
                    {
                        build.AddLayer(layer, blob, diffId, CancellationToken.None);
                        return new BuilderMessage(BuilderMessage.Layer, BuilderMessage.Text(layer));
                    }));
                    break;
                case BuilderMessage.Image when descriptor is not null:
                    identity = Digest.Parse(message.Fields[0]);
                    image = Own(descriptor);
                    break;
                case BuilderMessage.Users when build is not null && image is not null && descriptor is not null:
                    SafeFileHandle users = Own(descriptor);
                    Answer(Send, () => Write(build, identity, image, users, Send));
                    return;
                default:
                    throw new UnreachableException(message.Word);
            }
        }
    }

    private static BuilderMessage Write(OwnBuild build, Digest identity, SafeFileHandle image, SafeFileHandle users, Action<BuilderMessage> send)
    {
        const int thousandths = 1000;
        int told = 0;
        FlattenedImage made = build.WriteAsync(
            identity,
            image,
            share =>
            {
                int now = (int)(share * thousandths);
                if (now > Volatile.Read(ref told))
                {
                    Volatile.Write(ref told, now);
                    send(new BuilderMessage(BuilderMessage.Share, BuilderMessage.Text(now)));
                }
            },
            CancellationToken.None).GetAwaiter().GetResult();
        RandomAccess.Write(users, made.Passwd, 0);
        RandomAccess.Write(users, made.Group, made.Passwd.Length);
        return new BuilderMessage(BuilderMessage.Done, BuilderMessage.Text(made.Inodes), BuilderMessage.Text(made.Passwd.Length), BuilderMessage.Text(made.Group.Length));
    }

    private static void Answer(Action<BuilderMessage> send, Func<BuilderMessage> work)
    {
        BuilderMessage answer;
        try
        {
            answer = work();
        }
        catch (ImageException e)
        {
            answer = new BuilderMessage(BuilderMessage.Failed, e.Fault.ToString(), e.Message);
        }
        catch (Exception e) when (DurableFile.IsFull(e))
        {
            answer = new BuilderMessage(BuilderMessage.Failed, nameof(ImageFault.NoSpace), e.Message);
        }
        catch (Exception e)
        {
            answer = new BuilderMessage(BuilderMessage.Failed, nameof(ImageFault.Other), e.Message);
        }

        send(answer);
    }

    private static SafeFileHandle Own(FileDescriptor descriptor)
    {
        var handle = new SafeFileHandle(descriptor.Number, ownsHandle: true);
        descriptor.SetHandleAsInvalid();
        return handle;
    }
}
