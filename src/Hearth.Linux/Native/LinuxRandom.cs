namespace Hearth.Linux.Native;

/// <summary>linux/random.h.</summary>
public static class LinuxRandom
{
    public const uint RNDADDENTROPY = 0x40085203;
    public const uint RNDRESEEDCRNG = 0x5207;
}
