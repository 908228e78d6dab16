using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>sys/ioctl.h: terminals and their sizes.</summary>
public static class TtyIoctls
{
    public const uint TIOCSCTTY = 0x540e;
    public const uint TIOCGWINSZ = 0x5413;
    public const uint TIOCSWINSZ = 0x5414;
    public const uint TIOCSPTLCK = 0x40045431;
    public const uint TIOCGPTPEER = 0x5441;
}

/// <summary>struct winsize.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct winsize
{
    public ushort ws_row;
    public ushort ws_col;
    public ushort ws_xpixel;
    public ushort ws_ypixel;
}
