using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>net/if.h.</summary>
public static partial class NetIf
{
    [LibraryImport(Libc.Name, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial uint if_nametoindex(string ifname);
}
