using System.Diagnostics;

namespace Hearth.Linux;

/// <summary>
/// Closes a process's redirected streams. <see cref="Process"/> leaves those open that were used when it is disposed, until the garbage collector
/// comes: which is seldom in a daemon that allocates little. To be disposed before the process is.
/// </summary>
/// <param name="process">Started with at least one of its streams redirected.</param>
public readonly struct RedirectedStreams(Process process) : IDisposable
{
    public void Dispose()
    {
        ProcessStartInfo start = process.StartInfo;
        if (start.RedirectStandardInput)
        {
            process.StandardInput.BaseStream.Dispose();
        }

        if (start.RedirectStandardOutput)
        {
            process.StandardOutput.Dispose();
        }

        if (start.RedirectStandardError)
        {
            process.StandardError.Dispose();
        }
    }
}
