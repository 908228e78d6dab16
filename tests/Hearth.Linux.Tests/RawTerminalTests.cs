using System.Diagnostics;
using System.Runtime.InteropServices;
using Hearth.Linux.Native;

namespace Hearth.Linux.Tests;

public sealed partial class RawTerminalTests
{
    private const int SIGKILL = 9;
    private const int KilledBySignal = 128;

    [Fact]
    public void Raw_mode_lasts_until_it_is_disposed()
    {
        using var terminal = new PseudoTerminal();
        string before = terminal.Mode;
        Assert.False(terminal.IsRaw);

        using (RawTerminal? raw = RawTerminal.TryEnter(terminal.Program))
        {
            Assert.NotNull(raw);
            Assert.True(terminal.IsRaw);
        }

        Assert.Equal(before, terminal.Mode);
    }

    [Fact]
    public void What_is_no_terminal_is_left_alone()
    {
        using FileDescriptor file = FileDescriptor.Open("/dev/null", Fcntl.O_WRONLY);

        Assert.Null(RawTerminal.TryEnter(file));
        Assert.False(RawTerminal.IsForeground(file));
    }

    [Theory]
    [InlineData("dispose", 0)]
    [InlineData("exit", 3)]
    [InlineData("exception", KilledBySignal + Signals.SIGABRT)]
    public void The_mode_is_back_after_a_process_that_ended_by(string end, int status)
    {
        using var terminal = new PseudoTerminal();
        string before = terminal.Mode;
        using Process child = StartChild(terminal, end, waitForRaw: false);

        Assert.Equal(status, Finish(child));
        Assert.Equal(before, terminal.Mode);
    }

    [Theory]
    [InlineData(Signals.SIGHUP)]
    [InlineData(Signals.SIGINT)]
    [InlineData(Signals.SIGQUIT)]
    [InlineData(Signals.SIGTERM)]
    [InlineData(Signals.SIGABRT)]
    [InlineData(Signals.SIGXCPU)]
    [InlineData(Signals.SIGSYS)]
    public void The_mode_is_back_after_the_signal(int signal)
    {
        using var terminal = new PseudoTerminal();
        string before = terminal.Mode;
        using Process child = StartChild(terminal, "signal", waitForRaw: true);
        Assert.True(terminal.IsRaw);

        FileDescriptor.Check(kill(child.Id, signal), "kill");

        Assert.Equal(KilledBySignal + signal, Finish(child));
        Assert.Equal(before, terminal.Mode);
    }

    [Fact]
    public void Only_SIGKILL_leaves_it_raw()
    {
        // The counter-test: without a handler the mode does stay, so the tests above see something.
        using var terminal = new PseudoTerminal();
        using Process child = StartChild(terminal, "signal", waitForRaw: true);

        FileDescriptor.Check(kill(child.Id, SIGKILL), "kill");

        Assert.Equal(KilledBySignal + SIGKILL, Finish(child));
        Assert.True(terminal.IsRaw);
    }

    private static Process StartChild(PseudoTerminal terminal, string end, bool waitForRaw)
    {
        // Whoever runs the tests in the background may have left SIGINT and SIGQUIT ignored.
        var start = new ProcessStartInfo("/usr/bin/env")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add("--default-signal");
        start.ArgumentList.Add("sh");
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("exec \"$0\" <\"$1\"");
        start.ArgumentList.Add(Environment.ProcessPath!);
        start.ArgumentList.Add(terminal.Path);
        start.Environment[TerminalChild.Role] = end;
        start.Environment["DOTNET_DbgEnableMiniDump"] = "0";
        Process child = Process.Start(start)!;
        child.ErrorDataReceived += static (_, _) => { };
        child.BeginErrorReadLine();
        if (waitForRaw)
        {
            Assert.Equal("raw", child.StandardOutput.ReadLine());
        }

        return child;
    }

    private static int Finish(Process child)
    {
        if (!child.WaitForExit(60_000))
        {
            child.Kill();
            Assert.Fail("The child did not end.");
        }

        return child.ExitCode;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int pid, int sig);
}
