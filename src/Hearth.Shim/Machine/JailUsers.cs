using System.Globalization;
using System.Text;
using Hearth.Configuration;
using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>
/// Numbers of users and groups that monitors run as, one a pod: a file each, whose content is the pod's folder. A number
/// whose pod is gone is free. Thread: any, and any process.
/// </summary>
internal static class JailUsers
{
    /// <summary>Where the numbers in use are.</summary>
    public static string FolderOf(HearthConfig config) => $"{config.Daemon.State}/jail-users";

    /// <summary>Takes a number for a pod.</summary>
    /// <returns>The number, and the file that keeps it.</returns>
    /// <exception cref="HearthException">All are in use.</exception>
    public static (uint User, string File) Take(HearthConfig config, string podFolder)
    {
        MicrovmConfig microvm = config.Microvm;
        string folder = Directory.CreateDirectory(FolderOf(config), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
        byte[] content = Encoding.UTF8.GetBytes(podFolder);
        int start = Environment.ProcessId % microvm.JailUidCount;
        for (int i = 0; i < microvm.JailUidCount; i++)
        {
            int user = microvm.JailUidBase + ((start + i) % microvm.JailUidCount);
            string file = string.Create(CultureInfo.InvariantCulture, $"{folder}/{user}");
            if (TryCreate(file, content) || (IsAbandoned(file) && TryCreate(file, content)))
            {
                return ((uint)user, file);
            }
        }

        throw new HearthException($"All {microvm.JailUidCount} users for monitors are in use: raise jail_uid_count of [microvm] in hearth.toml.");
    }

    private static bool TryCreate(string file, byte[] content)
    {
        // Whole from its beginning on: whoever sees an empty one would take it for abandoned.
        string next = $"{file}.{RandomBytes.Name()}";
        File.WriteAllBytes(next, content);
        try
        {
            File.Move(next, file, overwrite: false);
            return true;
        }
        catch (IOException) when (File.Exists(file))
        {
            File.Delete(next);
            return false;
        }
    }

    private static bool IsAbandoned(string file)
    {
        try
        {
            if (Directory.Exists(File.ReadAllText(file)))
            {
                return false;
            }

            File.Delete(file);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
