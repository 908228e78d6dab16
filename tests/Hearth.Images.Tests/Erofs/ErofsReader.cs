using System.Buffers.Binary;
using System.Text;

namespace Hearth.Images.Tests.Erofs;

/// <summary>What an image has at a path.</summary>
internal sealed record ErofsEntry(string Path, ulong Nid, int Mode, uint Uid, uint Gid, long Size, uint Links, long Mtime, uint Device, byte[] Content, Dictionary<string, byte[]> Xattrs);

/// <summary>
/// Reads uncompressed EROFS images on its own, strictly: whatever the kernel might call corrupt fails here.
/// Source: Linux, Documentation/filesystems/erofs.rst.
/// </summary>
internal sealed class ErofsReader(byte[] image)
{
    private const int Block = 4096;

    /// <summary>Everything there is, by a walk from the root.</summary>
    public List<ErofsEntry> List()
    {
        Assert.Equal(0xe0f5e1e2, U32(1024));
        Assert.Equal(12, image[1024 + 12]);
        Assert.Equal(image.Length / Block, (int)U32(1024 + 36));
        ulong root = (ulong)U16(1024 + 14);
        var found = new List<ErofsEntry>();
        Walk(string.Empty, root, root, found);
        Assert.Equal((ulong)found.DistinctBy(entry => entry.Nid).Count(), BinaryPrimitives.ReadUInt64LittleEndian(image.AsSpan(1024 + 16)));
        return found;
    }

    private void Walk(string path, ulong nid, ulong parent, List<ErofsEntry> found)
    {
        ErofsEntry entry = Read(path, nid);
        found.Add(entry);
        if ((entry.Mode & 0xf000) != 0x4000)
        {
            return;
        }

        var names = new List<byte[]>();
        for (int at = 0; at < entry.Content.Length; at += Block)
        {
            Span<byte> block = entry.Content.AsSpan(at, Math.Min(Block, entry.Content.Length - at));
            int count = U16(block, 8) / 12;
            for (int i = 0; i < count; i++)
            {
                int start = U16(block, (i * 12) + 8);
                int end = i + 1 < count ? U16(block, ((i + 1) * 12) + 8) : block.Length;
                byte[] name = block[start..end].ToArray().TakeWhile(value => value != 0).ToArray();
                ulong child = BinaryPrimitives.ReadUInt64LittleEndian(block[(i * 12)..]);
                names.Add(name);
                string text = Encoding.Latin1.GetString(name);
                if (text is "." or "..")
                {
                    Assert.Equal(text == "." ? nid : parent, child);
                    continue;
                }

                Assert.DoesNotContain((byte)'/', name);
                Assert.InRange(name.Length, 1, 255);
                Walk($"{path}/{text}", child, nid, found);
                int type = block[(i * 12) + 10];
                Assert.Equal(type, (ModeOf(child) >> 12) switch { 8 => 1, 4 => 2, 2 => 3, 6 => 4, 1 => 5, 10 => 7, _ => 0 });
            }
        }

        Assert.Equal(names.OrderBy(name => Encoding.Latin1.GetString(name), StringComparer.Ordinal), names);
        Assert.Equal(names.Count, names.DistinctBy(name => Encoding.Latin1.GetString(name)).Count());
    }

    private ErofsEntry Read(string path, ulong nid)
    {
        int at = (int)nid * 32;
        int format = U16(at);
        Assert.Equal(1, format & 1);
        int layout = format >> 1;
        int xattrUnits = U16(at + 2);
        int xattrBytes = xattrUnits == 0 ? 0 : 12 + ((xattrUnits - 1) * 4);
        long size = BinaryPrimitives.ReadInt64LittleEndian(image.AsSpan(at + 8));
        int mode = ModeOf(nid);
        byte[] content = [];
        if ((mode & 0xf000) is 0x4000 or 0x8000 or 0xa000)
        {
            int tail = layout == 2 ? (int)(size % Block) : 0;
            int inline = at + 64 + xattrBytes;
            Assert.True(tail == 0 || (inline / Block) == ((inline + tail - 1) / Block), "the tail reaches over a block's end");
            content = [.. image.AsSpan((int)U32(at + 16) * Block, (int)(size - tail)), .. image.AsSpan(inline, tail)];
        }

        return new ErofsEntry(
            path, nid, mode, U32(at + 24), U32(at + 28), size, U32(at + 44), BinaryPrimitives.ReadInt64LittleEndian(image.AsSpan(at + 32)), U32(at + 16), content, Xattrs(at + 64, xattrBytes));
    }

    private Dictionary<string, byte[]> Xattrs(int at, int bytes)
    {
        var found = new Dictionary<string, byte[]>();
        int end = at + bytes;
        for (at += 12; at < end;)
        {
            int name = image[at];
            int value = U16(at + 2);
            string prefix = image[at + 1] switch { 1 => "user.", 2 => "system.posix_acl_access", 3 => "system.posix_acl_default", 6 => "security.", _ => throw new InvalidDataException() };
            found.Add(prefix + Encoding.Latin1.GetString(image, at + 4, name), image[(at + 4 + name)..(at + 4 + name + value)]);
            at += (4 + name + value + 3) & ~3;
        }

        return found;
    }

    private int ModeOf(ulong nid) => U16(((int)nid * 32) + 4);

    private uint U32(int at) => BinaryPrimitives.ReadUInt32LittleEndian(image.AsSpan(at));

    private int U16(int at) => U16(image, at);

    private static ushort U16(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);
}
