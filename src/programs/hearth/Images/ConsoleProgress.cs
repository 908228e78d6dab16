using Hearth.Images;

namespace Hearth.Programs.Hearth.Images;

/// <summary>
/// Progress on standard error, so that standard output stays for results. A step with a percentage is a bar on one line
/// of a terminal; elsewhere it is told every ten percent.
/// </summary>
internal sealed class ConsoleProgress : IProgress<ImageProgress>, IDisposable
{
    private const int LoggedStep = 10;
    private const int BarCells = 30;

    private readonly bool _terminal = !Console.IsErrorRedirected;
    // Guards the fields below: tools report from the threads that read their output.
    private readonly Lock _gate = new();
    private string? _counting;
    private int _logged;

    public void Report(ImageProgress value)
    {
        lock (_gate)
        {
            if (value.Percent is not { } percent)
            {
                EndLine();
                Console.Error.WriteLine($"    {value.Text}");
                return;
            }

            bool first = _counting != value.Text;
            if (_terminal)
            {
                if (first)
                {
                    EndLine();
                }

                int filled = percent * BarCells / 100;
                Console.Error.Write($"\r    {value.Text}: {new string('█', filled)}{new string('░', BarCells - filled)} {percent,3} %");
            }
            else if (first || percent >= _logged + LoggedStep)
            {
                _logged = percent - (percent % LoggedStep);
                Console.Error.WriteLine($"    {value.Text}: {percent} %");
            }

            _counting = value.Text;
        }
    }

    /// <summary>Ends a line that was being counted up.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            EndLine();
        }
    }

    private void EndLine()
    {
        if (_terminal && _counting is not null)
        {
            Console.Error.WriteLine();
        }

        _counting = null;
    }
}
