using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>
/// Interrupts a blocking system call of another thread (KVM_RUN): signal 40, whose handler does nothing and is one byte of
/// machine code. No managed code runs in a signal handler, and NativeAOT's own signals are left alone.
/// </summary>
public static unsafe class ThreadKick
{
    /// <summary>A real-time signal that neither glibc (32, 33) nor the .NET runtime (SIGRTMIN = 34) uses.</summary>
    public const int Signal = 40;

    private static readonly Lock s_lock = new();
    private static bool s_installed;

    /// <summary>Installs the handler once for the process; later calls do nothing.</summary>
    public static void Install()
    {
        lock (s_lock)
        {
            if (s_installed)
            {
                return;
            }

            // ret. A function of libc would do as well, but a static program has no way to ask for its address.
            nint handler = NativeCode.Map([0xc3]);
            if (handler == 0)
            {
                throw new HearthException("This host forbids new executable pages (SELinux execmem?), and the monitor needs one to interrupt its vCPUs.");
            }

            // SA_RESTART is left out on purpose.
            var action = new sigaction_t { sa_handler = handler };
            // SAFETY: `action` lives on this stack for the whole call, its layout is asserted in Hearth.Abi.Tests.
            FileDescriptor.Check(Signals.sigaction(Signal, &action, null), $"sigaction({Signal})");
            s_installed = true;
        }
    }

    /// <summary>Sends the signal to a thread of this process. A thread that is gone is not an error.</summary>
    public static void Send(int threadId) => _ = Signals.tgkill(Unistd.getpid(), threadId, Signal);

    /// <summary>The kernel's id of the calling thread, for <see cref="Send"/>.</summary>
    public static int CurrentThreadId => Unistd.gettid();
}
