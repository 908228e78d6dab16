using System.Buffers.Binary;
using System.Text;
using Hearth.Linux.Native;

namespace Hearth.Linux.Seccomp;

/// <summary>
/// Ends the process, with a line that says why, when a filter meets a forbidden call (SECCOMP_RET_TRAP, which is SIGSYS). The
/// handler is machine code, for managed code must not run in one: it writes to standard error and to the log, gives the
/// terminal its mode back, and ends with code 148. All its words are in memory of its own, by number: see <see cref="Words"/>.
/// Source of siginfo's layout: asm-generic/siginfo.h. Thread: any.
/// </summary>
public static unsafe class SyscallTrap
{
    /// <summary>Firecracker's exit code for a bad system call.</summary>
    public const byte ExitCode = 148;

    /// <summary>How many kinds of threads have names: what fits in the trap's data, of which three bits are looked at.</summary>
    public const int MaxKinds = 8;

    private const int DataOffset = 5;
    private const int CallsOffset1 = 72;
    private const int CallsOffset2 = 79;
    private const int LogOffset = 4;
    private const int TerminalOffset = 8;
    private const int SpeakingOffset = 12;
    private const int ModeOffset = 16;
    private const int OffsetsOffset = 64;
    private const int FirstKind = 3;
    private const int FirstCall = FirstKind + MaxKinds;

    // Guards s_data's making.
    private static readonly Lock s_lock = new();
    private static byte* s_data;

    // The terminal's descriptor and mode are kept here for a handler that may come later.
    private static (int Descriptor, termios Mode) s_terminal = (-1, default);

    // rsi: siginfo. r8: the data. r9: siginfo. r12: which of the two descriptors. say: rax is the number of the word.
    private static ReadOnlySpan<byte> Handler =>
    [
        0x49, 0x89, 0xf1,                               // mov r9, rsi
        0x49, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,             // mov r8, data                DataOffset
        0xb8, 0x01, 0, 0, 0,                            // mov eax, 1                  one thread speaks, and ends all
        0x41, 0x87, 0x40, SpeakingOffset,               // xchg [r8+12], eax
        0x85, 0xc0,                                     // test eax, eax
        0xf3, 0x90,                                     // wait: pause
        0x75, 0xfc,                                     // jnz wait
        0x45, 0x31, 0xe4,                               // xor r12d, r12d
        0x43, 0x8b, 0x3c, 0xa0,                         // next: mov edi, [r8+r12*4]
        0x31, 0xc0,                                     // xor eax, eax                before the kind
        0xe8, 0x68, 0, 0, 0,                            // call say
        0x41, 0x8b, 0x41, 0x04,                         // mov eax, [r9+4]             si_errno: the trap's data
        0x83, 0xe0, 0x07,                               // and eax, 7
        0x83, 0xc0, FirstKind,                          // add eax, FirstKind
        0xe8, 0x59, 0, 0, 0,                            // call say
        0xb8, 0x01, 0, 0, 0,                            // mov eax, 1                  before the call
        0xe8, 0x4f, 0, 0, 0,                            // call say
        0x41, 0x8b, 0x41, 0x18,                         // mov eax, [r9+24]            si_syscall
        0x3d, 0, 0, 0, 0,                               // cmp eax, calls              CallsOffset1
        0x72, 0x05,                                     // jb known
        0xb8, 0, 0, 0, 0,                               // mov eax, calls              CallsOffset2
        0x83, 0xc0, FirstCall,                          // known: add eax, FirstCall
        0xe8, 0x37, 0, 0, 0,                            // call say
        0xb8, 0x02, 0, 0, 0,                            // mov eax, 2                  after the call
        0xe8, 0x2d, 0, 0, 0,                            // call say
        0x41, 0xff, 0xc4,                               // inc r12d
        0x41, 0x83, 0xfc, 0x02,                         // cmp r12d, 2
        0x72, 0xb1,                                     // jb next
        0x41, 0x8b, 0x78, TerminalOffset,               // mov edi, [r8+8]
        0x85, 0xff,                                     // test edi, edi
        0x78, 0x10,                                     // js over                     no terminal
        0xbe, 0x02, 0x54, 0, 0,                         // mov esi, TCSETS
        0x49, 0x8d, 0x50, ModeOffset,                   // lea rdx, [r8+16]
        0xb8, 16, 0, 0, 0,                              // mov eax, ioctl
        0x0f, 0x05,                                     // syscall
        0xbf, ExitCode, 0, 0, 0,                        // over: mov edi, 148
        0xb8, 231, 0, 0, 0,                             // mov eax, exit_group
        0x0f, 0x05,                                     // syscall
        0x41, 0x0f, 0xb7, 0x74, 0x40, OffsetsOffset,    // say: movzx esi, word [r8+rax*2+64]
        0x41, 0x0f, 0xb7, 0x54, 0x40, OffsetsOffset + 2, // movzx edx, word [r8+rax*2+66]
        0x29, 0xf2,                                     // sub edx, esi                its length
        0x4c, 0x01, 0xc6,                               // add rsi, r8
        0xb8, 1, 0, 0, 0,                               // mov eax, write
        0x0f, 0x05,                                     // syscall
        0xc3,                                           // ret
    ];

    /// <summary>Installs the handler, once for the process; a later call only changes where it writes.</summary>
    /// <param name="kinds">What the trap's data stands for, from 0.</param>
    /// <param name="log">Where the line goes besides standard error; null for nowhere.</param>
    /// <exception cref="HearthException">The host forbids new code.</exception>
    public static void Install(IReadOnlyList<string> kinds, FileDescriptor? log)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(kinds.Count, MaxKinds);
        lock (s_lock)
        {
            if (s_data is null)
            {
                Make(kinds);
            }

            // SAFETY: the block is mapped for good, and the offset is within its head.
            *(int*)(s_data + LogOffset) = log?.Number ?? -1;
        }
    }

    /// <summary>Has a terminal's mode put back at such an end; -1 for none.</summary>
    internal static void SetTerminal(int descriptor, termios mode)
    {
        lock (s_lock)
        {
            s_terminal = (descriptor, mode);
            if (s_data is not null)
            {
                WriteTerminal(s_data);
            }
        }
    }

    private static void Make(IReadOnlyList<string> kinds)
    {
        int calls = SyscallTable.Numbers.Values.Max() + 1;
        byte[][] words = Words(kinds, calls);
        int head = OffsetsOffset + ((words.Length + 1) * sizeof(ushort));
        MemoryMapping block = MemoryMapping.Anonymous((ulong)(head + words.Sum(static word => word.Length) + 4095) & ~4095ul);
        // SAFETY: the block is as long as all that is written to it, and is never unmapped: the handler reads it.
        var data = new Span<byte>(block.Address, (int)block.LengthBytes);
        BinaryPrimitives.WriteInt32LittleEndian(data, 2);
        int offset = head;
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(data[(OffsetsOffset + (i * 2))..], checked((ushort)offset));
            words[i].CopyTo(data[offset..]);
            offset += words[i].Length;
        }

        BinaryPrimitives.WriteUInt16LittleEndian(data[(OffsetsOffset + (words.Length * 2))..], checked((ushort)offset));
        WriteTerminal(block.Address);

        Span<byte> code = stackalloc byte[Handler.Length];
        Handler.CopyTo(code);
        BinaryPrimitives.WriteInt64LittleEndian(code[DataOffset..], block.AddressValue);
        BinaryPrimitives.WriteInt32LittleEndian(code[CallsOffset1..], calls);
        BinaryPrimitives.WriteInt32LittleEndian(code[CallsOffset2..], calls);
        nint handler = NativeCode.Map(code);
        if (handler == 0)
        {
            throw new HearthException("This host forbids new executable pages (SELinux execmem?), which seccomp filters need here to say what they forbade.");
        }

        var action = new sigaction_t { sa_handler = handler, sa_flags = Signals.SA_SIGINFO };
        for (int i = 0; i < 16; i++)
        {
            action.sa_mask[i] = ulong.MaxValue;
        }

        // SAFETY: `action` lives on this stack for the whole call; the handler's page is never unmapped.
        FileDescriptor.Check(Signals.sigaction(Signals.SIGSYS, &action, null), "sigaction(SIGSYS)");
        s_data = block.Address;
    }

    // By number: three parts of the sentence, the kinds, the calls, and what a call without a name is called.
    private static byte[][] Words(IReadOnlyList<string> kinds, int calls)
    {
        string[] words = new string[FirstCall + calls + 1];
        Array.Fill(words, "a system call without a name");
        words[0] = "Error: a thread of kind \"";
        words[1] = "\" called ";
        words[2] = $", which its seccomp filter forbids. Exit code {ExitCode}.\n";
        for (int i = 0; i < MaxKinds; i++)
        {
            words[FirstKind + i] = i < kinds.Count ? kinds[i] : "further";
        }

        foreach ((string name, int number) in SyscallTable.Numbers)
        {
            words[FirstCall + number] = name;
        }

        return [.. words.Select(Encoding.ASCII.GetBytes)];
    }

    private static void WriteTerminal(byte* data)
    {
        // SAFETY: the head of the block has room for both, before OffsetsOffset (36 bytes of termios at 16).
        *(termios*)(data + ModeOffset) = s_terminal.Mode;
        *(int*)(data + TerminalOffset) = s_terminal.Descriptor;
    }
}
