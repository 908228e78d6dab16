using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Linux.Tests;

/// <summary>A terminal nobody looks at: the program's side, which tests examine and give to children.</summary>
internal sealed unsafe partial class PseudoTerminal : IDisposable
{
    private readonly FileDescriptor _person;

    public PseudoTerminal()
    {
        int person;
        int program;
        byte* name = stackalloc byte[64];
        // SAFETY: both descriptors and the name are written to this stack; "/dev/pts/" and a number fit in 64 bytes.
        FileDescriptor.Check(openpty(&person, &program, name, null, null), "openpty");
        _person = new FileDescriptor(person);
        Program = new FileDescriptor(program);
        Path = Marshal.PtrToStringUTF8((nint)name)!;
    }

    public FileDescriptor Program { get; }

    /// <summary>/dev/pts/N.</summary>
    public string Path { get; }

    /// <summary>The mode, as text that tells two modes apart.</summary>
    public string Mode
    {
        get
        {
            termios mode;
            // SAFETY: TCGETS writes one kernel termios to this stack.
            FileDescriptor.Check(Fcntl.ioctl(Program.Number, Termbits.TCGETS, (nint)(&mode)), "ioctl(TCGETS)");
            return Convert.ToHexString(new ReadOnlySpan<byte>(&mode, sizeof(termios)));
        }
    }

    public bool IsRaw
    {
        get
        {
            termios mode;
            // SAFETY: as above.
            FileDescriptor.Check(Fcntl.ioctl(Program.Number, Termbits.TCGETS, (nint)(&mode)), "ioctl(TCGETS)");
            return (mode.c_lflag & (Termbits.ICANON | Termbits.ECHO | Termbits.ISIG)) == 0
                && (mode.c_iflag & (Termbits.ICRNL | Termbits.IXON)) == 0
                && (mode.c_oflag & Termbits.OPOST) == 0
                && mode.c_cc[Termbits.VMIN] == 1;
        }
    }

    public void Dispose()
    {
        Program.Dispose();
        _person.Dispose();
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int openpty(int* amaster, int* aslave, byte* name, void* termp, void* winp);
}
