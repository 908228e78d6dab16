namespace Hearth.Linux.Native;

/// <summary>The one name every <c>LibraryImport</c> of the C library uses.</summary>
internal static class Libc
{
    public const string Name = "libc";
}
