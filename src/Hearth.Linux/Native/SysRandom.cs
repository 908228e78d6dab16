using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/random.h.</summary>
public static unsafe partial class SysRandom
{
    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial nint getrandom(void* buf, nuint buflen, uint flags);
}
