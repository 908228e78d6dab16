using CsCheck;
using Hearth.Images.Oci;
using Hearth.Images.Tests.Registries;

namespace Hearth.Images.Tests.Oci;

public sealed class ManifestTests
{
    private static readonly TestImage s_image = TestImage.Small();

    [Fact]
    public void Any_bytes_are_a_document_or_refused() => Gen.Byte.Array[0, 200].Sample(bytes => ManifestFuzzTarget.Run(bytes));

    [Fact]
    public void Any_change_of_a_document_is_a_document_or_refused() =>
        Gen.Select(Gen.Bool, Gen.Int[0, 2000], Gen.OneOf(Gen.Byte, Gen.Char["{}[]\",:0-9null"].Select(c => (byte)c))).Array[1, 4].Sample(changes =>
        {
            byte[] json = [.. changes[0].Item1 ? s_image.Manifest : s_image.Config];
            foreach ((_, int at, byte value) in changes)
            {
                json[at % json.Length] = value;
            }

            ManifestFuzzTarget.Run(json);
        });

    [Theory]
    [InlineData("""{"config":{"Env":[null]},"rootfs":{"diff_ids":[]}}""", "null")]
    [InlineData("""{"config":{"Cmd":["a\u0000b"]},"rootfs":{"diff_ids":[]}}""", "NUL")]
    [InlineData("""{"rootfs":{"diff_ids":["sha256:1"]}}""", "no digest")]
    [InlineData("""{"rootfs":{"diff_ids":[null]}}""", "no digest")]
    [InlineData("""{"rootfs":{"diff_ids":["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]}}""", "1 layers and its manifest of 0")]
    [InlineData("""{"os":"windows"}""", "Linux")]
    [InlineData("""{"config":{"Env":"A=b"}}""", "cannot be read")]
    public void Configurations_that_make_no_sense_are_refused(string json, string why) =>
        Assert.Contains(why, Assert.Throws<ImageException>(() => ImageDocuments.ParseConfig(System.Text.Encoding.UTF8.GetBytes(json), 0, "x")).Message, StringComparison.Ordinal);

    [Fact]
    public void A_configuration_of_nothing_is_one_with_empty_lists()
    {
        ImageConfig config = ImageDocuments.ParseConfig("""{"config":{"Env":null,"Cmd":null,"User":null,"Labels":null,"ExposedPorts":null}}"""u8, 0, "x").Config;

        Assert.Empty(config.Env.Concat(config.Cmd).Concat(config.Volumes).Concat(config.ExposedPorts).Concat(config.Labels.Keys));
        Assert.Equal(string.Empty, config.User);
    }
}
