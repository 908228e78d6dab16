using Hearth.Linux;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Tests.Api;

/// <summary>A machine that records what is asked of it, for tests of the API alone.</summary>
internal sealed class FakeMachine : IVirtualMachine, IMachineBuilder
{
    public VmState State { get; private set; } = VmState.Running;

    public List<string> Calls { get; } = [];

    /// <summary>What the next build fails with.</summary>
    public string? Failure { get; set; }

    public IVirtualMachine Build(VmResources resources)
    {
        if (Failure is { } failure)
        {
            Failure = null;
            throw new HearthException(failure);
        }

        Calls.Add("build");
        return this;
    }

    public void Pause() => State = VmState.Paused;

    public void Resume() => State = VmState.Running;

    public void SendCtrlAltDel() => Calls.Add("ctrl-alt-del");

    public void UpdateDrive(string driveId, string? pathOnHost, RateLimiterConfig? rateLimiter) =>
        Calls.Add($"update {driveId} {pathOnHost} {rateLimiter?.Ops?.Size}");

    public void UpdateNetworkInterface(string ifaceId, RateLimiterConfig? rxRateLimiter, RateLimiterConfig? txRateLimiter) =>
        Calls.Add($"update {ifaceId} rx {rxRateLimiter?.Ops?.Size} tx {txRateLimiter?.Ops?.Size}");
}
