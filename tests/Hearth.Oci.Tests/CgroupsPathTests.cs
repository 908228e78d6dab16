using Hearth.Oci.Runtime;

namespace Hearth.Oci.Tests;

public sealed class CgroupsPathTests
{
    [Theory]
    [InlineData("/libpod_parent/libpod-1", "libpod_parent/libpod-1")]
    [InlineData("kubepods/besteffort/pod1/2", "kubepods/besteffort/pod1/2")]
    [InlineData("machine.slice:libpod:1", "machine.slice/libpod-1.scope")]
    [InlineData("kubepods-besteffort-pod1.slice:cri-containerd:2", "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-2.scope")]
    [InlineData(":docker:1", "system.slice/docker-1.scope")]
    [InlineData("-.slice::1", "1.scope")]
    [InlineData("", null)]
    [InlineData(null, null)]
    [InlineData("/", null)]
    [InlineData("/a/../../b", null)]
    [InlineData("/a//b", null)]
    [InlineData("a\nb", null)]
    [InlineData("../x:a:b", null)]
    public void A_path_is_below_the_hosts_mount(string? text, string? expected) => Assert.Equal(expected, CgroupsPath.Parse(text));
}
