using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Runtime.Pods;

namespace Hearth.Programs.Daemon.Cri;

/// <summary>What <c>hearth</c> asks for and CRI has no words for (hearth.proto). Thread: any.</summary>
internal sealed class PersonServer(PodRuntime runtime, RuntimeServer cri) : Person.PersonBase
{
    public override async Task<SignalResponse> Signal(SignalRequest request, ServerCallContext context)
    {
        if (request.Signal is < 1 or > 64)
        {
            throw new PodException(PodFault.InvalidArgument, $"{request.Signal} is no signal: they are 1 to 64.");
        }

        await runtime.SignalContainerAsync(RuntimeServer.Id(request.ContainerId, "container"), (int)request.Signal, context.CancellationToken).ConfigureAwait(false);
        return new SignalResponse();
    }

    public override Task<ExecResponse> ExecProcess(ExecProcessRequest request, ServerCallContext context)
    {
        if (request.Environment.FirstOrDefault(static variable => variable.IndexOf('=') < 1 || variable.Contains('\0')) is { } wrong)
        {
            throw new PodException(PodFault.InvalidArgument, $"\"{wrong}\" is no variable: NAME=value is.");
        }

        if (request.WorkingDirectory.Length > 0 && !request.WorkingDirectory.StartsWith('/'))
        {
            throw new PodException(PodFault.InvalidArgument, $"The working directory \"{request.WorkingDirectory}\" is no absolute path.");
        }

        return Task.FromResult(cri.Exec(request.Exec ?? new ExecRequest(), [.. request.Environment], request.WorkingDirectory, request.User));
    }
}
