using Hearth.Testing.Virtio;
using Hearth.Virtio.Block;
using Hearth.Virtio.Fs;

namespace Hearth.Virtio.Tests.VhostUser;

public sealed class FsDeviceContractTests : VirtioDeviceContract, IDisposable
{
    private readonly FakeBackEnd _backEnd = new() { Holds = true };

    public void Dispose() => _backEnd.Dispose();

    protected override VirtioDevice CreateDevice() => new FsDevice("tag", _backEnd.Path);

    protected override bool PopsWhenNotified(int queue) => false;
}

public sealed class VhostUserBlockDeviceContractTests : VirtioDeviceContract, IDisposable
{
    private readonly FakeBackEnd _backEnd = new() { Holds = true };

    public void Dispose() => _backEnd.Dispose();

    protected override VirtioDevice CreateDevice() => new VhostUserBlockDevice(new VhostUserBlockConfig { DriveId = "drive", Socket = _backEnd.Path });

    protected override bool PopsWhenNotified(int queue) => false;
}
