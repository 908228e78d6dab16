using Hearth.Images.Oci;
using Hearth.Images.Registries;
using Hearth.Images.Store;
using Hearth.Images.Tests.Erofs;
using Hearth.Images.Tests.Registries;
using Hearth.Images.Tests.Tar;

namespace Hearth.Images.Tests.Store;

public sealed class PullTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeRegistry _registry = new();
    private readonly TestImage _image = TestImage.Small();

    public PullTests() => _registry.Add(_image, "team/app", "1");

    private string Name => $"{_registry.Host}/team/app:1";

    private ImageStore Store => StoreWith(Options);

    private static RegistryOptions Options => new() { RetryDelay = TimeSpan.FromMilliseconds(1), ResponseTimeout = TimeSpan.FromSeconds(5), IdleTimeout = TimeSpan.FromSeconds(5) };

    public void Dispose()
    {
        _registry.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_pulled_image_is_what_its_layers_show()
    {
        Image image = await PullAsync();

        Assert.Equal([Name], image.Tags);
        Assert.Equal([$"{_registry.Host}/team/app@{_image.Digest}"], image.Digests);
        Assert.Equal(Digest.Of(_image.Config), image.Id);
        Assert.Equal(_image.Blobs.Sum(blob => blob.Length), image.SizeBytes);
        List<ErofsEntry> files = new ErofsReader(File.ReadAllBytes(image.RootFilesystem)).List();
        Assert.Equal(["", "/bin", "/bin/app", "/etc", "/etc/group", "/etc/passwd"], files.Select(file => file.Path).Order(StringComparer.Ordinal));
        Assert.Equal("#!/bin/sh\n"u8, files.Single(file => file.Path == "/bin/app").Content);
        Assert.Equal(files.Count, image.Inodes);
    }

    [Fact]
    public async Task Its_configuration_is_there_with_every_list()
    {
        ImageConfig config = (await PullAsync()).Config;

        Assert.Equal(("app", "/bin/app", "A=b", "80/tcp", "v"), (config.User, config.Cmd.Single(), config.Env.Single(), config.ExposedPorts.Single(), config.Labels["k"]));
        Assert.Empty(config.Volumes);
        Assert.Empty(config.Entrypoint);
        Assert.Equal((string.Empty, string.Empty), (config.WorkingDir, config.StopSignal));
    }

    [Fact]
    public async Task Users_are_found_without_mounting()
    {
        Image image = await PullAsync();

        ImageUser user = image.ResolveUser("app");

        Assert.Equal((100u, 101u, "/home/app"), (user.Uid, user.Gid, user.Home));
        Assert.Equal([7u], user.Groups);
    }

    [Fact]
    public async Task What_is_here_is_not_brought_again()
    {
        await PullAsync();
        await PullAsync();

        Assert.Equal(2, _registry.Count("/manifests/"));
        Assert.Equal(3, _registry.Count("/blobs/"));
    }

    [Fact]
    public async Task Pulls_of_one_image_at_a_time_bring_each_layer_once()
    {
        Image[] images = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => PullAsync())));

        Assert.Single(images.Select(image => image.Folder).Distinct());
        Assert.Equal(3, _registry.Count("/blobs/"));
    }

    [Theory]
    [InlineData("zstd")]
    [InlineData("none")]
    public async Task Layers_of_every_compression_are_read(string compression)
    {
        var image = new TestImage(compression, new TarBuilder().File("file", new string('x', 10_000)).Build());
        _registry.Add(image, "team/app", "1");

        ErofsEntry file = new ErofsReader(File.ReadAllBytes((await PullAsync()).RootFilesystem)).List().Single(entry => entry.Path == "/file");

        Assert.Equal(10_000, file.Content.Count(value => value == 'x'));
    }

    [Fact]
    public async Task Of_an_index_this_machines_image_is_taken_and_the_indexs_digest_kept()
    {
        byte[] index = System.Text.Encoding.UTF8.GetBytes(TestImage.Index(([1], "linux/arm64"), (_image.Manifest, "linux/amd64")));
        _registry.Add("/v2/team/app/manifests/multi", index);

        Image image = await PullAsync(name: $"{_registry.Host}/team/app:multi");

        Assert.Equal(_image.Digest, image.Manifest);
        Assert.Equal([$"{_registry.Host}/team/app@{Digest.Of(index)}"], image.Digests);
        Assert.NotNull(Store.Find(image.Digests[0]));
    }

    [Fact]
    public async Task An_index_without_this_machine_says_what_it_is_for()
    {
        _registry.Add("/v2/team/app/manifests/arm", System.Text.Encoding.UTF8.GetBytes(TestImage.Index((_image.Manifest, "linux/arm64"), ([1], "windows/amd64"))));

        await FailsAsync(ImageFault.NotFound, "linux/arm64, windows/amd64", name: $"{_registry.Host}/team/app:arm");
    }

    [Fact]
    public async Task An_index_in_itself_ends()
    {
        byte[] index = System.Text.Encoding.UTF8.GetBytes(TestImage.Index((_image.Manifest, "linux/amd64")));
        byte[] second = System.Text.Encoding.UTF8.GetBytes(TestImage.Index((index, "linux/amd64")));
        byte[] third = System.Text.Encoding.UTF8.GetBytes(TestImage.Index((second, "linux/amd64")));
        foreach (byte[] each in new[] { index, second, third })
        {
            _registry.Add($"/v2/team/app/manifests/{Digest.Of(each)}", each);
        }

        _registry.Add("/v2/team/app/manifests/loop", third);

        await FailsAsync(ImageFault.BadContent, "indexes of indexes", name: $"{_registry.Host}/team/app:loop");
    }

    [Fact]
    public async Task A_connection_that_breaks_goes_on_where_it_broke()
    {
        int breaks = 0;
        _registry.Before = request => IsLayer(request, 0) && breaks++ < 3
            ? new FakeAnswer(request.From == 0 ? 200 : 206, _image.Layers[0][request.From..], ("Content-Range", $"bytes {request.From}-{_image.Layers[0].Length - 1}/{_image.Layers[0].Length}")) { SendOnly = 20 }
            : null;

        await PullAsync();

        Assert.Equal([0, 20, 40, 60], _registry.Requests.Where(request => IsLayer(request, 0)).Select(request => request.From));
    }

    [Fact]
    public async Task A_registry_without_ranges_is_asked_for_all_of_it_again()
    {
        int breaks = 0;
        _registry.Before = request => IsLayer(request, 0) ? new FakeAnswer(200, _image.Layers[0]) { SendOnly = breaks++ == 0 ? 20 : null } : null;

        Assert.NotNull(await PullAsync());
    }

    [Fact]
    public async Task A_connection_that_brings_nothing_more_is_given_up_and_what_came_is_kept()
    {
        _registry.Before = request => IsLayer(request, 0) && request.From >= 20 ? new FakeAnswer(206, _image.Layers[0][request.From..], ("Content-Range", $"bytes {request.From}-{_image.Layers[0].Length - 1}/{_image.Layers[0].Length}")) { SendOnly = 0 }
            : IsLayer(request, 0) ? new FakeAnswer(200, _image.Layers[0]) { SendOnly = 20 }
            : null;

        await FailsAsync(ImageFault.Unreachable, "comes no further than 20 of");
        _registry.Before = _ => null;
        await PullAsync();

        Assert.Equal(20, _registry.Requests.Last(request => IsLayer(request, 0)).From);
    }

    [Fact]
    public async Task Another_part_than_was_asked_for_is_refused()
    {
        _registry.Before = request => !IsLayer(request, 0) ? null
            : request.From == 0 ? new FakeAnswer(200, _image.Layers[0]) { SendOnly = 20 }
            : new FakeAnswer(206, _image.Layers[0][30..], ("Content-Range", "bytes 30-99/100"));

        await FailsAsync(ImageFault.BadContent, "another part");
    }

    [Fact]
    public async Task Wrong_bytes_are_refused_and_nothing_of_them_is_kept()
    {
        byte[] wrong = [.. _image.Layers[1]];
        wrong[^1] ^= 1;
        _registry.Before = request => IsLayer(request, 1) ? new FakeAnswer(200, wrong) : null;

        await FailsAsync(ImageFault.BadContent, Digest.Of(wrong).ToString());

        Assert.DoesNotContain(Directory.GetFiles(_folder.Path, "*.partial", SearchOption.AllDirectories), path => path.Contains(Digest.Of(_image.Layers[1]).Hex, StringComparison.Ordinal));
        Assert.Empty(Store.List());
        _registry.Before = _ => null;
        Assert.NotNull(await PullAsync());
    }

    [Fact]
    public async Task A_layer_of_another_size_than_the_manifest_says_is_refused()
    {
        _registry.Before = request => IsLayer(request, 1) ? new FakeAnswer(200, [.. _image.Layers[1], 0]) : null;
        await FailsAsync(ImageFault.BadContent, "larger than");
    }

    [Fact]
    public async Task A_partial_file_with_wrong_bytes_is_begun_anew()
    {
        Directory.CreateDirectory(_folder["ingest"]);
        File.WriteAllBytes(_folder[$"ingest/{Digest.Of(_image.Layers[0]).Hex}.partial"], new byte[50]);

        Assert.NotNull(await PullAsync());
    }

    [Fact]
    public async Task A_wrong_manifest_is_refused()
    {
        _registry.Add($"/v2/team/app/manifests/{_image.Digest}", "{}"u8.ToArray());
        await FailsAsync(ImageFault.BadContent, "served other bytes", name: $"{_registry.Host}/team/app@{_image.Digest}");
    }

    [Fact]
    public async Task A_layer_that_is_not_the_configurations_is_refused()
    {
        var other = new TestImage(new TarBuilder().File("other").Build(), new TarBuilder().File("more").Build());
        byte[] manifest = System.Text.Encoding.UTF8.GetBytes(System.Text.Encoding.UTF8.GetString(_image.Manifest)
            .Replace(TestImage.Describe(_image.Layers[0], MediaTypes.OciLayer), TestImage.Describe(other.Layers[0], MediaTypes.OciLayer), StringComparison.Ordinal));
        _registry.Add(other, "team/app", "other");
        _registry.Add("/v2/team/app/manifests/1", manifest);

        await FailsAsync(ImageFault.BadContent, "the image's configuration says");
    }

    [Fact]
    public async Task Names_that_are_not_there_and_registries_that_are_not_are_told_apart()
    {
        await FailsAsync(ImageFault.NotFound, "has no", name: $"{_registry.Host}/team/nothing:1");
        await FailsAsync(ImageFault.Unreachable, "connection refused", name: "127.0.0.1:1/team/app:1");
    }

    [Fact]
    public async Task A_registry_that_hangs_ends_with_a_time_limit()
    {
        _registry.Before = _ => new FakeAnswer(200, []) { Hang = true };
        await FailsAsync(ImageFault.Unreachable, "does not answer in time", Options with { ResponseTimeout = TimeSpan.FromMilliseconds(200) });
    }

    [Fact]
    public async Task A_registry_that_fails_for_a_while_is_asked_again()
    {
        int failures = 0;
        _registry.Before = _ => failures++ < 3 ? new FakeAnswer(503, []) : null;
        Assert.NotNull(await PullAsync());

        _registry.Before = _ => new FakeAnswer(500, """{"errors":[{"message":"out of order"}]}"""u8.ToArray());
        await FailsAsync(ImageFault.Unreachable, "500 X for", Options);
    }

    [Fact]
    public async Task Passwords_are_sent_when_asked_for_and_a_refusal_says_what_to_do()
    {
        _registry.Before = request => request.Authorization == "Basic dTpw" ? null : new FakeAnswer(401, [], ("WWW-Authenticate", "Basic realm=\"r\""));

        await FailsAsync(ImageFault.Denied, "Log in");
        await FailsAsync(ImageFault.Denied, "Log in", Options with { Credentials = _ => new RegistryCredentials { Username = "u", Password = "wrong" } });
        Assert.NotNull(await PullAsync(Options with { Credentials = host => host == _registry.Host ? new RegistryCredentials { Username = "u", Password = "p" } : null }));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tokens_are_asked_for_once_and_used(bool refreshToken)
    {
        _registry.Before = request =>
            request.Path.StartsWith("/token", StringComparison.Ordinal) ? Token(request, refreshToken)
            : request.Authorization == "Bearer secret" ? null
            : new FakeAnswer(401, [], ("WWW-Authenticate", $"Bearer realm=\"http://{_registry.Host}/token\",service=\"svc\",scope=\"repository:team/app:pull\""));
        RegistryCredentials credentials = refreshToken ? new() { IdentityToken = "refresh" } : new() { Username = "u", Password = "p" };

        Assert.NotNull(await PullAsync(Options with { Credentials = _ => credentials }));

        Assert.Equal(1, _registry.Count("/token"));
    }

    [Fact]
    public async Task Content_elsewhere_is_fetched_there_without_the_password()
    {
        using var elsewhere = new FakeRegistry();
        elsewhere.Add(_image, "team/app", "1");
        _registry.Before = request =>
            request.Authorization is null ? new FakeAnswer(401, [], ("WWW-Authenticate", "Basic realm=\"r\""))
            : request.Path.Contains("/blobs/", StringComparison.Ordinal) ? new FakeAnswer(307, [], ("Location", $"http://{elsewhere.Host}{request.Path}"))
            : null;

        Assert.NotNull(await PullAsync(Options with { Credentials = _ => new RegistryCredentials { Username = "u", Password = "p" } }));

        Assert.Equal(3, elsewhere.Requests.Count);
        Assert.All(elsewhere.Requests, request => Assert.Null(request.Authorization));
    }

    [Fact]
    public async Task A_mirror_is_asked_first_and_the_registry_when_it_fails()
    {
        using var mirror = new FakeRegistry();
        mirror.Before = request => request.Path.Contains("/manifests/", StringComparison.Ordinal) ? null : new FakeAnswer(404, []);
        mirror.Add($"/v2/team/app/manifests/1", _image.Manifest);
        RegistryOptions options = Options with { Mirrors = new Dictionary<string, IReadOnlyList<string>> { [_registry.Host] = [mirror.Host] } };

        Assert.NotNull(await PullAsync(options));

        Assert.Equal(0, _registry.Count("/manifests/"));
        Assert.Equal(3, _registry.Count("/blobs/"));
        Assert.Contains($"ns={Uri.EscapeDataString(_registry.Host)}", mirror.Requests.First().Path, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"schemaVersion":2}""", "neither")]
    [InlineData("""{"schemaVersion":2,"config":null,"layers":[],"manifests":[]}""", "neither")]
    [InlineData("""{"schemaVersion":1}""", "schema 1")]
    [InlineData("""{"schemaVersion":2,"config":{"digest":"sha256:../../etc/passwd","size":1},"layers":[]}""", "no digest")]
    [InlineData("""{"schemaVersion":2,"config":{"size":1},"layers":[null]}""", "no digest")]
    [InlineData("""{"schemaVersion":2,"manifests":[{"digest":"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","size":-5}]}""", "without a size")]
    [InlineData("[]", "cannot be read")]
    [InlineData("null", "is empty")]
    public async Task Manifests_that_are_none_are_refused(string json, string why)
    {
        _registry.Add("/v2/team/app/manifests/1", System.Text.Encoding.UTF8.GetBytes(json));
        await FailsAsync(ImageFault.BadContent, why);
    }

    private static FakeAnswer Token(FakeRequest request, bool refreshToken)
    {
        bool good = refreshToken
            ? request is { Method: "POST" } && request.Body.Contains("refresh_token=refresh", StringComparison.Ordinal)
            : request.Path.Contains("service=svc", StringComparison.Ordinal) && request.Path.Contains("scope=repository%3Ateam%2Fapp%3Apull", StringComparison.Ordinal) && request.Authorization == "Basic dTpw";
        return good ? new FakeAnswer(200, """{"access_token":"secret"}"""u8.ToArray()) : new FakeAnswer(403, []);
    }

    private bool IsLayer(FakeRequest request, int layer) => request.Path.EndsWith(Digest.Of(_image.Layers[layer]).ToString(), StringComparison.Ordinal);

    private ImageStore StoreWith(RegistryOptions options) => new(_folder.Path, options);

    private Task<Image> PullAsync(RegistryOptions? options = null, string? name = null) => StoreWith(options ?? Options).PullAsync(ImageReference.Parse(name ?? Name));

    private async Task FailsAsync(ImageFault fault, string why, RegistryOptions? options = null, string? name = null)
    {
        ImageException failure = await Assert.ThrowsAsync<ImageException>(() => PullAsync(options, name));
        Assert.Contains(why, failure.Message, StringComparison.Ordinal);
        Assert.Equal(fault, failure.Fault);
    }
}
