using Hearth.Images.RootFilesystems;

namespace Hearth.Images.Tests.RootFilesystems;

public sealed class AptSourcesTests
{
    private const string Host =
        """
        http://tools.example/|stable|main|Packages|$(SIGNED_BY)|Tools Inc.
        http://mirror.example/debian/|bookworm|main|Packages|/usr/share/keyrings/debian.gpg|Debian
        http://mirror.example/debian/|bookworm|main|DEP-11|/usr/share/keyrings/debian.gpg|Debian
        http://mirror.example/debian/|bookworm|main|Packages|/usr/share/keyrings/debian.gpg|Debian
        http://mirror.example/debian/|bookworm-updates|main|Packages|$(SIGNED_BY)|Debian
        http://security.example/|bookworm-security|main|Packages|$(SIGNED_BY)|Debian
        http://mirror.example/debian/|bookworm-backports|main|Packages|$(SIGNED_BY)|Debian

        """;

    [Fact]
    public void A_suite_of_the_hosts_gets_its_updates_and_no_strangers() =>
        Assert.Equal(
            [
                "deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.example/debian/ bookworm main",
                "deb http://mirror.example/debian/ bookworm-updates main",
                "deb http://security.example/ bookworm-security main",
            ],
            AptSources.Parse(Host, "bookworm"));

    [Fact]
    public void Another_suite_comes_from_the_same_mirror() =>
        Assert.Equal(
            ["deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.example/debian/ trixie main"],
            AptSources.Parse(Host, "trixie"));

    [Fact]
    public void A_host_without_Debian_has_none() => Assert.Empty(AptSources.Parse("http://tools.example/|stable|main|Packages|$(SIGNED_BY)|Tools Inc.\n", "stable"));
}
