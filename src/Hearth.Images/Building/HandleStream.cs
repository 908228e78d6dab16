using Microsoft.Win32.SafeHandles;

namespace Hearth.Images.Building;

/// <summary>Reads an open file from its start, whoever else reads it. The file stays open.</summary>
internal sealed class HandleStream(SafeFileHandle file) : ForwardStream
{
    private long _at;

    public override int Read(Span<byte> buffer)
    {
        int read = RandomAccess.Read(file, buffer, _at);
        _at += read;
        return read;
    }
}
