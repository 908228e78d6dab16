using System.Globalization;
using System.Text;
using CsCheck;
using Hearth.Programs.Hearth;
using Hearth.Programs.Hearth.Logs;

namespace Hearth.Cli.Tests;

public sealed class LogTests : IDisposable
{
    private static readonly DateTimeOffset s_start = new(2026, 11, 25, 12, 0, 0, TimeSpan.Zero);

    // Lines of both streams, in pieces as a shim writes long ones.
    private static readonly Gen<(bool Error, string[] Pieces)[]> s_lines =
        Gen.Select(Gen.Bool, Gen.String[Gen.Char[' ', '~'], 0, 30].Array[1, 4]).Array[0, 40];

    private readonly TemporaryFolder _folder = new();

    private string LogPath => Path.Combine(_folder.Path, "c.log");

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void What_a_container_wrote_is_read_stream_by_stream() => s_lines.Sample(lines =>
    {
        File.WriteAllText(LogPath, Write(lines));
        Assert.Equal((Text(lines, false), Text(lines, true)), Read(new LogReading()));
    }, threads: 1);

    [Fact]
    public void The_last_lines_are_whole_ones() => Gen.Select(s_lines, Gen.Long[0, 45]).Sample((lines, tail) =>
    {
        File.WriteAllText(LogPath, Write(lines));
        (bool Error, string[] Pieces)[] last = [.. lines.TakeLast((int)tail)];
        Assert.Equal((Text(last, false), Text(last, true)), Read(new LogReading { Tail = tail }));
    }, threads: 1);

    [Fact]
    public void Following_sees_every_byte_once_however_it_is_written_and_rotated() =>
        Gen.Select(s_lines, Gen.Int[1, 50].Array[1, 12], Gen.Int[0, 12]).Sample((lines, cuts, rotateAt) =>
        {
            File.Delete(LogPath);
            string text = Write(lines);
            var over = new TaskCompletionSource();
            using var output = new MemoryStream();
            using var errors = new MemoryStream();
            Task reading = Task.Run(() => LogReader.ReadAsync(LogPath, new LogReading { Until = over.Task }, output, errors, CancellationToken.None));
            // A file that is renamed before anybody has opened it is another log.
            File.WriteAllText(LogPath, "2026-11-25T12:00:00Z stdout F ready\n");
            SpinWait.SpinUntil(() => output.Length > 0);
            int at = 0;
            for (int i = 0; at < text.Length; i++)
            {
                if (i == rotateAt)
                {
                    // As the kubelet does, at the end of a record: renamed, and a new one at its path.
                    int end = text.IndexOf('\n', at) + 1;
                    File.AppendAllText(LogPath, text[at..end]);
                    at = end;
                    File.Move(LogPath, LogPath + ".old", overwrite: true);
                    File.WriteAllText(LogPath, "");
                }

                int length = Math.Min(cuts[i % cuts.Length], text.Length - at);
                File.AppendAllText(LogPath, text.Substring(at, length));
                at += length;
            }

            over.SetResult();
            reading.Wait();
            Assert.Equal(("ready\n" + Text(lines, false), Text(lines, true)), (Encoding.UTF8.GetString(output.ToArray()), Encoding.UTF8.GetString(errors.ToArray())));
        }, iter: 30, threads: 1);

    [Fact]
    public void Since_leaves_out_what_is_older_and_timestamps_begin_each_line()
    {
        File.WriteAllText(LogPath, Write([(false, ["old"]), (false, ["ne", "w"]), (true, ["bad"])]));

        (string output, string errors) = Read(new LogReading { Since = s_start.AddSeconds(1), Timestamps = true });

        Assert.Equal("2026-11-25T12:00:01.0000000Z new\n", output);
        Assert.Equal("2026-11-25T12:00:03.0000000Z bad\n", errors);
    }

    [Fact]
    public void A_record_that_was_cut_off_and_one_of_no_format_are_given_on()
    {
        File.WriteAllText(LogPath, "not a record\n2026-11-25T12:00:00Z stdout F\n2026-11-25T12:00:00.1Z stdout F end");

        Assert.Equal(("not a record\n\nend", ""), Read(new LogReading()));
    }

    [Fact]
    public async Task A_log_that_is_not_there_is_said_so()
    {
        CommandLineException failure = await Assert.ThrowsAsync<CommandLineException>(() => LogReader.ReadAsync(LogPath, new LogReading(), Stream.Null, Stream.Null, CancellationToken.None));
        Assert.Contains("There is no log", failure.Message);
    }

    [Fact]
    public void Any_bytes_are_read_or_refused() => Gen.Byte.Array[0, 200].Sample(static bytes =>
    {
        if (LogLine.TryParse(bytes, out LogLine line))
        {
            Assert.True(line.Content.Length < bytes.Length);
        }
    });

    [Theory]
    [InlineData("90s", 90)]
    [InlineData("1h30m", 5400)]
    [InlineData("2d", 172800)]
    [InlineData("0.5m", 30)]
    public void A_time_may_be_how_long_ago_it_was(string text, int seconds) => Assert.Equal(s_start.AddSeconds(-seconds), Moment.Parse(text, s_start));

    [Theory]
    [InlineData("2026-11-25T11:00:00Z")]
    [InlineData("1795604400")]
    public void A_time_may_be_a_date(string text) => Assert.Equal(s_start.AddHours(-1), Moment.Parse(text, s_start));

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("m")]
    [InlineData("yesterday")]
    public void What_is_no_time_is_refused(string text)
    {
        if (text != "5")
        {
            Assert.Throws<CommandLineException>(() => Moment.Parse(text, s_start));
        }

        Assert.False(Moment.TryParseSpan(text, out _));
    }

    private static string Write((bool Error, string[] Pieces)[] lines)
    {
        var text = new StringBuilder();
        int record = 0;
        foreach ((bool error, string[] pieces) in lines)
        {
            foreach ((int i, string piece) in pieces.Index())
            {
                string time = s_start.AddSeconds(record++).UtcDateTime.ToString("O", CultureInfo.InvariantCulture);
                text.Append($"{time} {(error ? "stderr" : "stdout")} {(i < pieces.Length - 1 ? "P" : "F")} {piece}\n");
            }
        }

        return text.ToString();
    }

    private static string Text((bool Error, string[] Pieces)[] lines, bool error) =>
        string.Concat(lines.Where(line => line.Error == error).Select(line => string.Concat(line.Pieces) + "\n"));

    private (string Output, string Errors) Read(LogReading reading)
    {
        using var output = new MemoryStream();
        using var errors = new MemoryStream();
        LogReader.ReadAsync(LogPath, reading, output, errors, CancellationToken.None).Wait();
        return (Encoding.UTF8.GetString(output.ToArray()), Encoding.UTF8.GetString(errors.ToArray()));
    }
}
