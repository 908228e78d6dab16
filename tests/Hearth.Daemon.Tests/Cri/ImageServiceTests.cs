using Grpc.Core;
using Hearth.Cri.Protocol;
using Hearth.Images.Registries;
using Hearth.Images.Tests;
using Hearth.Images.Tests.Registries;
using Hearth.Programs.Daemon.Cri;

namespace Hearth.Daemon.Tests.Cri;

/// <summary>ImageService of a real hearthd, in front of registries on loopback.</summary>
public sealed class ImageServiceTests(DaemonUnderTest daemon) : IClassFixture<DaemonUnderTest>, IDisposable
{
    private readonly FakeRegistry _registry = new();
    private readonly TestImage _image = TestImage.Small();

    private ImageService.ImageServiceClient Images => daemon.Images;

    public void Dispose() => _registry.Dispose();

    [Fact]
    public async Task An_image_comes_is_listed_by_every_name_and_goes_by_its_id()
    {
        _registry.Add(_image, "team/app", "1");
        string name = $"{_registry.Host}/team/app:1";

        string id = (await Images.PullImageAsync(new PullImageRequest { Image = Spec(name) })).ImageRef;

        Assert.Equal($"sha256:{Hearth.Images.Oci.Digest.Of(_image.Config).Hex}", id);
        foreach (string reference in new[] { name, id, $"{_registry.Host}/team/app@{_image.Digest}" })
        {
            Image image = (await Images.ImageStatusAsync(new ImageStatusRequest { Image = Spec(reference) })).Image;
            Assert.Equal((id, name), (image.Id, image.RepoTags.Single()));
            Assert.Equal($"{_registry.Host}/team/app@{_image.Digest}", image.RepoDigests.Single());
            Assert.Equal(("app", (Int64Value?)null, false), (image.Username, image.Uid, image.Pinned));
            Assert.True(image.Size > 0);
            Assert.Equal(id, (await Images.ListImagesAsync(new ListImagesRequest { Filter = new ImageFilter { Image = Spec(reference) } })).Images.Single().Id);
        }

        Assert.Contains((await Images.ListImagesAsync(new ListImagesRequest())).Images, image => image.Id == id);
        using AsyncServerStreamingCall<StreamImagesResponse> streamed = Images.StreamImages(new StreamImagesRequest());
        Assert.True(await streamed.ResponseStream.MoveNext(default));
        Assert.Contains(streamed.ResponseStream.Current.Images, image => image.Id == id);
        ImageStatusResponse verbose = await Images.ImageStatusAsync(new ImageStatusRequest { Image = Spec(name), Verbose = true });
        Assert.Contains("\"cmd\":[\"/bin/app\"]", verbose.Info["info"], StringComparison.Ordinal);
        ImageFsInfoResponse usage = await Images.ImageFsInfoAsync(new ImageFsInfoRequest());
        Assert.True(usage.ImageFilesystems.Single().UsedBytes.Value > 0 && usage.ImageFilesystems.Single().InodesUsed.Value > 0);
        Assert.StartsWith(daemon.Folder, usage.ImageFilesystems.Single().FsId.Mountpoint, StringComparison.Ordinal);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            await Images.RemoveImageAsync(new RemoveImageRequest { Image = Spec(id) });
            Assert.Null((await Images.ImageStatusAsync(new ImageStatusRequest { Image = Spec(id) })).Image);
        }));

        Assert.Null((await Images.ImageStatusAsync(new ImageStatusRequest { Image = Spec(name) })).Image);
        Assert.DoesNotContain((await Images.ListImagesAsync(new ListImagesRequest())).Images, image => image.Id == id);
    }

    [Fact]
    public async Task Why_an_image_cannot_be_had_is_a_code_of_its_own_and_a_sentence()
    {
        Status unknown = await DaemonUnderTest.FailureAsync(Images.PullImageAsync(new PullImageRequest { Image = Spec($"{_registry.Host}/no/such:1") }));
        Assert.Equal(StatusCode.NotFound, unknown.StatusCode);
        Assert.Contains("no/such", unknown.Detail, StringComparison.Ordinal);
        Assert.Equal(StatusCode.InvalidArgument, (await DaemonUnderTest.FailureAsync(Images.PullImageAsync(new PullImageRequest { Image = Spec("Not A Name") }))).StatusCode);
        Assert.Equal(StatusCode.InvalidArgument, (await DaemonUnderTest.FailureAsync(Images.PullImageAsync(new PullImageRequest()))).StatusCode);
        Assert.Equal(StatusCode.InvalidArgument, (await DaemonUnderTest.FailureAsync(Images.ImageStatusAsync(new ImageStatusRequest()))).StatusCode);
        Assert.Equal(StatusCode.InvalidArgument, (await DaemonUnderTest.FailureAsync(Images.RemoveImageAsync(new RemoveImageRequest { Image = new ImageSpec() }))).StatusCode);
        Assert.Null((await Images.ImageStatusAsync(new ImageStatusRequest { Image = Spec("nowhere.example/x:1") })).Image);
        Assert.Empty((await Images.ListImagesAsync(new ListImagesRequest { Filter = new ImageFilter { Image = Spec("nowhere.example/x:1") } })).Images);
    }

    [Fact]
    public async Task Debians_registry_serves_it_too()
    {
        using var folder = new TemporaryFolder();
        using var registry = new DockerRegistry(folder);
        _image.WriteLayout(folder["layout"], "\"org.opencontainers.image.ref.name\":\"x\"");
        Command.Must("skopeo", "copy", "-q", "--dest-tls-verify=false", $"oci:{folder["layout"]}:x", $"docker://{registry.Host}/team/app:2");

        string id = (await Images.PullImageAsync(new PullImageRequest { Image = Spec($"{registry.Host}/team/app:2") })).ImageRef;

        Assert.Equal(id, (await Images.ImageStatusAsync(new ImageStatusRequest { Image = Spec($"{registry.Host}/team/app:2") })).Image.Id);
        await Images.RemoveImageAsync(new RemoveImageRequest { Image = Spec(id) });
    }

    [Fact]
    public void Credentials_are_read_in_every_form_and_kept_from_other_registries()
    {
        Assert.Null(ImageServer.Credentials(null, "a/b"));
        Assert.Null(ImageServer.Credentials(new AuthConfig(), "a/b"));
        Assert.Equal(("u", "p"), Pair(ImageServer.Credentials(new AuthConfig { Username = "u", Password = "p" }, "a/b")));
        Assert.Equal(("u", "p:q"), Pair(ImageServer.Credentials(new AuthConfig { Auth = Convert.ToBase64String("u:p:q"u8) }, "a/b")));
        Assert.Equal("t", ImageServer.Credentials(new AuthConfig { RegistryToken = "t" }, "a/b")!.RegistryToken);
        Assert.Equal("i", ImageServer.Credentials(new AuthConfig { IdentityToken = "i" }, "a/b")!.IdentityToken);
        Assert.NotNull(ImageServer.Credentials(new AuthConfig { Username = "u", ServerAddress = "https://registry.example:5000/v2/" }, "registry.example:5000/a:1"));
        Assert.NotNull(ImageServer.Credentials(new AuthConfig { Username = "u", ServerAddress = "https://index.docker.io/v1/" }, "alpine"));
        Assert.Null(ImageServer.Credentials(new AuthConfig { Username = "u", ServerAddress = "registry.example" }, "other.example/a:1"));
        Assert.Throws<Hearth.Images.ImageException>(() => ImageServer.Credentials(new AuthConfig { Auth = "?" }, "a/b"));
    }

    private static (string?, string?) Pair(RegistryCredentials? credentials) => (credentials!.Username, credentials.Password);

    private static ImageSpec Spec(string image) => new() { Image = image };
}
