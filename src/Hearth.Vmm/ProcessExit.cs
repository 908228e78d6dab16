using Hearth.Linux;

namespace Hearth.Vmm;

/// <summary>
/// Ends the process from any thread: the first request wins, the API thread's loop stops, and
/// <c>Main</c> returns <see cref="Code"/>. Thread: any.
/// </summary>
public sealed class ProcessExit
{
    private const int NotRequested = -1;

    private readonly EventLoop _apiLoop;
    private int _code = NotRequested;

    public ProcessExit(EventLoop apiLoop) => _apiLoop = apiLoop;

    public bool IsRequested => Volatile.Read(ref _code) != NotRequested;

    /// <summary>What was requested; <see cref="ExitCode.Ok"/> while nothing was.</summary>
    public ExitCode Code => Volatile.Read(ref _code) is var code && code == NotRequested ? ExitCode.Ok : (ExitCode)code;

    public void Request(ExitCode code)
    {
        Interlocked.CompareExchange(ref _code, (int)code, NotRequested);
        _apiLoop.Stop();
    }
}
