using System.Diagnostics;
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

    private static readonly TimeSpan s_again = TimeSpan.FromMilliseconds(50);

    /// <summary>Waits for a turn, which ends when what is returned is disposed.</summary>
    /// <param name="state">The host's state folder, in which all shims look.</param>
    /// <param name="turns">How many there are; null for the host's.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public static async Task<IDisposable> TakeAsync(string state, int? turns = null, CancellationToken cancellation = default)
    {
        int count = turns ?? Environment.ProcessorCount * EachCpu;
        // Not all look at the same one first.
        int first = (int)(Stopwatch.GetTimestamp() % count);
        while (true)
        {
            for (int i = 0; i < count; i++)
            {
                string folder = Path.Combine(state, "boots", ((first + i) % count).ToString(CultureInfo.InvariantCulture));
                Directory.CreateDirectory(folder);
                if (FolderLock.TryTake(folder) is { } turn)
                {
                    return turn;
                }
            }

            await Task.Delay(s_again, cancellation).ConfigureAwait(false);
        }
    }
}
