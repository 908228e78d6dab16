using Hearth.Testing.Virtio;

namespace Hearth.Virtio.Tests.Net;

public sealed class NetDeviceContractTests : VirtioDeviceContract, IDisposable
{
    private readonly List<IDisposable> _hosts = [];

    public void Dispose() => _hosts.ForEach(static host => host.Dispose());

    protected override VirtioDevice CreateDevice() => NetBench.Create(_hosts);
}
