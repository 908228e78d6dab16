using Hearth.Images.Oci;

namespace Hearth.Images.Tests.Oci;

/// <summary>
/// Takes bytes of anybody's choice for a manifest, an index and a configuration: they are refused with an
/// <see cref="ImageException"/>, or all that is said of them is good to use.
/// </summary>
public static class ManifestFuzzTarget
{
    public static void Run(ReadOnlySpan<byte> input)
    {
        byte[] json = input.ToArray();
        Try(() =>
        {
            if (ImageDocuments.ParseManifest(json, "fuzz") is Manifest manifest)
            {
                Assert.All(manifest.Layers.Append(manifest.Config), blob => Assert.True(blob.Size >= 0 && blob.Digest.Hex.Length >= 64));
            }
        });
        Try(() =>
        {
            (ImageConfig config, Digest[] diffIds, _) = ImageDocuments.ParseConfig(json, 1, "fuzz");
            Assert.Single(diffIds);
            Assert.All(config.Env.Concat(config.Cmd).Concat(config.Entrypoint).Append(config.User), text => Assert.DoesNotContain('\0', text));
            Assert.NotNull(config.Labels);
            Assert.All(config.Volumes.Concat(config.ExposedPorts), Assert.NotNull);
        });
    }

    private static void Try(Action parse)
    {
        try
        {
            parse();
        }
        catch (ImageException)
        {
            // What is no document is refused so.
        }
    }
}
