using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>Gives a drive another file: <paramref name="path"/>, or nothing; <paramref name="before"/> is what it had, if the drive is to lose it.</summary>
internal delegate Task DriveGiver(int index, string? path, string? before, CancellationToken cancellation);

/// <summary>
/// The drives that are there from the machine's start, without content, and are given an image when a container needs one
/// (docs/decisions/0016). Containers of the same image share a drive. Thread: any.
/// </summary>
internal sealed class ImageDrives : IDisposable
{
    private readonly Slot[] _slots;
    private readonly DriveGiver _give;

    // Guards _slots and _turn, over the requests to the monitor too.
    private readonly SemaphoreSlim _lock = new(1, 1);
    private long _turn;

    /// <param name="count">How many there are.</param>
    /// <param name="firstDevice">The first one's place among the guest's disks: 0 is vda.</param>
    /// <param name="give">Gives a drive a file.</param>
    public ImageDrives(int count, int firstDevice, DriveGiver give)
    {
        _slots = [.. Enumerable.Range(0, count).Select(i => new Slot { Device = DeviceOf(firstDevice + i) })];
        _give = give;
    }

    /// <summary>The guest's name of its n-th disk: vda, vdb… vdz, vdaa.</summary>
    public static string DeviceOf(int index) => index < 26 ? $"/dev/vd{(char)('a' + index)}" : $"/dev/vd{(char)('a' + (index / 26) - 1)}{(char)('a' + (index % 26))}";

    /// <summary>Gives a drive the image, unless one has it.</summary>
    /// <returns>The guest's device.</returns>
    /// <exception cref="HearthException">All are in use.</exception>
    public async Task<string> AttachAsync(string containerId, string path, CancellationToken cancellation)
    {
        await _lock.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            int index = Array.FindIndex(_slots, slot => slot.Path == path);
            if (index < 0)
            {
                // The one that has been free the longest: what the guest still does with its last image is long over.
                index = Enumerable.Range(0, _slots.Length).Where(i => _slots[i].Path is null).OrderBy(i => _slots[i].FreedAt).FirstOrDefault(-1);
                if (index < 0)
                {
                    throw new HearthException(
                        $"The pod has {_slots.Length} images already, and no drive left for {path}: raise image_drives of [microvm] in hearth.toml for pods that are made from then on.");
                }

                await _give(index, path, null, cancellation).ConfigureAwait(false);
                _slots[index].Path = path;
            }

            _slots[index].Users.Add(containerId);
            return _slots[index].Device;
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Frees what only this container used. A container without a drive is no error.</summary>
    public async Task DetachAsync(string containerId, CancellationToken cancellation)
    {
        await _lock.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            for (int i = 0; i < _slots.Length; i++)
            {
                if (_slots[i].Users.Remove(containerId) && _slots[i].Users.Count == 0)
                {
                    string? path = _slots[i].Path;
                    _slots[i].Path = null;
                    _slots[i].FreedAt = ++_turn;
                    await _give(i, null, path, cancellation).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            _lock.Release();
        }
    }

    public void Dispose() => _lock.Dispose();

    private sealed class Slot
    {
        public required string Device { get; init; }

        public string? Path { get; set; }

        public HashSet<string> Users { get; } = new(StringComparer.Ordinal);

        public long FreedAt { get; set; }
    }
}
