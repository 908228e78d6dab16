using System.Runtime.InteropServices;

namespace Hearth.Linux.Native;

/// <summary>spawn.h. Its functions return the error number; errno stays as it is.</summary>
public static unsafe partial class Spawning
{
    public const short POSIX_SPAWN_SETSIGDEF = 4;
    public const short POSIX_SPAWN_SETSIGMASK = 8;
    public const short POSIX_SPAWN_SETSID = 128;

    [LibraryImport(Libc.Name)]
    public static partial int posix_spawn(
        int* pid, byte* path, posix_spawn_file_actions_t* actions, posix_spawnattr_t* attributes, byte** argv, byte** envp);

    [LibraryImport(Libc.Name)]
    public static partial int posix_spawn_file_actions_init(posix_spawn_file_actions_t* actions);

    [LibraryImport(Libc.Name)]
    public static partial int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t* actions, int fd, int newfd);

    [LibraryImport(Libc.Name)]
    public static partial int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t* actions, byte* path);

    [LibraryImport(Libc.Name)]
    public static partial int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t* actions);

    [LibraryImport(Libc.Name)]
    public static partial int posix_spawnattr_init(posix_spawnattr_t* attributes);

    [LibraryImport(Libc.Name)]
    public static partial int posix_spawnattr_setflags(posix_spawnattr_t* attributes, short flags);

    [LibraryImport(Libc.Name)]
    public static partial int posix_spawnattr_setsigdefault(posix_spawnattr_t* attributes, sigset_t* signals);

    [LibraryImport(Libc.Name)]
    public static partial int posix_spawnattr_setsigmask(posix_spawnattr_t* attributes, sigset_t* signals);

    [LibraryImport(Libc.Name)]
    public static partial int posix_spawnattr_destroy(posix_spawnattr_t* attributes);
}

/// <summary>posix_spawn_file_actions_t: the C library's own business, of 80 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 80)]
public struct posix_spawn_file_actions_t
{
    private readonly long _opaque;
}

/// <summary>posix_spawnattr_t: the C library's own business, of 336 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 336)]
public struct posix_spawnattr_t
{
    private readonly long _opaque;
}

/// <summary>sigset_t of signal.h: a bit a signal, from signal 1.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct sigset_t
{
    public fixed ulong bits[16];
}
