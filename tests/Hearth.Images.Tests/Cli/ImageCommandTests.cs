using System.Text.Json;
using Hearth.Images.Tests.Registries;

namespace Hearth.Images.Tests.Cli;

public sealed class ImageCommandTests : IDisposable
{
    private readonly FakeDebian _machine = new();
    private readonly FakeRegistry _registry = new();

    public void Dispose()
    {
        _registry.Dispose();
        _machine.Dispose();
    }

    [Fact]
    public void An_image_is_pulled_listed_and_removed()
    {
        TestImage image = TestImage.Small();
        _registry.Add(image, "team/app", "1");
        string name = $"{_registry.Host}/team/app";

        (int status, string output, string errors) = _machine.Run("pull", $"{name}:1", "--root", _machine["images"]);
        Assert.True(status == 0, errors);
        Assert.Equal($"{name}@{image.Digest}", output.Trim());

        using JsonDocument json = JsonDocument.Parse(_machine.Run("images", "--format", "json", "--root", _machine["images"]).Output);
        JsonElement listed = Assert.Single(json.RootElement.EnumerateArray());
        Assert.Equal($"{name}:1", listed.GetProperty("repoTags")[0].GetString());
        Assert.True(File.Exists(listed.GetProperty("rootfs").GetString()));
        Assert.Matches($@"{name} +1 +[0-9a-f]{{12}} ", _machine.Run("images", "--root", _machine["images"]).Output);

        (status, output, _) = _machine.Run("rmi", $"{name}:1", "--root", _machine["images"]);
        Assert.Equal(0, status);
        Assert.Contains($"Untagged: {name}:1", output, StringComparison.Ordinal);
        Assert.Contains("Removed: sha256:", output, StringComparison.Ordinal);
        Assert.Equal("[]", _machine.Run("images", "--format", "json", "--root", _machine["images"]).Output.Trim());
    }

    [Fact]
    public void What_fails_is_one_sentence_and_a_status()
    {
        Assert.Contains("has no", Fails("pull", $"{_registry.Host}/none:1"), StringComparison.Ordinal);
        Assert.Contains("is no image name", Fails("pull", "No:Name"), StringComparison.Ordinal);
        Assert.Contains("there is no image \"none\" here", Fails("rmi", "none"), StringComparison.Ordinal);
        Assert.Contains("Cannot read", Fails("load", "-i", "/nowhere"), StringComparison.Ordinal);
    }

    private string Fails(params string[] arguments)
    {
        (int status, _, string errors) = _machine.Run([.. arguments, "--root", _machine["images"]]);
        Assert.Equal(1, status);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
        return errors;
    }
}
