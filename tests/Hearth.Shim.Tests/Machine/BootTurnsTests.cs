using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests.Machine;

public sealed class BootTurnsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-turns-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task As_many_as_there_are_turns_boot_and_the_next_one_when_one_has_ended()
    {
        IDisposable first = await BootTurns.TakeAsync(_folder, turns: 2);
        using IDisposable second = await BootTurns.TakeAsync(_folder, turns: 2);
        Task<IDisposable> third = BootTurns.TakeAsync(_folder, turns: 2);
        await Task.Delay(200);
        Assert.False(third.IsCompleted);

        first.Dispose();

        (await third.WaitAsync(ShimUnderTest.Deadline)).Dispose();
    }

    [Fact]
    public async Task Who_gives_up_waits_no_longer()
    {
        using IDisposable only = await BootTurns.TakeAsync(_folder, turns: 1);
        using var end = new CancellationTokenSource();
        Task<IDisposable> waiting = BootTurns.TakeAsync(_folder, turns: 1, end.Token);
        await end.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }
}
