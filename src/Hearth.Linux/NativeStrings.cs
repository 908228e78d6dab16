using System.Runtime.InteropServices;
using System.Text;

namespace Hearth.Linux;

/// <summary>A zero-terminated array of C strings outside the managed heap: an argv or an environment.</summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    private readonly int _count;

    public NativeStrings(IReadOnlyList<string> strings)
    {
        _count = strings.Count;
        // SAFETY: room for each pointer and the null after the last; each string is its own block with its zero.
        Pointer = (byte**)NativeMemory.AllocZeroed((nuint)_count + 1, (nuint)sizeof(byte*));
        for (int i = 0; i < _count; i++)
        {
            int length = Encoding.UTF8.GetByteCount(strings[i]);
            Pointer[i] = (byte*)NativeMemory.AllocZeroed((nuint)length + 1);
            Encoding.UTF8.GetBytes(strings[i], new Span<byte>(Pointer[i], length));
        }
    }

    public byte** Pointer { get; private set; }

    public void Dispose()
    {
        for (int i = 0; i < _count && Pointer is not null; i++)
        {
            NativeMemory.Free(Pointer[i]);
        }

        NativeMemory.Free(Pointer);
        Pointer = null;
    }
}
