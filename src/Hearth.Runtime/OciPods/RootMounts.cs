using System.ComponentModel;
using System.Diagnostics;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.OciPods;

/// <summary>
/// Images and writable layers, mounted on the host. An image's file is Hearth's own work, made of checked metadata; what a
/// container writes lies in a folder of its own. Thread: any, in the daemon's mount namespace.
/// </summary>
internal static class RootMounts
{
    private const string Fuse = "erofsfuse";
    private const uint Careful = SysMount.MS_NODEV;

    /// <summary>Mounts an image read-only: by the kernel, or by erofsfuse where the kernel has no EROFS.</summary>
    public static async Task MountImageAsync(string image, string target, CancellationToken cancellation)
    {
        Directory.CreateDirectory(target);
        (int code, string error) = await RunAsync("mount", ["-t", "erofs", "-o", "ro,loop,nodev", image, target], cancellation).ConfigureAwait(false);
        if (code == 0)
        {
            return;
        }

        (int fuseCode, string fuseError) = await RunAsync(Fuse, ["-o", "allow_other", image, target], cancellation).ConfigureAwait(false);
        if (fuseCode != 0)
        {
            throw new PodException(
                PodFault.Internal,
                $"The image {image} cannot be mounted: {Last(error)}; and {Fuse} (Debian's package {Fuse}) says: {Last(fuseError)}. The kernel needs erofs and loop (modprobe).");
        }
    }

    /// <summary>Mounts an image with a writable layer over it.</summary>
    public static void MountOverlay(string image, string writable, string target)
    {
        // Commas and colons separate: neither is in names that Hearth makes, and the configured root is looked at.
        if ((image + writable).AsSpan().ContainsAny(',', ':', '\\'))
        {
            throw new PodException(PodFault.FailedPrecondition, $"The folders {image} and {writable} have a ',', ':' or '\\' in their paths, which overlays cannot have (daemon.root, daemon.state).");
        }

        string upper = Path.Combine(writable, "upper"), work = Path.Combine(writable, "work");
        foreach (string folder in new[] { upper, work, target })
        {
            Directory.CreateDirectory(folder);
        }

        // The root's own permissions are the upper's, once there is one.
        File.SetUnixFileMode(upper, File.GetUnixFileMode(image));
        try
        {
            Mounts.Mount("overlay", target, "overlay", Careful, $"lowerdir={image},upperdir={upper},workdir={work}");
        }
        catch (LinuxException e)
        {
            throw new PodException(PodFault.Internal, $"The container's root cannot be mounted at {target} (overlay over {image}, changes in {writable}): {e.Reason}.", e);
        }
    }

    /// <summary>The folder in a mounted image that a path names there; no link leads out.</summary>
    public static string PartOf(string mounted, string subPath)
    {
        using var root = new RootDirectory(mounted);
        using FileDescriptor? found = root.TryOpen(subPath, Fcntl.O_PATH);
        if (found is null || new FileInfo(Mounts.PathOf(found)).LinkTarget is not { } real
            || (real != mounted && !real.StartsWith(mounted + "/", StringComparison.Ordinal)))
        {
            throw new PodException(PodFault.InvalidArgument, $"The image volume has no \"{subPath}\" (image_sub_path).");
        }

        return real;
    }

    /// <summary>A file system of memory that a pod's containers share.</summary>
    public static void MountShm(string target, uint bytes)
    {
        Directory.CreateDirectory(target);
        Mounts.Mount("shm", target, "tmpfs", SysMount.MS_NOSUID | SysMount.MS_NODEV | SysMount.MS_NOEXEC, $"mode=1777,size={bytes}");
    }

    /// <summary>Takes away what is mounted in a folder, the last first, and the folder with what is in it. One that is gone is no error.</summary>
    public static void Remove(string folder)
    {
        foreach (string mount in Mounts.Below(folder))
        {
            Mounts.Detach(mount);
        }

        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Takes a mount away, and the folder it was on. One that is gone is no error.</summary>
    public static void RemoveMount(string target)
    {
        if (Directory.Exists(target))
        {
            Mounts.Detach(target);
            Directory.Delete(target, recursive: true);
        }
    }

    private static string Last(string text) => text.Trim().Split('\n')[^1];

    private static async Task<(int Code, string Error)> RunAsync(string program, IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/" };
        // Messages are looked at by people in all countries, and in logs.
        start.Environment["LC_ALL"] = "C";
        try
        {
            using Process process = Process.Start(start)!;
            using var streams = new RedirectedStreams(process);
            // erofsfuse goes on in the background, holding the pipes: what it says comes before its first process ends.
            Task<string> error = process.StandardError.ReadToEndAsync(cancellation);
            await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
            return (process.ExitCode, process.ExitCode == 0 ? "" : await error.ConfigureAwait(false));
        }
        catch (Win32Exception e)
        {
            return (127, e.Message);
        }
    }
}
