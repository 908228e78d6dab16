using Hearth.Images.Registries;

namespace Hearth.Images.Tests.Registries;

public sealed class CredentialsTests
{
    [Fact]
    public void What_docker_login_writes_is_read()
    {
        Func<string, RegistryCredentials?> find = DockerConfig.Parse(
            """
            {"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpwYXNzOndvcmQ="},"localhost:5000":{"username":"a","password":"b"},
            "ghcr.io":{"identitytoken":"t"},"empty":{},"none":null},"credsStore":"x"}
            """u8,
            "config.json");

        Assert.Equal(("user", "pass:word"), (find("docker.io")!.Username, find("docker.io")!.Password));
        Assert.Equal(("a", "b"), (find("localhost:5000")!.Username, find("localhost:5000")!.Password));
        Assert.Equal("t", find("ghcr.io")!.IdentityToken);
        Assert.Null(find("empty"));
        Assert.Null(find("quay.io"));
    }

    [Theory]
    [InlineData("""{"auths":{"a":{"auth":"!!"}}}""")]
    [InlineData("""{"auths":{"a":{"auth":"bm9jb2xvbg=="}}}""")]
    [InlineData("nonsense")]
    public void A_broken_file_is_named(string json) =>
        Assert.Contains("config.json", Assert.Throws<ImageException>(() => DockerConfig.Parse(System.Text.Encoding.UTF8.GetBytes(json), "config.json")).Message, StringComparison.Ordinal);

    [Fact]
    public void Passwords_do_not_come_into_logs() =>
        Assert.DoesNotContain("secret", new RegistryCredentials { Username = "u", Password = "secret", RegistryToken = "secret" }.ToString(), StringComparison.Ordinal);

    [Theory]
    [InlineData("realm=\"https://a/b?c=d,e\",service=\"s\", scope=x", "https://a/b?c=d,e", "s", "x")]
    [InlineData("realm=\"quoted \\\" mark\" service=\"\"", "quoted \" mark", "", null)]
    [InlineData("realm=\"never ends", "never ends", null, null)]
    [InlineData("=x,,,=", null, null, null)]
    [InlineData(null, null, null, null)]
    public void Challenges_are_read(string? text, string? realm, string? service, string? scope)
    {
        AuthChallenge challenge = AuthChallenge.Parse("Bearer", text);

        Assert.Equal((realm, service, scope), (challenge["realm"], challenge["service"], challenge["scope"]));
    }
}
