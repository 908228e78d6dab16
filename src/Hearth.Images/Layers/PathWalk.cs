using Hearth.Images.Tar;

namespace Hearth.Images.Layers;

/// <summary>
/// Finds the way through a tree of inodes as a process chrooted there would: symbolic links lead anywhere within the tree,
/// <c>..</c> stops at its root. The tree is all there is; the host's files are not looked at.
/// </summary>
internal sealed class PathWalk
{
    private const int MaxPathBytes = 4096;
    private const int MaxNameBytes = 255;
    private const int MaxLinks = 40;

    // What all walks of one layer may cost together: an archive can make every path long, and lead it through long links.
    private const long MaxSteps = 200_000_000;

    private readonly Inode _root;
    private readonly Action? _onNewFolder;
    private readonly Stack<Inode> _way = new();
    private readonly Stack<string> _todo = new();
    private long _steps;

    /// <param name="root">The tree's root.</param>
    /// <param name="onNewFolder">Called for each folder that is made on the way; null where none may be made.</param>
    public PathWalk(Inode root, Action? onNewFolder = null)
    {
        _root = root;
        _onNewFolder = onNewFolder;
    }

    /// <summary>The folder that the last part of a path is in.</summary>
    /// <param name="path">From an archive: relative or absolute, with dots and repeated slashes.</param>
    /// <param name="name">The last part; empty when the path is the root or ends in <c>..</c>: then the folder itself is given.</param>
    /// <returns>Null where a part is missing or no folder, and none may be made.</returns>
    /// <exception cref="ImageException">The path cannot be one of Linux, or has a file as a folder.</exception>
    public Inode? FindParent(string path, out string name)
    {
        name = string.Empty;
        if (path.Length > MaxPathBytes || path.Contains('\0'))
        {
            throw Bad(path, $"is longer than {MaxPathBytes} bytes, or has a NUL");
        }

        Begin();
        Push(path);
        int links = 0;
        while (_todo.TryPop(out string? part))
        {
            if (part == "..")
            {
                if (_way.Count > 1)
                {
                    _way.Pop();
                }

                continue;
            }

            // The last part is not followed; what the archive says of it decides.
            if (_todo.Count == 0)
            {
                name = part;
                return _way.Peek();
            }

            if (!Enter(part, path, ref links))
            {
                return null;
            }
        }

        return _way.Peek();
    }

    /// <summary>The inode at a path, symbolic links followed to their end; null where there is none.</summary>
    public Inode? Find(string path)
    {
        Begin();
        Push(path);
        int links = 0;
        while (_todo.TryPop(out string? part))
        {
            if (part == "..")
            {
                if (_way.Count > 1)
                {
                    _way.Pop();
                }
            }
            else if (_todo.Count == 0 && _way.Peek().Children!.TryGetValue(part, out Inode? last) && last.Kind is not (InodeKind.SymbolicLink or InodeKind.Folder))
            {
                return last;
            }
            else if (!Enter(part, path, ref links))
            {
                return null;
            }
        }

        return _way.Peek();
    }

    private void Begin()
    {
        _way.Clear();
        _way.Push(_root);
        _todo.Clear();
    }

    private bool Enter(string part, string path, ref int links)
    {
        Inode folder = _way.Peek();
        if (!folder.Children!.TryGetValue(part, out Inode? next))
        {
            if (_onNewFolder is null)
            {
                return false;
            }

            _onNewFolder();
            next = Inode.NewFolder();
            folder.Children.Add(CheckName(part, path), next);
        }

        switch (next.Kind)
        {
            case InodeKind.Folder:
                _way.Push(next);
                return true;
            case InodeKind.SymbolicLink when ++links <= MaxLinks:
                if (next.LinkTarget.StartsWith('/'))
                {
                    while (_way.Count > 1)
                    {
                        _way.Pop();
                    }
                }

                Push(next.LinkTarget);
                return true;
            default:
                return _onNewFolder is null ? false : throw Bad(path, "goes through a file as if it were a folder, or through symbolic links without end");
        }
    }

    private void Push(string path)
    {
        string[] parts = path.Split('/');
        _steps += parts.Length;
        if (_steps > MaxSteps)
        {
            throw Bad(path, "has, with the paths before it and the symbolic links on their way, more parts than an honest image");
        }

        for (int i = parts.Length - 1; i >= 0; i--)
        {
            if (parts[i] is not ("" or "."))
            {
                _todo.Push(parts[i]);
            }
        }
    }

    public static string CheckName(string name, string path) => name.Length <= MaxNameBytes ? name : throw Bad(path, $"has a part of more than {MaxNameBytes} bytes");

    public static ImageException Bad(string path, string what) =>
        new(ImageFault.BadContent, $"The layer cannot be used: the path {RawName.Show(path)} {what}. Have the image built again.");
}
