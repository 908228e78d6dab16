using Hearth.Legacy;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Platform.Interrupts;

namespace Hearth.Vmm.Devices;

/// <summary>
/// The host's side of ttyS0: output to stdout or a file, input from stdin, both without blocking a vCPU.
/// <para>Thread: <see cref="ISerialOutput"/> under the port's lock; the rest on the event loop.</para>
/// </summary>
public sealed class SerialConsole : ISerialOutput, IDisposable
{
    private static readonly TimeSpan s_flushDelay = TimeSpan.FromMilliseconds(5);

    private readonly EventLoop _loop;
    private readonly FileDescriptor _output;
    private readonly InputPump? _input;
    private readonly RawTerminal? _terminal;
    private readonly TimerFd _timer = new();
    private readonly EventRegistration _timerRegistration;
    private int _timerArmed;

    /// <param name="line">The port's interrupt.</param>
    /// <param name="loop">Runs input and late flushes.</param>
    /// <param name="outputPath">A file or FIFO for output; null for stdout, with stdin as input.</param>
    /// <exception cref="LinuxException">The output cannot be opened.</exception>
    public SerialConsole(IInterruptLine line, EventLoop loop, string? outputPath)
    {
        _loop = loop;
        _output = outputPath is null
            ? OpenStdout()
            : FileDescriptor.Open(
                outputPath,
                Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND | Fcntl.O_NONBLOCK,
                0x1a4,
                "Check serial_out_path; a FIFO needs a reader before the microVM starts.");
        Port = new Serial(line, this);
        _timerRegistration = loop.Add(_timer, EpollEvents.In, new FlushTimer(this));
        if (outputPath is null)
        {
            var stdin = new FileDescriptor(0, ownsHandle: false);
            _terminal = RawTerminal.TryEnter(stdin);

            // A terminal in other hands is not read: the kernel would stop a process in the background that did.
            _input = _terminal is null && RawTerminal.IsTerminal(stdin) ? null : InputPump.TryStart(loop, Port, stdin);
        }
    }

    /// <summary>The guest's side.</summary>
    public Serial Port { get; }

    int ISerialOutput.Write(ReadOnlySpan<byte> data) => Polling.WriteWithoutBlocking(_output, data);

    void ISerialOutput.FlushSoon()
    {
        // One timer for all bytes of the next milliseconds, not one a byte.
        if (Interlocked.Exchange(ref _timerArmed, 1) == 0)
        {
            _timer.Arm(s_flushDelay);
        }
    }

    /// <summary>After the vCPUs have ended: what they wrote last is sent. The loop has ended too.</summary>
    public void Dispose()
    {
        Port.Flush();
        _input?.Dispose();
        _terminal?.Dispose();
        _loop.Remove(_timerRegistration);
        _timer.Dispose();
        _output.Dispose();
    }

    // A terminal that stands still (a stuck ssh) blocks a write even where poll(2) called it ready. Opened again it gets
    // a mode of its own, O_NONBLOCK, that whoever shares fd 1 does not see.
    private static FileDescriptor OpenStdout()
    {
        var stdout = new FileDescriptor(1, ownsHandle: false);
        if (!RawTerminal.IsTerminal(stdout))
        {
            return stdout;
        }

        try
        {
            return FileDescriptor.Open("/proc/self/fd/1", Fcntl.O_WRONLY | Fcntl.O_NONBLOCK | Fcntl.O_NOCTTY);
        }
        catch (LinuxException)
        {
            // In a jail without /proc.
            return stdout;
        }
    }

    private sealed class FlushTimer(SerialConsole console) : IEventHandler
    {
        public void OnReady(EpollEvents events)
        {
            console._timer.Drain();
            Volatile.Write(ref console._timerArmed, 0);
            console.Port.Flush();
        }
    }

    /// <summary>Moves stdin into the port, and stops reading while the guest does not.</summary>
    private sealed class InputPump : IEventHandler, IDisposable
    {
        private readonly EventLoop _loop;
        private readonly Serial _port;
        private readonly FileDescriptor _stdin;
        private readonly byte[] _pending = new byte[256];
        private readonly EventRegistration _registration;
        private int _start;
        private int _count;
        private bool _ended;

        private InputPump(EventLoop loop, Serial port, FileDescriptor stdin)
        {
            _loop = loop;
            _port = port;
            _stdin = stdin;
            _registration = loop.Add(_stdin, EpollEvents.In, this);
            port.InputSpaceFreed = () => loop.Post(Deliver);
        }

        /// <summary>Null where stdin cannot be waited for: a regular file, /dev/null, or closed.</summary>
        public static InputPump? TryStart(EventLoop loop, Serial port, FileDescriptor stdin)
        {
            try
            {
                return new InputPump(loop, port, stdin);
            }
            catch (LinuxException e) when (e.Errno is Errno.EPERM or Errno.EBADF)
            {
                return null;
            }
        }

        public void OnReady(EpollEvents events)
        {
            if (_count > 0)
            {
                Deliver();
                return;
            }

            _count = Polling.Read(_stdin, _pending);
            _start = 0;
            if (_count <= 0)
            {
                // End of input is no reason to end the guest.
                _count = 0;
                _ended = true;
                _loop.Remove(_registration);
                return;
            }

            Deliver();
        }

        public void Dispose()
        {
            if (!_ended)
            {
                _loop.Remove(_registration);
            }
        }

        private void Deliver()
        {
            int taken = _port.EnqueueInput(_pending.AsSpan(_start, _count));
            _start += taken;
            _count -= taken;
            if (!_ended)
            {
                _loop.Modify(_registration, _count > 0 ? EpollEvents.None : EpollEvents.In);
            }
        }
    }
}
