using System.Globalization;
using System.Text;

namespace Hearth.Images.Initrds;

/// <summary>
/// Writes an initramfs archive: cpio's "newc" format, one entry after another, then a trailer.
/// Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
/// </summary>
public sealed class CpioWriter : IDisposable
{
    private const uint Folder = 0x4000;
    private const uint RegularFile = 0x8000;
    private const uint SymbolicLink = 0xa000;

    private readonly Stream _output;
    private readonly HashSet<string> _folders = new(StringComparer.Ordinal);
    private uint _inode = 1;
    private long _position;
    private bool _finished;

    /// <param name="output">Where the archive goes; stays open.</param>
    public CpioWriter(Stream output) => _output = output;

    /// <summary>Adds a file, and the folders on its way.</summary>
    /// <param name="path">Relative, with forward slashes, without <c>..</c>.</param>
    /// <param name="content">The file's bytes.</param>
    /// <param name="mode">Permission bits.</param>
    public void AddFile(string path, ReadOnlySpan<byte> content, int mode)
    {
        AddParents(path);
        WriteEntry(path, RegularFile | (uint)mode, content);
    }

    /// <summary>Adds a symbolic link.</summary>
    public void AddLink(string path, string target)
    {
        AddParents(path);
        WriteEntry(path, SymbolicLink | 0x1ff, Encoding.UTF8.GetBytes(target));
    }

    /// <summary>Adds an empty folder, and those on its way.</summary>
    public void AddFolder(string path)
    {
        AddParents(path + "/");
    }

    /// <summary>Writes the trailer. Nothing can be added after it.</summary>
    public void Finish()
    {
        if (!_finished)
        {
            _finished = true;
            WriteEntry("TRAILER!!!", 0, default);
        }
    }

    public void Dispose() => Finish();

    private void AddParents(string path)
    {
        ObjectDisposedException.ThrowIf(_finished, this);
        string[] parts = path.Split('/');
        if (parts.Any(p => p is "." or "..") || path.StartsWith('/') || path.Contains('\0', StringComparison.Ordinal))
        {
            throw new ImageException($"\"{path}\" is no path for an initrd: it must be relative, without . and .. parts.");
        }

        for (int depth = 1; depth < parts.Length; depth++)
        {
            string folder = string.Join('/', parts[..depth]);
            if (folder.Length > 0 && _folders.Add(folder))
            {
                WriteEntry(folder, Folder | 0x1ed, default);
            }
        }
    }

    private void WriteEntry(string name, uint mode, ReadOnlySpan<byte> content)
    {
        byte[] nameBytes = Encoding.UTF8.GetBytes(name + "\0");
        bool isFolder = (mode & 0xf000) == Folder;
        uint[] fields =
        [
            _inode++, mode, 0, 0, isFolder ? 2u : 1u, 0, checked((uint)content.Length), 0, 0, 0, 0, (uint)nameBytes.Length, 0,
        ];
        var header = new StringBuilder("070701", 110);
        foreach (uint field in fields)
        {
            header.Append(CultureInfo.InvariantCulture, $"{field:x8}");
        }

        Write(Encoding.ASCII.GetBytes(header.ToString()));
        Write(nameBytes);
        Pad();
        Write(content);
        Pad();
    }

    private void Pad()
    {
        ReadOnlySpan<byte> zeros = [0, 0, 0];
        Write(zeros[..(int)(-_position & 3)]);
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        _output.Write(bytes);
        _position += bytes.Length;
    }
}
