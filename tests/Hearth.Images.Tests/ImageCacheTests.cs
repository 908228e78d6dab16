using CsCheck;

namespace Hearth.Images.Tests;

public sealed class ImageCacheTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ImageCache _cache;

    public ImageCacheTests() => _cache = new ImageCache(_folder["cache"]);

    public void Dispose() => _folder.Dispose();

    // If this changes, everybody builds their kernels anew.
    [Fact]
    public void A_key_is_the_same_in_every_version() => Assert.Equal("5fa53c1cc8f3c321", ImageCache.Key("linux-source-6.1", "6.1.1-1", "gcc 12"));

    [Fact]
    public void Recipes_that_differ_have_keys_that_differ() =>
        Gen.Select(Gen.String.Array[0, 4], Gen.String.Array[0, 4]).Sample((a, b) => Assert.Equal(a.SequenceEqual(b), ImageCache.Key(a) == ImageCache.Key(b)));

    [Fact]
    public async Task A_thing_is_made_once()
    {
        int made = 0;
        async Task<string> Get() => await _cache.GetAsync("things", "key", "thing", async path =>
        {
            Interlocked.Increment(ref made);
            await File.WriteAllTextAsync(path, "whole");
        });

        string[] paths = await Task.WhenAll(Task.Run(Get), Task.Run(Get), Task.Run(Get));

        Assert.Equal(1, made);
        Assert.All(paths, p => Assert.Equal("whole", File.ReadAllText(p)));
    }

    [Fact]
    public async Task A_making_that_fails_leaves_nothing_and_can_be_tried_again()
    {
        await Assert.ThrowsAsync<ImageException>(() => _cache.GetAsync("things", "key", "thing", path =>
        {
            File.WriteAllText(path, "half");
            File.WriteAllText(Path.Combine(Path.GetDirectoryName(path)!, "work"), "more");
            throw new ImageException("no luck");
        }));
        Assert.Equal([".key.lock"], Directory.EnumerateFileSystemEntries(_folder["cache/things"]).Select(Path.GetFileName));

        string path = await _cache.GetAsync("things", "key", "thing", p => File.WriteAllTextAsync(p, "whole"));

        Assert.Equal("whole", File.ReadAllText(path));
    }

    [Fact]
    public async Task What_a_killed_process_left_is_cleared_away()
    {
        _folder.Write("cache/things/.key.work/thing", "half");
        _folder.Write("cache/things/.key.work/tree/file", "rest");

        string path = await _cache.GetAsync("things", "key", "thing", p =>
        {
            Assert.Empty(Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(p)!));
            return File.WriteAllTextAsync(p, "whole");
        });

        Assert.Equal("whole", File.ReadAllText(path));
        Assert.False(Directory.Exists(_folder["cache/things/.key.work"]));
    }

    [Fact]
    public async Task Waiting_for_another_maker_is_told_and_can_be_given_up()
    {
        var told = new TaskCompletionSource();
        using var enough = new CancellationTokenSource();
        using FileStream other = Hold("things", "key");

        Task<string> waiting = _cache.GetAsync("things", "key", "thing", _ => throw new InvalidOperationException("made under another's lock"), new Listener(told.SetResult), enough.Token);
        await told.Task.WaitAsync(TimeSpan.FromSeconds(30));
        await enough.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    [Fact]
    public async Task A_cache_that_cannot_be_written_is_named()
    {
        string file = _folder.Write("file", "in the way");

        ImageException e = await Assert.ThrowsAsync<ImageException>(() => new ImageCache(file).GetAsync("things", "key", "thing", _ => Task.CompletedTask));

        Assert.Contains(file, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Publishing_replaces_the_file_at_once_and_leaves_no_other()
    {
        string source = _folder.Write("source", "new");
        string target = _folder.Write("out/target", "old");

        await ImageCache.PublishAsync(source, target, CancellationToken.None);

        Assert.Equal("new", File.ReadAllText(target));
        Assert.Equal([target], Directory.EnumerateFileSystemEntries(_folder["out"]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("folder/")]
    [InlineData("/")]
    public async Task A_folder_is_no_name_for_a_file(string destination) =>
        await Assert.ThrowsAsync<ImageException>(() => ImageCache.PublishAsync(_folder.Write("source", "x"), destination, CancellationToken.None));

    [Fact]
    public async Task A_target_under_a_file_is_named()
    {
        string source = _folder.Write("source", "x");

        ImageException e = await Assert.ThrowsAsync<ImageException>(() => ImageCache.PublishAsync(source, Path.Combine(source, "target"), CancellationToken.None));

        Assert.StartsWith("Cannot write", e.Message, StringComparison.Ordinal);
    }

    private FileStream Hold(string kind, string key)
    {
        Directory.CreateDirectory(Path.Combine(_cache.Root, kind));
        return new FileStream(Path.Combine(_cache.Root, kind, $".{key}.lock"), FileMode.Create, FileAccess.ReadWrite, FileShare.None);
    }

    private sealed class Listener(Action heard) : IProgress<ImageProgress>
    {
        public void Report(ImageProgress value) => heard();
    }
}
