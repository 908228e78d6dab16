using System.Globalization;
using System.Text;

namespace Hearth.Images.Initrds;

/// <summary>
/// Writes an initramfs archive: cpio's "newc" format, one entry after another, then a trailer.
/// Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
/// </summary>
public sealed class CpioWriter : IDisposable
{
    private const string Trailer = "TRAILER!!!";
    private const uint PermissionBits = 0xfff;
    private const uint Folder = 0x4000;
    private const uint RegularFile = 0x8000;
    private const uint SymbolicLink = 0xa000;

    private readonly Stream _output;
    private readonly HashSet<string> _folders = new(StringComparer.Ordinal);
    private readonly HashSet<string> _others = new(StringComparer.Ordinal);
    private uint _inode = 1;
    private long _position;
    private bool _finished;

    /// <param name="output">Where the archive goes; stays open.</param>
    public CpioWriter(Stream output) => _output = output;

    /// <summary>Adds a file, and the folders on its way.</summary>
    /// <param name="path">Relative, with forward slashes, without <c>..</c>.</param>
    /// <param name="content">The file's bytes.</param>
    /// <param name="mode">Permission bits.</param>
    /// <exception cref="ImageException">The path is none, or was added before.</exception>
    public void AddFile(string path, ReadOnlySpan<byte> content, int mode)
    {
        AddEntry(path, RegularFile | ((uint)mode & PermissionBits), content);
    }

    /// <summary>Adds a symbolic link.</summary>
    public void AddLink(string path, string target)
    {
        AddEntry(path, SymbolicLink | 0x1ff, Encoding.UTF8.GetBytes(target));
    }

    /// <summary>Adds an empty folder, and those on its way.</summary>
    public void AddFolder(string path)
    {
        AddParents(path);
        AddOneFolder(path);
    }

    /// <summary>Writes the trailer. Nothing can be added after it.</summary>
    public void Finish()
    {
        if (!_finished)
        {
            _finished = true;
            WriteEntry(Trailer, 0, default);
        }
    }

    public void Dispose() => Finish();

    private void AddEntry(string path, uint mode, ReadOnlySpan<byte> content)
    {
        AddParents(path);
        if (_folders.Contains(path) || !_others.Add(path))
        {
            throw new ImageException($"\"{path}\" is in this initrd twice.");
        }

        WriteEntry(path, mode, content);
    }

    private void AddParents(string path)
    {
        ObjectDisposedException.ThrowIf(_finished, this);
        string[] parts = path.Split('/');
        if (parts.Any(p => p is "" or "." or "..") || path.Contains('\0', StringComparison.Ordinal) || path == Trailer)
        {
            throw new ImageException($"\"{path}\" is no path for an initrd: it must be relative, without empty, . and .. parts.");
        }

        for (int depth = 1; depth < parts.Length; depth++)
        {
            AddOneFolder(string.Join('/', parts[..depth]));
        }
    }

    private void AddOneFolder(string path)
    {
        if (_others.Contains(path))
        {
            throw new ImageException($"\"{path}\" is a file in this initrd, and cannot be a folder too.");
        }

        if (_folders.Add(path))
        {
            WriteEntry(path, Folder | 0x1ed, default);
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
