using Hearth.Linux;
using Hearth.Linux.Native;

namespace Hearth.Programs.Oci;

/// <summary>
/// A process's streams on their way between the manager's descriptors and the shim: three FIFOs, which hold the container's output up
/// while nobody reads, and lose none of it.
/// </summary>
internal sealed class Fifos : IDisposable
{
    private const int BlockBytes = 64 * 1024;

    private readonly bool _terminal;
    private FileDescriptor? _stdout;
    private FileDescriptor? _stderr;

    private Fifos(string folder, string name, bool terminal)
    {
        _terminal = terminal;
        Stdin = Path.Combine(folder, $"{name}.stdin");
        Stdout = Path.Combine(folder, $"{name}.stdout");
        Stderr = terminal ? "" : Path.Combine(folder, $"{name}.stderr");
    }

    public string Stdin { get; }

    public string Stdout { get; }

    /// <summary>Empty with a terminal, which has one output.</summary>
    public string Stderr { get; }

    /// <summary>Makes them.</summary>
    public static Fifos Create(string folder, string name, bool terminal)
    {
        Fifos fifos = At(folder, name, terminal);
        foreach (string path in fifos.Paths)
        {
            Pipe.CreateNamed(path);
        }

        return fifos;
    }

    /// <summary>Those that somebody else has made.</summary>
    public static Fifos At(string folder, string name, bool terminal) => new(folder, name, terminal);

    private string[] Paths => _terminal ? [Stdin, Stdout] : [Stdin, Stdout, Stderr];

    /// <summary>Opens the outputs to read, without waiting for the shim, which opens those of an added process at its start.</summary>
    public void Open()
    {
        _stdout = FileDescriptor.Open(Stdout, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK);
        _stderr = _terminal ? null : FileDescriptor.Open(Stderr, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK);
    }

    /// <summary>Carries the output until the shim has closed it.</summary>
    public Task CarryOutputAsync() => Task.WhenAll(
        Task.Factory.StartNew(() => Copy(_stdout!, 1), TaskCreationOptions.LongRunning),
        _stderr is null ? Task.CompletedTask : Task.Factory.StartNew(() => Copy(_stderr, 2), TaskCreationOptions.LongRunning));

    /// <summary>Carries the input on a thread of its own, which nobody waits for: a read of standard input cannot be given up.</summary>
    /// <param name="ended">The input's end.</param>
    public void CarryInput(Action ended)
    {
        new Thread(() =>
        {
            try
            {
                // Waits for the shim, which opens it when the process is there.
                using FileDescriptor target = FileDescriptor.Open(Stdin, Fcntl.O_WRONLY);
                using var source = new FileDescriptor(0, ownsHandle: false);
                Copy(source, target);
            }
            catch (LinuxException)
            {
                // The process has ended, and its FIFOs with it.
                return;
            }

            ended();
        })
        { IsBackground = true }.Start();
    }

    public void Dispose()
    {
        _stdout?.Dispose();
        _stderr?.Dispose();
        foreach (string path in Paths)
        {
            File.Delete(path);
        }
    }

    private static void Copy(FileDescriptor source, int number)
    {
        // Before the shim has opened it, a read would say that it is the end.
        while (!Polling.WaitReadable(source, -1))
        {
        }

        using var target = new FileDescriptor(number, ownsHandle: false);
        Copy(source, target);
    }

    private static void Copy(FileDescriptor source, FileDescriptor target)
    {
        var block = new byte[BlockBytes];
        bool gone = false;
        while (true)
        {
            int read = ReadSome(source, block);
            if (read <= 0)
            {
                return;
            }

            try
            {
                // Read on all the same: a container is not held up by a manager that has gone.
                if (!gone)
                {
                    Pipe.WriteAll(target, block.AsSpan(0, read));
                }
            }
            catch (LinuxException)
            {
                gone = true;
            }
        }
    }

    private static int ReadSome(FileDescriptor source, byte[] block)
    {
        while (true)
        {
            int read = Polling.Read(source, block);
            if (read >= 0 || LinuxException.LastErrno is not (Errno.EINTR or Errno.EAGAIN))
            {
                return read;
            }

            // A manager's descriptor may be non-blocking.
            Polling.WaitReadable(source, -1);
        }
    }
}
