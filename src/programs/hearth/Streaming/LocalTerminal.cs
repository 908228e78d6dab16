using System.Runtime.InteropServices;
using System.Text;
using Hearth.Linux;

namespace Hearth.Programs.Hearth.Streaming;

/// <summary>A terminal's size, in characters.</summary>
internal readonly record struct TerminalSize(ushort Columns, ushort Rows)
{
    /// <summary>As remotecommand's resize channel wants it.</summary>
    public byte[] ToJson() => Encoding.ASCII.GetBytes($"{{\"Width\":{Columns},\"Height\":{Rows}}}");
}

/// <summary>The person's terminal, raw until this is disposed.</summary>
internal sealed class LocalTerminal : IDisposable
{
    private readonly FileDescriptor _input;
    private readonly RawTerminal? _raw;

    private LocalTerminal(FileDescriptor input, RawTerminal? raw)
    {
        _input = input;
        _raw = raw;
    }

    /// <summary>Makes standard input's terminal raw. Where it is none, the container gets a terminal all the same, of no size.</summary>
    public static LocalTerminal Enter()
    {
        var input = new FileDescriptor(0, ownsHandle: false);
        return new LocalTerminal(input, RawTerminal.TryEnter(input));
    }

    /// <summary>Whether standard input is one.</summary>
    public static bool IsThere()
    {
        using var input = new FileDescriptor(0, ownsHandle: false);
        return RawTerminal.IsTerminal(input);
    }

    /// <summary>Tells the size now, and whenever it changes.</summary>
    public IDisposable OnSize(Action<TerminalSize> told)
    {
        Tell();
        return PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => Tell());

        void Tell()
        {
            if (RawTerminal.SizeOf(_input) is { } size)
            {
                told(new TerminalSize(size.Columns, size.Rows));
            }
        }
    }

    public void Dispose()
    {
        _raw?.Dispose();
        _input.Dispose();
    }
}
