using System.Buffers.Binary;
using Hearth.Images.Layers;
using Hearth.Images.Tar;

namespace Hearth.Images.Erofs;

/// <summary>
/// A folder's content: blocks of entries sorted by name, each block with its entries first and their names behind them.
/// Source: Linux, Documentation/filesystems/erofs.rst, "Directories".
/// </summary>
internal static class ErofsFolder
{
    private const int EntryBytes = 12;

    /// <summary>Bytes of the content: all blocks but the last are full.</summary>
    public static long SizeOf(Inode folder)
    {
        long blocks = 0;
        int used = 0;
        foreach (string name in SortedNames(folder))
        {
            Place(name, ref blocks, ref used);
        }

        return (blocks * ErofsFormat.BlockBytes) + used;
    }

    /// <summary>The content.</summary>
    /// <param name="node">The folder.</param>
    /// <param name="find">The node of an inode.</param>
    public static byte[] Write(ErofsNode node, Func<Inode, ErofsNode> find)
    {
        var content = new byte[node.Size];
        var pending = new List<(string Name, ErofsNode Node)>();
        long blocks = 0;
        int used = 0;
        foreach (string name in SortedNames(node.Inode))
        {
            long before = blocks;
            Place(name, ref blocks, ref used);
            if (blocks != before)
            {
                WriteBlock(pending, content.AsSpan((int)(before * ErofsFormat.BlockBytes), ErofsFormat.BlockBytes));
                pending.Clear();
            }

            pending.Add((name, name switch
            {
                "." => node,
                ".." => node.Parent!,
                _ => find(node.Inode.Children![name]),
            }));
        }

        WriteBlock(pending, content.AsSpan((int)(blocks * ErofsFormat.BlockBytes)));
        return content;
    }

    private static void Place(string name, ref long blocks, ref int used)
    {
        int bytes = EntryBytes + name.Length;
        if (used + bytes > ErofsFormat.BlockBytes)
        {
            blocks++;
            used = 0;
        }

        used += bytes;
    }

    private static void WriteBlock(List<(string Name, ErofsNode Node)> entries, Span<byte> block)
    {
        int nameOffset = entries.Count * EntryBytes;
        for (int i = 0; i < entries.Count; i++)
        {
            Span<byte> entry = block.Slice(i * EntryBytes, EntryBytes);
            BinaryPrimitives.WriteUInt64LittleEndian(entry, entries[i].Node.Nid);
            BinaryPrimitives.WriteUInt16LittleEndian(entry[8..], (ushort)nameOffset);
            entry[10] = ErofsFormat.EntryType(entries[i].Node.Inode.Kind);
            RawName.Encode(entries[i].Name).CopyTo(block[nameOffset..]);
            nameOffset += entries[i].Name.Length;
        }
    }

    private static string[] SortedNames(Inode folder)
    {
        string[] names = [".", "..", .. folder.Children!.Keys];
        Array.Sort(names, StringComparer.Ordinal);
        return names;
    }
}
