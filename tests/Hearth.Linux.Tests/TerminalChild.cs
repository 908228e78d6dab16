using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Hearth.Linux.Tests;

/// <summary>
/// The test program started again in another role: it makes its stdin raw, says so, and ends in the way its
/// environment names. It has to be a process of its own because it does not survive.
/// </summary>
internal static class TerminalChild
{
    public const string Role = "HEARTH_TEST_TERMINAL_CHILD";

    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "The test runner has the only Main.")]
    internal static void RunIfAsked()
    {
        string? end = Environment.GetEnvironmentVariable(Role);
        if (end is null)
        {
            return;
        }

        using var stdin = new FileDescriptor(0, ownsHandle: false);
        RawTerminal terminal = RawTerminal.TryEnter(stdin) ?? throw new InvalidOperationException("stdin is no terminal.");
        Console.Out.WriteLine("raw");
        Console.Out.Flush();
        switch (end)
        {
            case "dispose":
                terminal.Dispose();
                Environment.Exit(0);
                break;
            case "exit":
                Environment.Exit(3);
                break;
            case "exception":
                // On a thread of its own: an exception in a module initializer would be wrapped.
                new Thread(static () => throw new InvalidOperationException("On purpose.")).Start();
                Thread.Sleep(Timeout.Infinite);
                break;
            default:
                Thread.Sleep(Timeout.Infinite);
                break;
        }
    }
}
