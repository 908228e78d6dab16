using System.Globalization;
using System.Text;
using Hearth.Linux;

namespace Hearth.Virtio.Vsock;

/// <summary>The host's end: who connects, who is connected to, and what their sockets say.</summary>
public sealed partial class VsockDevice
{
    // "CONNECT 4294967295\n" is the longest sensible one.
    private const int MaxGreetingBytes = 32;
    private const int RetryMs = 1000;

    // Above what programs choose for themselves, as Firecracker's.
    private const uint FirstHostPort = 1u << 30;
    private const uint LastHostPort = (1u << 31) - 1;

    private readonly List<VsockStream> _late = [];
    private uint _nextHostPort = FirstHostPort;
    private long _timerDueMs = long.MaxValue;
    private bool _listenerMuted;

    private bool IsFull => _streams.Count + _greeting.Count >= MaxStreams;

    /// <summary>Takes hosts that connect; those that are too many wait until a stream ends.</summary>
    private void Accept()
    {
        while (!IsFull)
        {
            UnixStream? socket = _listener.TryAccept();
            if (socket is null)
            {
                if (LinuxException.LastErrno is Errno.EMFILE or Errno.ENFILE)
                {
                    Warning?.Invoke("A host's connection to the vsock device waits: this process has no descriptors left. Raise its limit of open files.");
                    ArmTimer(Environment.TickCount64 + RetryMs);
                    break;
                }

                return;
            }

            VsockStream stream = Add(socket, VsockStreamState.Greeting);
            _greeting.Add(stream);
        }

        // The listener stays ready: listening on would be a busy loop.
        _active!.Loop.Modify(_listenerRegistration, EpollEvents.None);
        _listenerMuted = true;
    }

    private VsockStream Add(UnixStream socket, VsockStreamState state)
    {
        var stream = new VsockStream(this, socket, state, _spareRings);
        stream.Registration = _active!.Loop.Add(socket, EpollEvents.In | EpollEvents.Out | EpollEvents.ReadHangUp | EpollEvents.EdgeTriggered, stream);
        Metrics.ConnsAdded.Increment();
        return stream;
    }

    /// <summary>The guest connects to a port of the host.</summary>
    private void Dial((uint Host, uint Guest) ports, in VsockHeader header)
    {
        UnixStream? socket = IsFull ? null : UnixStream.TryConnect(string.Create(CultureInfo.InvariantCulture, $"{_config.UdsPath}_{ports.Host}"));
        if (socket is null)
        {
            _resets.Enqueue(ports);
            return;
        }

        VsockStream stream = Add(socket, VsockStreamState.Connected);
        stream.Ports = ports;
        stream.UpdateCredit(header);
        stream.Notices = VsockNotice.Response;
        _streams.Add(ports, stream);
        _round.Add(stream);
    }

    private void OnSocketReady(VsockStream stream, EpollEvents events)
    {
        if (stream.State == VsockStreamState.Greeting)
        {
            Greet(stream, events);
            return;
        }

        // A host that left before the guest answered is found out by the answer to it.
        stream.IsReadable |= (events & (EpollEvents.In | EpollEvents.ReadHangUp | EpollEvents.HangUp | EpollEvents.Error)) != 0;
        // A hang-up may also be two ends in good order, where nothing is left to write.
        bool hasToWrite = !stream.GuestFinished || stream.Pending.Count > 0;
        if ((events & (EpollEvents.HangUp | EpollEvents.Error)) != 0 && hasToWrite && stream is { HostDeaf: false, State: VsockStreamState.Connected })
        {
            LoseHost(stream);
        }

        if ((events & EpollEvents.Out) != 0)
        {
            stream.IsWritable = true;
            Flush(stream);
        }

        if (stream.State != VsockStreamState.Ended && stream.HasWork)
        {
            _round.Add(stream);
        }
    }

    /// <summary>Gives the host what it had no room for.</summary>
    private void Flush(VsockStream stream)
    {
        if (stream.Pending.Count == 0)
        {
            return;
        }

        while (stream.Pending.Count > 0)
        {
            int sent = stream.Socket.Send(stream.Pending.First);
            if (sent == UnixStream.WouldBlock)
            {
                stream.IsWritable = false;
                return;
            }

            if (sent == UnixStream.Closed)
            {
                Metrics.TxWriteFails.Increment();
                LoseHost(stream);
                break;
            }

            stream.Pending.Removed(sent);
            stream.CountForwarded((uint)sent);
        }

        Settle(stream);
    }

    /// <summary>Reads <c>CONNECT port\n</c>, and not a byte more, which is the guest's.</summary>
    private void Greet(VsockStream stream, EpollEvents events)
    {
        Span<byte> line = stackalloc byte[MaxGreetingBytes];
        int count = stream.Socket.Peek(line);
        if (count == UnixStream.WouldBlock)
        {
            return;
        }

        int end = count < 0 ? -1 : line[..count].IndexOf((byte)'\n');
        if (end < 0)
        {
            // Who will send no more cannot end the line.
            bool isOver = (events & (EpollEvents.ReadHangUp | EpollEvents.HangUp | EpollEvents.Error)) != 0;
            if (isOver || count == UnixStream.Closed || count == MaxGreetingBytes)
            {
                End(stream);
            }

            return;
        }

        line = line[..(end + 1)];
        if (!TryParsePort(line, out uint port) || stream.Socket.Receive(line) != line.Length)
        {
            Warning?.Invoke("A host's connection to the vsock device did not begin with \"CONNECT <port>\\n\", and was closed.");
            End(stream);
            return;
        }

        _greeting.Remove(stream);
        stream.Ports = (NextHostPort(port), port);
        stream.State = VsockStreamState.Requested;
        stream.Notices = VsockNotice.Request;
        _streams.Add(stream.Ports, stream);
        _round.Add(stream);
        SetDeadline(stream);
    }

    private static bool TryParsePort(ReadOnlySpan<byte> line, out uint port)
    {
        port = 0;
        string[] words = Encoding.ASCII.GetString(line).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return words is [var command, var number]
            && command.Equals("CONNECT", StringComparison.OrdinalIgnoreCase)
            && uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out port);
    }

    private uint NextHostPort(uint guestPort)
    {
        // There are a billion of them and at most MaxStreams are taken.
        uint port;
        do
        {
            port = _nextHostPort;
            _nextHostPort = port == LastHostPort ? FirstHostPort : port + 1;
        }
        while (_streams.ContainsKey((port, guestPort)));

        return port;
    }

    /// <summary>The guest accepted: its host may begin.</summary>
    private void Welcome(VsockStream stream)
    {
        stream.State = VsockStreamState.Connected;
        stream.DeadlineMs = long.MaxValue;
        byte[] answer = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"OK {stream.Ports.Host}\n"));
        if (stream.Socket.Send(answer) != answer.Length)
        {
            Kill(stream);
        }
    }

    private void SetDeadline(VsockStream stream)
    {
        stream.DeadlineMs = Environment.TickCount64 + _config.AnswerTimeoutMs;
        ArmTimer(stream.DeadlineMs);
    }

    private void ArmTimer(long dueMs)
    {
        if (dueMs < _timerDueMs)
        {
            _timerDueMs = dueMs;
            _timer.Arm(TimeSpan.FromMilliseconds(Math.Max(1, dueMs - Environment.TickCount64)));
        }
    }

    private void ListenAgain()
    {
        if (_listenerMuted)
        {
            _listenerMuted = false;
            _active!.Loop.Modify(_listenerRegistration, EpollEvents.In);
        }
    }

    private void OnTimer()
    {
        if (_timer.Drain() == 0)
        {
            return;
        }

        long now = Environment.TickCount64;
        long dueMs = long.MaxValue;
        foreach (VsockStream stream in _streams.Values)
        {
            if (stream.DeadlineMs <= now)
            {
                _late.Add(stream);
            }
            else
            {
                dueMs = Math.Min(dueMs, stream.DeadlineMs);
            }
        }

        foreach (VsockStream stream in _late)
        {
            Kill(stream);
        }

        _late.Clear();
        _timerDueMs = long.MaxValue;
        ArmTimer(dueMs);
        if (!IsFull)
        {
            ListenAgain();
        }

        Receive();
    }

    /// <summary>Ends a stream whose guest must hear of it.</summary>
    private void Kill(VsockStream stream)
    {
        Metrics.ConnsKilled.Increment();
        _resets.Enqueue(stream.Ports);
        End(stream);
    }

    private void End(VsockStream stream)
    {
        stream.State = VsockStreamState.Ended;
        _round.Remove(stream);
        _greeting.Remove(stream);
        if (_streams.TryGetValue(stream.Ports, out VsockStream? known) && known == stream)
        {
            _streams.Remove(stream.Ports);
        }

        stream.Pending.Removed(stream.Pending.Count);
        _active!.Loop.Remove(stream.Registration);
        stream.Socket.Dispose();
        Metrics.ConnsRemoved.Increment();
        ListenAgain();
    }
}
