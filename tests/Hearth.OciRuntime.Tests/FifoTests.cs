using Hearth.Programs.Oci;

namespace Hearth.OciRuntime.Tests;

/// <summary>A process's streams between a stand-in and a shim.</summary>
public sealed class FifoTests : IDisposable
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);

    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-oci-").FullName;

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>The shim opens an added process's outputs only when it starts it, which it is told to after this has opened them.</summary>
    [Fact]
    public async Task Outputs_are_opened_before_the_shim_does_and_carried_until_it_ends()
    {
        using Fifos fifos = Fifos.Create(_folder, "e1", terminal: false);
        await Task.Run(fifos.Open).WaitAsync(s_deadline);
        Task carried = fifos.CarryOutputAsync();
        await using (FileStream errors = File.OpenWrite(fifos.Stderr))
        await using (FileStream output = File.OpenWrite(fifos.Stdout))
        {
            await output.WriteAsync("written by the test\n"u8.ToArray());
            Assert.False(carried.IsCompleted);
        }

        await carried.WaitAsync(s_deadline);
    }
}
