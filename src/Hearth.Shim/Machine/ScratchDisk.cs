using System.Globalization;
using Hearth.Linux;
using Hearth.Linux.Native;
using Microsoft.Win32.SafeHandles;

namespace Hearth.Shim.Machine;

/// <summary>
/// The sparse ext4 disk that takes what a pod's containers change: made once by mke2fs, and then copied, which costs the
/// 130 KiB that are no hole. Without a journal: nobody mounts it twice.
/// </summary>
internal static class ScratchDisk
{
    private const int BufferBytes = 64 << 10;

    /// <summary>How the guest mounts it: its tables are zero already, since the file was a hole.</summary>
    public static IReadOnlyList<string> MountOptions { get; } = ["noatime", "noinit_itable", "nodev", "nosuid"];

    /// <summary>Makes a pod's disk.</summary>
    /// <param name="folder">On a real disk; the template is kept there.</param>
    /// <param name="name">The pod's file in it.</param>
    /// <param name="mebibytes">Its size.</param>
    /// <param name="cancellation">Gives it up.</param>
    /// <exception cref="HearthException">mke2fs is missing or fails, or the disk is full.</exception>
    public static async Task<string> CreateAsync(string folder, string name, int mebibytes, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        string template = string.Create(CultureInfo.InvariantCulture, $"{folder}/template-{mebibytes}.ext4");
        string path = $"{folder}/{name}";
        if (!File.Exists(template))
        {
            await MakeTemplateAsync(template, mebibytes, cancellation).ConfigureAwait(false);
        }

        try
        {
            Copy(template, path);
            return path;
        }
        catch (IOException e)
        {
            File.Delete(path);
            throw new HearthException($"The pod's scratch disk cannot be made in {folder}: {e.Message}", e);
        }
    }

    private static async Task MakeTemplateAsync(string template, int mebibytes, CancellationToken cancellation)
    {
        string next = $"{template}.{RandomBytes.Name()}";
        try
        {
            await Mke2fs.RunAsync(
                [next, string.Create(CultureInfo.InvariantCulture, $"{mebibytes}M")],
                $"a scratch disk of {mebibytes} MiB in {Path.GetDirectoryName(template)} (none is needed with scratch_mib = 0 in [microvm] of hearth.toml)",
                cancellation).ConfigureAwait(false);
            // Another pod may have made it meanwhile: the same.
            File.Move(next, template, overwrite: true);
        }
        finally
        {
            File.Delete(next);
        }
    }

    private static void Copy(string template, string path)
    {
        using SafeFileHandle from = File.OpenHandle(template);
        using SafeFileHandle to = File.OpenHandle(path, FileMode.Create, FileAccess.Write);
        // Whoever the monitor runs as; others do not get into the folder.
        File.SetUnixFileMode(to, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite);
        RandomAccess.SetLength(to, RandomAccess.GetLength(from));
        using FileDescriptor holes = FileDescriptor.Open(template, Fcntl.O_RDONLY);
        byte[] buffer = new byte[BufferBytes];
        long at = 0;
        while (FileAllocation.NextData(holes, at) is { } data)
        {
            for (at = data.Start; at < data.End;)
            {
                int count = RandomAccess.Read(from, buffer.AsSpan(0, (int)Math.Min(buffer.Length, data.End - at)), at);
                if (count == 0)
                {
                    return;
                }

                RandomAccess.Write(to, buffer.AsSpan(0, count), at);
                at += count;
            }
        }
    }
}
