using System.Globalization;
using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>
/// How many machines of a host boot at one time: two a CPU. More come up no sooner, and where fifty are asked for at once each would
/// be starved until what waits for it gives up. The kernel ends a turn with its process. Thread: any.
/// </summary>
internal static class BootTurns
{
    private const int EachCpu = 2;
    private const UnixFileMode Owners = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    // Longer each time: fifty that ask often would take the CPU from those who boot.
    private static readonly TimeSpan s_again = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(1);

    /// <summary>Waits for a turn, which ends when what is returned is disposed.</summary>
    /// <param name="state">The host's state folder, in which all shims look.</param>
    /// <param name="turns">How many there are; null for the host's.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public static async Task<IDisposable> TakeAsync(string state, int? turns = null, CancellationToken cancellation = default)
    {
        int count = turns ?? Environment.ProcessorCount * EachCpu;
        // Whoever can open a folder can keep it.
        string all = Path.Combine(state, "boots");
        Directory.CreateDirectory(state);
        string[] folders = [.. Enumerable.Range(0, count).Select(i => Path.Combine(all, i.ToString(CultureInfo.InvariantCulture)))];
        foreach (string folder in folders.Prepend(all))
        {
            Directory.CreateDirectory(folder, Owners);
        }

        // Not all look at the same one first.
        int first = Random.Shared.Next(count);
        for (TimeSpan pause = s_again; ; pause = pause < s_longest ? pause * 2 : s_longest)
        {
            for (int i = 0; i < count; i++)
            {
                if (FolderLock.TryTake(folders[(first + i) % count]) is { } turn)
                {
                    return turn;
                }
            }

            await Task.Delay(pause, cancellation).ConfigureAwait(false);
        }
    }
}
