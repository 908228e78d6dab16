using System.Text;

namespace Hearth.Programs.Hearth.Output;

/// <summary>Columns for a person: a heading, rows, three spaces between. What a container says of itself cannot move the cursor.</summary>
internal sealed class Table
{
    private const int Gap = 3;

    private readonly string[] _heading;
    private readonly List<Cell[]> _rows = [];

    public Table(params string[] heading) => _heading = heading;

    public int RowCount => _rows.Count;

    public void Add(params Cell[] cells)
    {
        if (cells.Length != _heading.Length)
        {
            throw new ArgumentException($"{cells.Length} cells in a table of {_heading.Length} columns.", nameof(cells));
        }

        _rows.Add(cells);
    }

    public void Write(TextWriter output, Palette palette)
    {
        int[] widths = [.. _heading.Select((title, column) => Math.Max(title.Length, _rows.Select(row => row[column].Text.Length).DefaultIfEmpty().Max()))];
        WriteRow(output, widths, [.. _heading.Select(title => new Cell(title, static (palette, text) => palette.Bold(text)))], palette);
        foreach (Cell[] row in _rows)
        {
            WriteRow(output, widths, row, palette);
        }
    }

    private static void WriteRow(TextWriter output, int[] widths, Cell[] row, Palette palette)
    {
        var line = new StringBuilder();
        for (int i = 0; i < row.Length; i++)
        {
            line.Append(row[i].Paint?.Invoke(palette, row[i].Text) ?? row[i].Text);
            if (row.Skip(i + 1).Any(static cell => cell.Text.Length > 0))
            {
                line.Append(' ', widths[i] - row[i].Text.Length + Gap);
            }
        }

        output.WriteLine(line.ToString());
    }

    /// <summary>One cell; its colour takes no width.</summary>
    internal readonly record struct Cell
    {
        public Cell(string text, Func<Palette, string, string>? paint = null)
        {
            Text = Humane.Printable(text);
            Paint = paint;
        }

        public string Text { get; }

        public Func<Palette, string, string>? Paint { get; }

        public static implicit operator Cell(string text) => new(text);
    }
}
