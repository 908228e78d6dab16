using Hearth.Testing.Virtio;
using Hearth.Virtio.Block;

namespace Hearth.Virtio.Tests.Block;

public sealed class BlockDeviceContractTests : VirtioDeviceContract, IDisposable
{
    private readonly TemporaryFile _file = new(new byte[1 << 20]);

    public void Dispose() => _file.Dispose();

    protected override VirtioDevice CreateDevice() => new BlockDevice(new BlockConfig { DriveId = "rootfs", Path = _file.Path });
}
