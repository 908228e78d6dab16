namespace Hearth.Virtio.Vsock;

/// <summary>The streams that want to send to the guest, each one packet a turn: a list through the streams themselves.</summary>
internal sealed class VsockRound
{
    private VsockStream? _first;
    private VsockStream? _last;

    public bool IsEmpty => _first is null;

    /// <summary>Puts a stream at the end, if it does not wait already.</summary>
    public void Add(VsockStream stream)
    {
        if (stream.IsQueued)
        {
            return;
        }

        stream.IsQueued = true;
        stream.Previous = _last;
        stream.Next = null;
        if (_last is null)
        {
            _first = stream;
        }
        else
        {
            _last.Next = stream;
        }

        _last = stream;
    }

    /// <summary>Takes the stream that waited longest; null if none does.</summary>
    public VsockStream? Take()
    {
        VsockStream? stream = _first;
        if (stream is not null)
        {
            Remove(stream);
        }

        return stream;
    }

    /// <summary>Takes a stream out, if it waits.</summary>
    public void Remove(VsockStream stream)
    {
        if (!stream.IsQueued)
        {
            return;
        }

        stream.IsQueued = false;
        if (stream.Previous is null)
        {
            _first = stream.Next;
        }
        else
        {
            stream.Previous.Next = stream.Next;
        }

        if (stream.Next is null)
        {
            _last = stream.Previous;
        }
        else
        {
            stream.Next.Previous = stream.Previous;
        }

        stream.Previous = null;
        stream.Next = null;
    }
}
