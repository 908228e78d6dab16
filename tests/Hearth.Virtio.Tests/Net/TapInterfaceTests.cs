using Hearth.Linux;
using Hearth.Virtio.Net;

namespace Hearth.Virtio.Tests.Net;

public class TapInterfaceTests
{
    [Theory]
    [InlineData("")]
    [InlineData("sixteen-letters-")]
    [InlineData("a/b")]
    [InlineData("tap%d")]
    public void A_name_that_no_interface_can_have_is_refused(string name) =>
        Assert.StartsWith("Open tap device failed: Invalid interface name.", Assert.Throws<HearthException>(() => TapInterface.Open(name)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_tap_is_had_once()
    {
        // Not persistent: it goes away with its descriptor.
        string name = $"hearth{Environment.ProcessId % 100_000}";
        using TapInterface tap = OpenOrSkip(name);
        tap.SetOffload(7);
        tap.SetOffload(0);
        Assert.Contains(name, File.ReadAllText("/proc/net/dev"), StringComparison.Ordinal);
        string message = Assert.Throws<HearthException>(() => TapInterface.Open(name)).Message;
        Assert.StartsWith("Open tap device failed: Error while creating ifreq structure: Device or resource busy (os error 16).", message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_tap_is_refused_with_a_way_out()
    {
        OpenOrSkip($"hearth{Environment.ProcessId % 100_000}x").Dispose();
        Assert.Contains("ip tuntap add", Assert.Throws<HearthException>(() => TapInterface.Open("lo")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("06:00:ac:10:00:02", true)]
    [InlineData("06:00:AC:10:00:02", true)]
    [InlineData("06:00:ac:10:00", false)]
    [InlineData("06-00-ac-10-00-02", false)]
    [InlineData("06:00:ac:10:00:0g", false)]
    [InlineData("+6:00:ac:10:00:02", false)]
    [InlineData("06:00:ac:10:00:02:", false)]
    [InlineData(null, false)]
    public void Addresses_are_six_pairs_of_hexadecimal_digits(string? text, bool valid)
    {
        Assert.Equal(valid, MacAddress.TryParse(text, out MacAddress mac));
        Assert.Equal(valid ? "06:00:ac:10:00:02" : "00:00:00:00:00:00", mac.ToString());
    }

    private static TapInterface OpenOrSkip(string name)
    {
        Assert.SkipUnless(File.Exists("/dev/net/tun") && Environment.IsPrivilegedProcess, "makes a TAP: needs /dev/net/tun and CAP_NET_ADMIN");
        return TapInterface.Open(name);
    }
}
