using CsCheck;
using Hearth.Images.Registries;

namespace Hearth.Images.Tests.Registries;

public sealed class ImageReferenceTests
{
    private const string Hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    [Theory]
    [InlineData("alpine", "docker.io/library/alpine:latest")]
    [InlineData("alpine:3.20", "docker.io/library/alpine:3.20")]
    [InlineData("user/app", "docker.io/user/app:latest")]
    [InlineData("docker.io/alpine", "docker.io/library/alpine:latest")]
    [InlineData("index.docker.io/library/alpine", "docker.io/library/alpine:latest")]
    [InlineData("localhost/app", "localhost/app:latest")]
    [InlineData("localhost:5000/a/b/c:t", "localhost:5000/a/b/c:t")]
    [InlineData("host:5000", "docker.io/library/host:5000")]
    [InlineData("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest")]
    [InlineData("[::1]:5000/app", "[::1]:5000/app:latest")]
    [InlineData("quay.io/a__b/c-d.e", "quay.io/a__b/c-d.e:latest")]
    [InlineData("alpine@sha256:" + Hex, "docker.io/library/alpine@sha256:" + Hex)]
    [InlineData("alpine:3@sha256:" + Hex, "docker.io/library/alpine:3@sha256:" + Hex)]
    [InlineData("Host/app", "Host/app:latest")]
    public void Names_are_made_full(string given, string full) => Assert.Equal(full, ImageReference.Parse(given).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("Alpine")]
    [InlineData("a b")]
    [InlineData("alpine:")]
    [InlineData("alpine:-x")]
    [InlineData("-alpine")]
    [InlineData("a//b")]
    [InlineData("a/../b")]
    [InlineData("../etc/passwd")]
    [InlineData("https://host/app")]
    [InlineData("alpine@sha256:123")]
    [InlineData("alpine@md5:" + Hex)]
    [InlineData("alpine@sha256:" + Hex + "@sha256:" + Hex)]
    [InlineData(Hex)]
    [InlineData("a\n")]
    [InlineData("host.:5000/a")]
    [InlineData("a?x=1")]
    public void What_is_no_name_is_refused_by_it(string given)
    {
        ImageException refusal = Assert.Throws<ImageException>(() => ImageReference.Parse(given));

        Assert.Equal(ImageFault.InvalidReference, refusal.Fault);
        Assert.Contains($"\"{given}\"", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_full_name_is_its_own_full_name() =>
        Gen.String[Gen.Char["abcAZ019.:/-_@"], 0, 40].Sample(text =>
        {
            if (ImageReference.TryParse(text, out ImageReference? reference))
            {
                Assert.Equal(reference, ImageReference.Parse(reference.ToString()));
            }
        });
}
