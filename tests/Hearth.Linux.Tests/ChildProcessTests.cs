using Hearth.Linux.Native;

namespace Hearth.Linux.Tests;

/// <summary>Children by posix_spawn, and what is said to them.</summary>
public sealed class ChildProcessTests
{
    [Fact]
    public void A_child_has_the_descriptors_it_is_given_and_none_that_is_close_on_exec()
    {
        (FileDescriptor read, FileDescriptor write) = Pipe.Create();
        using FileDescriptor none = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR);
        using (read)
        {
            int pid;
            using (write)
            {
                pid = ChildProcess.Spawn("/bin/sh", ["sh", "-c", $"echo $0 $X; readlink /proc/$$/fd/0; test -e /proc/$$/fd/{read.Number} && echo open; exit 3"], ["X=y", "PATH=/bin:/usr/bin"], [none, write, none]);
            }

            Assert.Equal("sh y\n/dev/null\n", System.Text.Encoding.UTF8.GetString(Pipe.ReadAll(read)));
            Assert.Equal(3, ChildProcess.Reap(pid));
        }
    }

    [Fact]
    public void Descriptors_may_change_places()
    {
        (FileDescriptor read, FileDescriptor write) = Pipe.Create();
        using FileDescriptor none = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR);
        // The lowest free number is below what it is to become.
        int pid = ChildProcess.Spawn("/bin/sh", ["sh", "-c", "echo here >&5"], [], [none, none, none, none, none, write]);
        write.Dispose();
        using (read)
        {
            Assert.Equal("here\n", System.Text.Encoding.UTF8.GetString(Pipe.ReadAll(read)));
        }

        Assert.Equal(0, ChildProcess.Reap(pid));
    }

    [Fact]
    public void A_child_begins_where_it_is_to()
    {
        (FileDescriptor read, FileDescriptor write) = Pipe.Create();
        using FileDescriptor none = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR);
        int pid = ChildProcess.Spawn("/bin/sh", ["sh", "-c", "pwd"], [], [none, write, none], directory: "/proc");
        write.Dispose();
        using (read)
        {
            Assert.Equal("/proc\n", System.Text.Encoding.UTF8.GetString(Pipe.ReadAll(read)));
        }

        Assert.Equal(0, ChildProcess.Reap(pid));
        Assert.Throws<LinuxException>(() => ChildProcess.Spawn("/bin/sh", ["sh"], [], [none], directory: "/no/such"));
    }

    [Fact]
    public void A_signal_by_pidfd_ends_a_child_and_reaches_no_later_one()
    {
        using FileDescriptor none = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR);
        int pid = ChildProcess.Spawn("/bin/sleep", ["sleep", "1000"], [], [none, none, none]);
        using FileDescriptor pidfd = ChildProcess.OpenPidfd(pid);

        Assert.True(ChildProcess.Signal(pidfd, Signals.SIGTERM));
        Assert.Equal(128 + Signals.SIGTERM, ChildProcess.Reap(pid));
        Assert.False(ChildProcess.Signal(pidfd, Signals.SIGTERM));
    }

    [Fact]
    public void A_program_that_is_not_there_is_an_error()
    {
        using FileDescriptor none = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR);

        Assert.Equal(Errno.ENOENT, Assert.Throws<LinuxException>(() => ChildProcess.Spawn("/no/such", ["x"], [], [none])).Errno);
    }

    [Fact]
    public void A_message_brings_its_descriptor_and_the_end_is_told()
    {
        (ControlChannel near, ControlChannel far) = ControlChannel.CreatePair();
        using FileDescriptor file = Pipe.CreateMemoryFile("test", "content"u8);
        byte[] buffer = new byte[16];
        using (far)
        {
            using (near)
            {
                Assert.True(near.Send("ab"u8, file));
                Assert.True(near.Send("c"u8));
            }

            Assert.Equal(2, far.Receive(buffer, out FileDescriptor? sent));
            using (sent)
            {
                Assert.Equal("content"u8.ToArray(), Pipe.ReadAll(sent!));
            }

            Assert.Equal(1, far.Receive(buffer, out FileDescriptor? none));
            Assert.Null(none);
            Assert.Equal(0, far.Receive(buffer, out _));
            Assert.False(far.Send("x"u8));
        }
    }
}
