using Hearth.Linux;
using Hearth.Virtio.Net;

namespace Hearth.Network.Tests;

/// <summary>Two TAPs, each opened as the monitor opens one, with a thread a direction that carries frames over: a machine without a machine.</summary>
internal sealed class Splice : IDisposable
{
    private readonly TapInterface _a;
    private readonly TapInterface _b;
    private readonly Thread[] _threads;
    private volatile bool _ended;

    public Splice(TapInterface a, TapInterface b)
    {
        _a = a;
        _b = b;
        _threads = [new Thread(() => Carry(_a, _b)), new Thread(() => Carry(_b, _a))];
        foreach (Thread thread in _threads)
        {
            thread.Start();
        }
    }

    public void Dispose()
    {
        _ended = true;
        foreach (Thread thread in _threads)
        {
            thread.Join();
        }

        _a.Dispose();
        _b.Dispose();
    }

    private void Carry(TapInterface from, TapInterface to)
    {
        byte[] frame = new byte[70_000];
        while (!_ended)
        {
            int count = Polling.Read(from.Fd, frame);
            if (count > 0)
            {
                _ = Pipe.Write(to.Fd, frame.AsSpan(0, count));
            }
            else
            {
                _ = Polling.WaitReadable(from.Fd, 50);
            }
        }
    }
}
