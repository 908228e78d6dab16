namespace Hearth.Vmm;

/// <summary>What the monitor's process ends with. Source: Firecracker <c>FcExitCode</c>.</summary>
public enum ExitCode
{
    Ok = 0,
    GenericError = 1,
    UnexpectedError = 2,
    BadSyscall = 148,
    SigBus = 149,
    SigSegv = 150,
    SigXfsz = 151,
    BadConfiguration = 152,
    ArgumentParsing = 153,
    SigXcpu = 154,
    SigPipe = 155,
    SigHup = 156,
    SigIll = 157,
}
