using Hearth.Testing.Virtio;
using Hearth.Virtio.Vsock;

namespace Hearth.Virtio.Tests.Vsock;

public sealed class VsockDeviceContractTests : VirtioDeviceContract, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-vsock-").FullName;
    private int _made;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    protected override VirtioDevice CreateDevice() =>
        new VsockDevice(new VsockConfig { GuestCid = 3, UdsPath = Path.Combine(_folder, $"{_made++}.sock") });

    // Only the guest's own packets; buffers are taken when there is something to put into them.
    protected override bool PopsWhenNotified(int queue) => queue == 1;
}
