using Hearth.Images.Layers;
using Hearth.Images.Oci;
using Hearth.Images.Registries;
using Hearth.Images.Store;
using Hearth.Images.Tests.Registries;
using Hearth.Images.Tests.Tar;

namespace Hearth.Images.Tests.Store;

public sealed class ImageStoreTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeRegistry _registry = new();
    private readonly ImageStore _store;

    public ImageStoreTests() => _store = new ImageStore(_folder["store"]);

    public void Dispose()
    {
        _registry.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void An_empty_store_has_nothing_and_costs_nothing()
    {
        Assert.Empty(_store.List());
        Assert.Null(_store.Find("alpine"));
        Assert.Empty(_store.Untag("alpine"));
        Assert.Empty(_store.CollectGarbage());
        Assert.Equal(default, _store.Usage());
        Assert.False(Directory.Exists(_store.Root));
    }

    [Fact]
    public async Task Images_are_found_by_every_name_they_have()
    {
        Image image = await PullAsync("app", "1", TestImage.Small());

        string[] names = [$"{_registry.Host}/app:1", image.Digests[0], image.Id.ToString(), image.Id.Hex, image.Id.Hex[..12], image.Manifest.ToString(), $"{_registry.Host}/app:other@{image.Manifest}"];
        Assert.All(names, name => Assert.Equal(image.Folder, _store.Find(name)?.Folder));
        Assert.Null(_store.Find($"{_registry.Host}/app:2"));
        Assert.Null(_store.Find($"{_registry.Host}/app@{image.Id}"));
        Assert.Null(_store.Find(new string('0', 12)));
    }

    [Fact]
    public async Task A_tag_that_moves_leaves_the_old_image_without_one()
    {
        Image old = await PullAsync("app", "1", TestImage.Small());
        Image moved = await PullAsync("app", "1", Other());

        Assert.Equal(moved.Manifest, _store.Find($"{_registry.Host}/app:1")!.Manifest);
        Assert.Empty(_store.Find(old.Id.ToString())!.Tags);
        Assert.Equal([old.Manifest], _store.CollectGarbage().Select(image => image.Manifest));
        Assert.Equal(moved.Manifest, Assert.Single(_store.List()).Manifest);
    }

    [Fact]
    public async Task Taking_one_of_two_names_keeps_the_image_and_taking_the_last_lets_it_go()
    {
        TestImage small = TestImage.Small();
        await PullAsync("app", "1", small);
        Image image = await PullAsync("app", "2", small);

        Assert.Equal([$"{_registry.Host}/app:1"], _store.Untag($"{_registry.Host}/app:1"));
        Assert.Empty(_store.CollectGarbage());
        Assert.Equal([$"{_registry.Host}/app:2"], _store.Untag(image.Id.Hex[..12]));
        Assert.Single(_store.CollectGarbage());
        Assert.Empty(_store.List());
    }

    [Fact]
    public async Task Collecting_leaves_nothing_of_an_image_and_everything_of_the_others()
    {
        TestImage small = TestImage.Small();
        Image kept = await PullAsync("app", "1", small);
        await PullAsync("other", "1", Other());
        _store.Untag($"{_registry.Host}/other:1");

        Assert.Single(_store.CollectGarbage());

        Assert.Equal(small.Blobs.Select(blob => Digest.Of(blob).Hex).Order(), Directory.GetFiles(_folder["store/blobs/sha256"]).Select(Path.GetFileName).Order());
        Assert.Equal([kept.Folder], Directory.GetFileSystemEntries(_folder["store/images"]));
        Assert.Empty(Directory.GetFileSystemEntries(_folder["store/ingest"]));
        Assert.Single(Directory.GetFiles(_folder["store/references"]));
    }

    [Fact]
    public async Task What_is_held_or_in_use_is_not_collected()
    {
        Image image = await PullAsync("app", "1", TestImage.Small());
        _store.Untag(image.Id.ToString());

        using (_store.Hold(image))
        {
            Assert.Empty(_store.CollectGarbage());
        }

        Assert.Empty(_store.CollectGarbage(new HashSet<Digest> { image.Manifest }));
        Assert.Empty(_store.CollectGarbage(new HashSet<Digest> { image.Id }));
        Assert.Single(_store.CollectGarbage());
        Assert.Equal(ImageFault.NotFound, Assert.Throws<ImageException>(() => _store.Hold(image)).Fault);
        Assert.False(Directory.Exists(image.Folder));
    }

    [Fact]
    public async Task Nothing_is_collected_while_an_image_comes_in()
    {
        Image image = await PullAsync("app", "1", TestImage.Small());
        _store.Untag(image.Id.ToString());
        TestImage other = Other();
        int before = _registry.Count("/blobs/");
        _registry.Before = request => request.Path.Contains("/blobs/", StringComparison.Ordinal) ? new FakeAnswer(200, []) { Hang = true } : null;
        using var end = new CancellationTokenSource();
        Task<Image> pull = PullAsync("other", "1", other, end.Token);
        await PollAsync(() => _registry.Count("/blobs/") > before);

        Assert.Empty(_store.CollectGarbage());

        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pull);
        Assert.Single(_store.CollectGarbage());
    }

    [Fact]
    public async Task Only_its_owner_can_look_into_a_store()
    {
        await PullAsync("app", "1", TestImage.Small());

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_store.Root));
    }

    [Fact]
    public async Task Images_that_share_a_layer_bring_it_once_also_at_the_same_time()
    {
        byte[] shared = new TarBuilder().File("shared", new string('x', 100_000)).Build();
        var first = new TestImage(shared, new TarBuilder().File("first").Build());
        var second = new TestImage(shared, new TarBuilder().File("second").Build());

        await Task.WhenAll(Task.Run(() => PullAsync("first", "1", first)), Task.Run(() => PullAsync("second", "1", second)));

        Assert.Equal(1, _registry.Count(Digest.Of(first.Layers[0]).ToString()));
        Assert.Equal(2, _store.List().Count);
    }

    [Fact]
    public async Task Usage_counts_every_file()
    {
        Image image = await PullAsync("app", "1", TestImage.Small());

        StoreUsage usage = _store.Usage();

        Assert.Equal(Directory.GetFileSystemEntries(_store.Root, "*", SearchOption.AllDirectories).Length, usage.Inodes);
        string du = Command.Must("du", "--block-size=512", "-s", _store.Root);
        Assert.InRange(usage.Bytes, image.SizeBytes, long.Parse(du.Split('\t')[0], System.Globalization.CultureInfo.InvariantCulture) * 512);
    }

    [Fact]
    public async Task The_same_layers_give_the_same_bytes()
    {
        Image first = await PullAsync("app", "1", TestImage.Small());
        byte[] bytes = File.ReadAllBytes(first.RootFilesystem);
        Image second = await new ImageStore(_folder["second"]).PullAsync(ImageReference.Parse($"{_registry.Host}/app:1"));

        Assert.Equal(bytes, File.ReadAllBytes(second.RootFilesystem));
    }

    [Fact]
    public async Task An_image_larger_than_the_limits_leaves_nothing_behind()
    {
        _registry.Add(new TestImage(new TarBuilder().File("zeros", new string('\0', 2 << 20)).Build()), "bomb", "1");
        var store = new ImageStore(_folder["store"], limits: new ImageLimits { MaxBytes = 1 << 20 });

        ImageException refusal = await Assert.ThrowsAsync<ImageException>(() => store.PullAsync(ImageReference.Parse($"{_registry.Host}/bomb:1")));

        Assert.Equal(ImageFault.TooLarge, refusal.Fault);
        store.CollectGarbage();
        Assert.Empty(store.List());
        Assert.Empty(Directory.GetFiles(_folder["store/blobs/sha256"]));
        Assert.Empty(Directory.GetFileSystemEntries(_folder["store/images"]));
    }

    [Fact]
    public async Task A_manifest_that_announces_more_than_the_limit_brings_nothing()
    {
        TestImage small = TestImage.Small();
        _registry.Add(small, "app", "1");
        string manifest = System.Text.Encoding.UTF8.GetString(small.Manifest);
        _registry.Add("/v2/app/manifests/1", System.Text.Encoding.UTF8.GetBytes(manifest.Replace($"\"size\":{small.Layers[0].Length}}}", "\"size\":9223372036854775807}", StringComparison.Ordinal)));

        ImageException refusal = await Assert.ThrowsAsync<ImageException>(() => _store.PullAsync(ImageReference.Parse($"{_registry.Host}/app:1")));

        Assert.Equal(ImageFault.TooLarge, refusal.Fault);
        Assert.Equal(1, _registry.Count("/blobs/"));
    }

    [Fact]
    public async Task A_layer_of_a_hundred_thousand_entries_works()
    {
        var archive = new TarBuilder();
        for (int i = 0; i < 100_000; i++)
        {
            archive.File($"d{i % 100}/f{i}", $"{i}");
        }

        Image image = await PullAsync("many", "1", new TestImage(archive.Build()));

        Assert.Equal(100_101, image.Inodes);
        Assert.DoesNotContain("<E>", Command.Must("fsck.erofs", image.RootFilesystem), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_disk_is_told_and_leaves_nothing_behind()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "a small disk is mounted for this, which needs root");
        string disk = _folder["disk"];
        Directory.CreateDirectory(disk);
        Command.Must("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk);
        try
        {
            var store = new ImageStore(disk);
            byte[] noise = new byte[2 << 20];
            Random.Shared.NextBytes(noise);
            _registry.Add(new TestImage(new TarBuilder().Entry("noise", '0', [.. noise, .. noise]).Build()), "large", "1");
            _registry.Add(new TestImage("none", new TarBuilder().Entry("noise", '0', noise).Build()), "fits", "1");

            // The one while its layer comes, the other while its file system is made.
            foreach (string name in new[] { "large", "fits" })
            {
                ImageException failure = await Assert.ThrowsAsync<ImageException>(() => store.PullAsync(ImageReference.Parse($"{_registry.Host}/{name}:1")));
                Assert.Equal(ImageFault.NoSpace, failure.Fault);
                Assert.Contains("is full", failure.Message, StringComparison.Ordinal);
                Assert.Empty(store.List());
                Assert.Empty(Directory.GetFiles(disk, "*.partial", SearchOption.AllDirectories));
                store.CollectGarbage();
                Assert.DoesNotContain(Directory.GetFiles(disk, "*", SearchOption.AllDirectories), file => new FileInfo(file).Length > 0);
            }
        }
        finally
        {
            Command.Must("umount", disk);
        }
    }

    internal static async Task PollAsync(Func<bool> condition)
    {
        DateTime deadline = DateTime.UtcNow.AddSeconds(30);
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < deadline, "it does not happen");
            await Task.Delay(5);
        }
    }

    private static TestImage Other() => new(new TarBuilder().File("other").Build());

    private Task<Image> PullAsync(string repository, string tag, TestImage image, CancellationToken cancellation = default)
    {
        _registry.Add(image, repository, tag);
        return _store.PullAsync(ImageReference.Parse($"{_registry.Host}/{repository}:{tag}"), cancellation: cancellation);
    }
}
