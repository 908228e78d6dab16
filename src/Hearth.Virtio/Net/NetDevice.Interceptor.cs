using Hearth.Linux;
using Hearth.Virtio.Queues;

namespace Hearth.Virtio.Net;

/// <summary>Frames from and to the neighbour inside the monitor, which are copied: they are few.</summary>
public sealed partial class NetDevice
{
    private const byte HeaderNeedsChecksum = 1;

    private readonly Wakeup _timerWakeup;

    // One whole frame; there only where there is an interceptor.
    private byte[] _copy = [];
    private TimerFd? _timer;
    private EventRegistration _timerRegistration;
    private long _timerDueMs = long.MaxValue;

    private void AttachInterceptor(EventLoop loop)
    {
        if (Interceptor is not null)
        {
            _copy = _copy.Length > 0 ? _copy : new byte[MaxFrameBytes];
            _timer ??= new TimerFd();
            _timerRegistration = loop.Add(_timer, EpollEvents.In, _timerWakeup);
            _timerDueMs = long.MaxValue;
        }
    }

    private void DetachInterceptor(EventLoop loop)
    {
        if (_timer is not null)
        {
            loop.Remove(_timerRegistration);
            _timer.Disarm();
        }
    }

    private bool TryIntercept(in DescriptorChain chain, uint bytes)
    {
        Span<byte> frame = _copy.AsSpan(0, (int)bytes);
        int peek = (int)Math.Min(bytes, TapInterface.HeaderBytes + InterceptorPeekBytes);
        if (!chain.TryRead(0, frame[..peek]) || !Interceptor!.Wants(frame[TapInterface.HeaderBytes..peek]))
        {
            return false;
        }

        // Read once more as a whole: what the interceptor decides on is what it gets, whatever the guest changes meanwhile.
        return chain.TryRead(0, frame)
            && Interceptor.TryConsume(frame[TapInterface.HeaderBytes..], (frame[(int)HeaderFlagsOffset] & HeaderNeedsChecksum) != 0);
    }

    private bool TryFetchIntercepted()
    {
        Span<byte> header = _copy.AsSpan(0, TapInterface.HeaderBytes);
        int made = Interceptor!.TryProduce(_copy.AsSpan(TapInterface.HeaderBytes));
        if (made <= 0)
        {
            return false;
        }

        header.Clear();
        ReadOnlySpan<byte> frame = _copy.AsSpan(0, TapInterface.HeaderBytes + made);
        SetFrame((uint)frame.Length, _buffers.Bytes);
        _buffers.Write(0, frame);
        frame[^(int)_overflowBytes..].CopyTo(_overflow);
        return true;
    }

    private void OnInterceptorTimer()
    {
        if (_timer!.Drain() > 0)
        {
            _timerDueMs = long.MaxValue;
            Receive();
        }
    }

    private void ArmInterceptorTimer()
    {
        // While the guest lends no buffers, its bell brings us back.
        if (_timer is null || Interceptor is null || _buffers.Count == 0 || Interceptor.NextDeadlineMs == _timerDueMs)
        {
            return;
        }

        _timerDueMs = Interceptor.NextDeadlineMs;
        if (_timerDueMs == long.MaxValue)
        {
            _timer.Disarm();
        }
        else
        {
            _timer.Arm(TimeSpan.FromMilliseconds(Math.Max(1, _timerDueMs - Environment.TickCount64)));
        }
    }
}
