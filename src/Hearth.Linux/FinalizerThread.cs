using System.Runtime.CompilerServices;

namespace Hearth.Linux;

/// <summary>
/// The runtime's own thread, which it has started before a program's first line, and which runs nothing of the program's but
/// finalizers: what is to be the thread's own (filters, capabilities), one of them does.
/// </summary>
public static class FinalizerThread
{
    /// <summary>Runs <paramref name="work"/> there, and waits for it.</summary>
    /// <exception cref="HearthException">What it threw; it may throw nothing else.</exception>
    public static void Run(Action work)
    {
        var done = new StrongBox<Exception?>(new HearthException("The runtime has not run a finalizer."));
        LeaveGarbage(work, done);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        if (done.Value is { } failure)
        {
            throw failure;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void LeaveGarbage(Action work, StrongBox<Exception?> done) => _ = new Finalized(work, done);

    private sealed class Finalized(Action work, StrongBox<Exception?> done)
    {
        ~Finalized()
        {
            try
            {
                work();
                done.Value = null;
            }
            catch (HearthException e)
            {
                done.Value = e;
            }
        }
    }
}
