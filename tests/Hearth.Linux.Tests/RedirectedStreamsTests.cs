using System.Diagnostics;
using System.IO.Pipes;

namespace Hearth.Linux.Tests;

public sealed class RedirectedStreamsTests
{
    [Fact]
    public async Task A_process_whose_streams_were_used_leaves_none_open()
    {
        List<string> left = [];
        for (int i = 0; i < 5; i++)
        {
            using Process process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "read line; echo $line; echo bad >&2"]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
            string[] open;
            using (new RedirectedStreams(process))
            {
                await process.StandardInput.WriteLineAsync("in");
                await process.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
                Assert.Equal("in\n", await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken));
                Assert.Equal("bad\n", await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
                open = [.. new[] { process.StandardInput.BaseStream, process.StandardOutput.BaseStream, process.StandardError.BaseStream }.Select(Name)];
            }

            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            left.AddRange(open.Where(All().Contains));
        }

        Assert.Empty(left);
    }

    // As the kernel names what a descriptor is of: pipe:[NUMBER].
    private static string Name(Stream stream) => new FileInfo($"/proc/self/fd/{((PipeStream)stream).SafePipeHandle.DangerousGetHandle()}").LinkTarget!;

    private static HashSet<string> All() => [.. Directory.GetFiles("/proc/self/fd").Select(static file => new FileInfo(file).LinkTarget).OfType<string>()];
}
