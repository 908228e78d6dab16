using System.Globalization;
using System.Text;
using CsCheck;
using Hearth.Shim.Streams;

namespace Hearth.Shim.Tests;

/// <summary>CRI's log format, written and read again.</summary>
public sealed class CriLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-log-").FullName;

    private string LogPath => Path.Combine(_folder, "log");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Whatever_pieces_output_comes_in_its_lines_are_read_again()
    {
        Gen<byte[]> text = Gen.Frequency(
            (5, Gen.Byte[(byte)'a', (byte)'c'].Array[0, 40]),
            (3, Gen.Const("\n"u8.ToArray())),
            (1, Gen.Int[CriLog.MaxLine - 2, CriLog.MaxLine + 2].Select(static length => Enumerable.Repeat((byte)'x', length).ToArray())),
            (1, Gen.Int[0, 3 * CriLog.MaxLine].Select(static length => Enumerable.Repeat((byte)'y', length).ToArray())));
        Gen.Select(Gen.Bool, text).Array[0, 30].Sample(
            pieces =>
            {
                string path = Path.Combine(_folder, Path.GetRandomFileName());
                using (var log = new CriLog(path))
                {
                    CriLog.Writer[] writers = [log.CreateWriter(errors: false), log.CreateWriter(errors: true)];
                    foreach ((bool errors, byte[] piece) in pieces)
                    {
                        writers[errors ? 1 : 0].Write(piece);
                    }

                    writers[0].End();
                    writers[1].End();
                }

                foreach (bool errors in (bool[])[false, true])
                {
                    byte[] written = [.. pieces.Where(piece => piece.Item1 == errors).SelectMany(static piece => piece.Item2)];
                    Assert.Equal(Lines(written), ReadBack(path, errors ? "stderr" : "stdout"));
                }
            },
            iter: 200);
    }

    [Fact]
    public void A_line_has_time_stream_and_tag()
    {
        using (var log = new CriLog(LogPath, new FixedClock()))
        {
            CriLog.Writer writer = log.CreateWriter(errors: true);
            writer.Write("half "u8);
            Assert.Equal("", File.ReadAllText(LogPath));
            writer.Write("and half\n\nrest"u8);
            writer.End();
        }

        const string time = "2026-01-02T03:04:05.000678900Z";
        Assert.Equal($"{time} stderr F half and half\n{time} stderr F \n{time} stderr F rest\n", File.ReadAllText(LogPath));
    }

    [Fact]
    public void Writing_allocates_nothing()
    {
        using var log = new CriLog(LogPath);
        CriLog.Writer writer = log.CreateWriter(errors: false);
        byte[] output = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("a line of output\n", 1000)) + new string('x', 100_000));
        writer.Write(output);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 20; i++)
        {
            writer.Write(output);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void A_full_disk_loses_lines_and_says_how_much()
    {
        using var log = new CriLog("/dev/full");
        CriLog.Writer writer = log.CreateWriter(errors: false);
        writer.Write("line\n"u8);

        Assert.Equal(45, log.Lost);
    }

    private static List<string> Lines(byte[] written)
    {
        List<string> lines = [.. Encoding.ASCII.GetString(written).Split('\n')];
        if (lines[^1].Length == 0)
        {
            lines.RemoveAt(lines.Count - 1);
        }

        return lines;
    }

    private static List<string> ReadBack(string path, string stream)
    {
        List<string> lines = [];
        var line = new StringBuilder();
        foreach (string entry in File.ReadAllLines(path))
        {
            string[] parts = entry.Split(' ', 4);
            Assert.True(DateTimeOffset.TryParseExact(parts[0][..27] + "Z", "yyyy-MM-ddTHH:mm:ss.fffffffZ", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out _), parts[0]);
            if (parts[1] != stream)
            {
                continue;
            }

            Assert.True(parts[3].Length <= CriLog.MaxLine);
            Assert.Contains(parts[2], (string[])["F", "P"]);
            line.Append(parts[3]);
            if (parts[2] == "F")
            {
                lines.Add(line.ToString());
                line.Clear();
            }
        }

        Assert.Equal(0, line.Length);
        return lines;
    }

    private sealed class FixedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero).AddTicks(6789);
    }
}
