using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/reboot.h.</summary>
public static partial class SysReboot
{
    public const int RB_AUTOBOOT = 0x1234567;
    public const int RB_POWER_OFF = 0x4321fedc;

    [LibraryImport(Libc.Name, SetLastError = true)]
    public static partial int reboot(int howto);
}
