using System.Collections;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Ttrpc;

namespace Hearth.Shim.Streams;

/// <summary>
/// A logging program of containerd's kind: it gets the outputs as descriptors 3 and 4, closes descriptor 5 when it is ready, and
/// ends when the outputs do. Thread: any. Source: containerd, docs/runtime-v2.md, Logging.
/// </summary>
internal sealed class LoggingProgram
{
    private const int ReadyTimeMs = 30_000;
    private const int EndTimeMs = 10_000;

    private readonly int _pid;
    private readonly FileDescriptor _pidfd;

    private LoggingProgram(int pid, FileDescriptor output, FileDescriptor errors)
    {
        _pid = pid;
        _pidfd = ChildProcess.OpenPidfd(pid);
        Output = output;
        Errors = errors;
    }

    /// <summary>Where the outputs are to be written; closing both is what ends the program.</summary>
    public FileDescriptor Output { get; }

    public FileDescriptor Errors { get; }

    /// <summary>Starts it, and waits until it is ready.</summary>
    /// <exception cref="TtrpcException">It cannot be started, or is not ready in time.</exception>
    public static LoggingProgram Start(StreamAddress address, string containerId, string @namespace)
    {
        List<string> environment = [$"CONTAINER_ID={containerId}", $"CONTAINER_NAMESPACE={@namespace}"];
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            environment.Add($"{variable.Key}={variable.Value}");
        }

        (FileDescriptor outputRead, FileDescriptor outputWrite) = Pipe.Create();
        (FileDescriptor errorsRead, FileDescriptor errorsWrite) = Pipe.Create();
        (FileDescriptor readyRead, FileDescriptor readyWrite) = Pipe.Create();
        using (outputRead)
        using (errorsRead)
        using (readyRead)
        {
            LoggingProgram program;
            try
            {
                using (readyWrite)
                using (FileDescriptor nothing = FileDescriptor.Open("/dev/null", Fcntl.O_RDWR))
                {
                    int pid = ChildProcess.Spawn(
                        address.Path, [address.Path, .. address.Arguments], environment, [nothing, nothing, nothing, outputRead, errorsRead, readyWrite]);
                    program = new LoggingProgram(pid, outputWrite, errorsWrite);
                }
            }
            catch (LinuxException e)
            {
                outputWrite.Dispose();
                errorsWrite.Dispose();
                throw new TtrpcException(StatusCode.NotFound, $"The logging program cannot be started: {e.Message}", e);
            }

            if (!Polling.WaitReadable(readyRead, ReadyTimeMs))
            {
                outputWrite.Dispose();
                errorsWrite.Dispose();
                program.WaitForEnd();
                throw new TtrpcException(StatusCode.DeadlineExceeded, $"The logging program {address.Path} was not ready in {ReadyTimeMs / 1000} s.");
            }

            return program;
        }
    }

    /// <summary>Waits for the end of a program whose outputs are closed, and hastens it in the end. Blocks.</summary>
    public void WaitForEnd()
    {
        foreach (int signal in (int[])[Signals.SIGTERM, Signals.SIGKILL])
        {
            if (Polling.WaitReadable(_pidfd, EndTimeMs))
            {
                break;
            }

            ChildProcess.Signal(_pidfd, signal);
        }

        ChildProcess.Reap(_pid);
        _pidfd.Dispose();
    }
}
