using Hearth.Images.Tests.Oci;
using Hearth.Images.Tests.Tar;
using Hearth.Testing.Fuzzing;

namespace Hearth.Images.Tests.Fuzzing;

/// <summary>Hostile images, a target each; <c>fuzz/run NAME</c> runs one of them for long.</summary>
public class FuzzTests
{
    [Fact]
    public void Fuzz_layer() => Fuzzer.Run("layer", input => TarFuzzTarget.Run(TarFuzzTarget.WithGoodChecksums(input.ToArray())));

    [Fact]
    public void Fuzz_manifest() => Fuzzer.Run("manifest", ManifestFuzzTarget.Run);
}
