namespace Hearth.Images.Store;

/// <summary>Tells of one step's share whenever it has grown by a percent; from any thread.</summary>
internal sealed class ProgressMeter(IProgress<ImageProgress>? progress, string text)
{
    private int _told = -1;

    /// <param name="share">From 0 to 1.</param>
    public void Report(double share)
    {
        int percent = (int)(share * 100);
        int told = Volatile.Read(ref _told);
        if (percent > told && Interlocked.CompareExchange(ref _told, percent, told) == told)
        {
            progress?.Report(new ImageProgress(text, percent));
        }
    }
}
