namespace Hearth.Linux.Native;

/// <summary>linux/nsfs.h.</summary>
public static class LinuxNsfs
{
    public const uint NS_GET_NSTYPE = 0xb703;
}
