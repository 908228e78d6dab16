using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Specs;

/// <summary>Sources of volumes on the host. Who names them is the host's own manager, and is trusted as root is.</summary>
internal static class HostPaths
{
    private const int MaxLinks = 40;

    /// <summary>The path with its links followed; a folder is made where nothing is, as the managers of containers always did.</summary>
    public static string Source(string path, string destination)
    {
        if (!path.StartsWith('/') || path.Contains('\0'))
        {
            throw new PodException(PodFault.InvalidArgument, $"The source \"{path}\" of the mount at {destination} is no absolute path.");
        }

        try
        {
            string real = Resolve(Path.GetFullPath(path));
            if (!Path.Exists(real))
            {
                Directory.CreateDirectory(real);
            }

            return real;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PodException(PodFault.InvalidArgument, $"The source \"{path}\" of the mount at {destination} cannot be used: {e.Message}", e);
        }
    }

    /// <summary>Follows links in every part of the path.</summary>
    private static string Resolve(string path)
    {
        int links = 0;
        string done = "/";
        var parts = new Stack<string>(path.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse());
        while (parts.TryPop(out string? part))
        {
            if (part == "..")
            {
                done = Path.GetDirectoryName(done) ?? "/";
                continue;
            }

            string next = Path.Combine(done, part);
            // Neither the BCL's "final target" (which is of the last part only) nor anything that opens the file.
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                done = next;
                continue;
            }

            if (++links > MaxLinks)
            {
                throw new IOException("Too many links lead to each other.");
            }

            if (target.StartsWith('/'))
            {
                done = "/";
            }

            foreach (string piece in target.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse())
            {
                if (piece != ".")
                {
                    parts.Push(piece);
                }
            }
        }

        return done;
    }
}
