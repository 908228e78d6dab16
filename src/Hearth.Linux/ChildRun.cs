using System.Text;
using Hearth.Linux.Native;

namespace Hearth.Linux;

/// <summary>How a program that was run to its end has ended.</summary>
/// <param name="InTime">False: it was killed because its time was over.</param>
/// <param name="Status">Its exit code, or 128 and the number of the signal that ended it.</param>
/// <param name="Output">The beginning of what it wrote to its two outputs.</param>
public readonly record struct ChildEnd(bool InTime, int Status, string Output);

/// <summary>Short programs, run to their end: their input is what they are told, their outputs are kept.</summary>
public static class ChildRun
{
    private const int MostOutput = 4096;

    /// <summary>Runs one, and blocks until it has ended.</summary>
    /// <param name="path">The program's file; no search.</param>
    /// <param name="arguments">argv, its first element too, which need not be the path.</param>
    /// <param name="environment"><c>NAME=value</c>.</param>
    /// <param name="input">Its whole standard input.</param>
    /// <param name="limit">How long it may take.</param>
    /// <exception cref="LinuxException">It cannot be started.</exception>
    public static ChildEnd Run(string path, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, ReadOnlySpan<byte> input, TimeSpan limit)
    {
        // Files, not pipes: one that does not read, or leaves something behind that writes, keeps nobody waiting.
        using FileDescriptor told = Pipe.CreateMemoryFile("input", input);
        using FileDescriptor output = Pipe.CreateMemoryFile("output", []);
        int child = ChildProcess.Spawn(path, arguments, environment, [told, output, output]);
        using FileDescriptor pidfd = ChildProcess.OpenPidfd(child);
        bool ended = Polling.WaitReadable(pidfd, (int)Math.Min(limit.TotalMilliseconds, int.MaxValue));
        if (!ended)
        {
            ChildProcess.Signal(pidfd, Signals.SIGKILL);
        }

        int status = ChildProcess.Reap(child);
        _ = Unistd.lseek(output.Number, 0, 0);
        byte[] text = Pipe.ReadAll(output);
        return new ChildEnd(ended, status, Encoding.UTF8.GetString(text.AsSpan(0, Math.Min(text.Length, MostOutput))).Trim());
    }
}
