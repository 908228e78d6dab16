using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>Runs mke2fs. Its file systems have no journal: they are made anew, and nobody mounts them twice.</summary>
internal static class Mke2fs
{
    /// <param name="arguments">Its own options, the file, and the size if the file has none.</param>
    /// <param name="what">What it makes and where, for an error.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="HearthException">It is missing, or fails.</exception>
    public static async Task RunAsync(IReadOnlyList<string> arguments, string what, CancellationToken cancellation)
    {
        string program = File.Exists("/usr/sbin/mke2fs") ? "/usr/sbin/mke2fs" : "/sbin/mke2fs";
        if (!File.Exists(program))
        {
            throw new HearthException($"There is no mke2fs, which makes {what}: install e2fsprogs.");
        }

        await using HostProcess process = HostProcess.Start(
            program, ["-q", "-F", "-t", "ext4", "-O", "^has_journal,^resize_inode", "-G", "4096", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", .. arguments]);
        int status = await process.Exited.WaitAsync(cancellation).ConfigureAwait(false);
        if (status != 0)
        {
            throw new HearthException($"mke2fs could not make {what} (status {status}): {process.Output.Lines(1)}");
        }
    }
}
