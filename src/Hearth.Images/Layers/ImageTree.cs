namespace Hearth.Images.Layers;

/// <summary>
/// Lays layers over one another: what an overlay mount of them would show, found in memory before a byte of any file is
/// copied. Source: OCI image-spec, layer.md, "Applying Changesets".
/// </summary>
internal static class ImageTree
{
    /// <summary>Merges layers into one tree, and takes them for it.</summary>
    /// <param name="layers">The lowest first.</param>
    /// <exception cref="ImageException">A hard link goes to a file that the layers below do not have.</exception>
    public static Inode Merge(IEnumerable<LayerTree> layers)
    {
        Inode image = Inode.NewFolder();
        foreach (LayerTree layer in layers)
        {
            // Links are to what was there before this layer, also to what the layer itself removes.
            var links = new List<(Inode Folder, string Name, Inode Target)>();
            var below = new PathWalk(image);
            Resolve(layer.Root, below, links);
            foreach ((Inode folder, string name, Inode target) in links)
            {
                folder.Children![name] = target;
            }

            Overlay(image, layer.Root);
        }

        return image;
    }

    private static void Resolve(Inode root, PathWalk below, List<(Inode Folder, string Name, Inode Target)> links)
    {
        // Trees may be thousands of folders deep: no recursion here.
        var todo = new Stack<Inode>([root]);
        while (todo.TryPop(out Inode? folder))
        {
            foreach ((string name, Inode child) in folder.Children!)
            {
                if (child.Kind == InodeKind.Folder)
                {
                    todo.Push(child);
                }
                else if (child.Kind == InodeKind.LinkBelow)
                {
                    Inode? target = null;
                    below.FindParent(child.LinkTarget, out string last)?.Children!.TryGetValue(last, out target);
                    links.Add((folder, name, target is { Kind: not InodeKind.Folder } ? target : throw PathWalk.Bad(name, $"is a hard link to {Tar.RawName.Show(child.LinkTarget)}, which is no file of the image")));
                }
            }
        }
    }

    private static void Overlay(Inode lowest, Inode highest)
    {
        var todo = new Stack<(Inode Lower, Inode Upper)>([(lowest, highest)]);
        while (todo.TryPop(out (Inode Lower, Inode Upper) pair))
        {
            (Inode lower, Inode upper) = pair;
            if (!upper.Implied)
            {
                lower.Describe(upper.Mode, upper.Uid, upper.Gid, upper.MtimeSeconds, upper.MtimeNanoseconds, upper.Xattrs);
            }

            if (upper.Opaque)
            {
                lower.Children!.Clear();
            }

            foreach (string name in upper.Whiteouts ?? [])
            {
                lower.Children!.Remove(name);
            }

            foreach ((string name, Inode child) in upper.Children!)
            {
                if (child.Kind == InodeKind.Folder)
                {
                    if (!lower.Children!.TryGetValue(name, out Inode? there) || there.Kind != InodeKind.Folder)
                    {
                        lower.Children[name] = there = Inode.NewFolder();
                    }

                    todo.Push((there, child));
                }
                else
                {
                    lower.Children![name] = child;
                }
            }
        }
    }
}
