using System.Text;

namespace Hearth.Images.Tests;

public sealed class ImageUsersTests
{
    private const string Passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/var/www:/bin/sh\nnohome:x:5:5::\nnohome2:x:6:6:::\nbad line\nbad:x:abc:1::/:\n+::::::\n";
    private const string Group = "root:x:0:\nweb:x:34:\nextra:x:44:web,other\nmore:x:43:other,web\nweb2:x:34:web\nbroken\n";

    private readonly ImageUsers _users = new(Encoding.UTF8.GetBytes(Passwd), Encoding.UTF8.GetBytes(Group));

    [Theory]
    [InlineData("", 0, 0, "/root", "")]
    [InlineData("web", 33, 34, "/var/www", "43,44")]
    [InlineData("33", 33, 34, "/var/www", "43,44")]
    [InlineData("33:", 33, 34, "/var/www", "43,44")]
    [InlineData("web:extra", 33, 44, "/var/www", "")]
    [InlineData("web:99", 33, 99, "/var/www", "")]
    [InlineData("4711", 4711, 0, "/", "")]
    [InlineData("4711:4712", 4711, 4712, "/", "")]
    [InlineData(":extra", 0, 44, "/root", "")]
    [InlineData("nohome2", 6, 6, "/", "")]
    public void Users_are_resolved_as_docker_does(string text, uint uid, uint gid, string home, string groups)
    {
        ImageUser user = _users.Resolve(text);

        Assert.Equal((uid, gid, home, groups), (user.Uid, user.Gid, user.Home, string.Join(',', user.Groups)));
    }

    [Theory]
    [InlineData("nobody", "no user \"nobody\"")]
    [InlineData("web:nothing", "no group \"nothing\"")]
    [InlineData("bad", "no user \"bad\"")]
    [InlineData("-1", "no user \"-1\"")]
    [InlineData("4294967295", "no user \"4294967295\"")]
    [InlineData("99999999999", "no user")]
    public void Users_that_are_not_there_are_named(string text, string why) =>
        Assert.Contains(why, Assert.Throws<ImageException>(() => _users.Resolve(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void An_image_without_those_files_has_numbers_only()
    {
        var none = new ImageUsers([], []);

        Assert.Equal((0u, 0u, "/"), (none.Resolve("").Uid, none.Resolve("").Gid, none.Resolve("").Home));
        Assert.Throws<ImageException>(() => none.Resolve("root"));
    }
}
