using Hearth.Kvm.Native;
using Hearth.Linux;

namespace Hearth.Kvm.Tests;

public class KvmSystemTests
{
    [Fact]
    public void A_host_without_kvm_is_told_what_to_do()
    {
        KvmException e = Assert.Throws<KvmException>(() => KvmSystem.Open("/nonexistent/kvm"));
        Assert.Equal(Errno.ENOENT, e.Errno);
        Assert.Contains("kvm_intel or kvm_amd", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_not_kvm_is_refused()
    {
        KvmException e = Assert.Throws<KvmException>(() => KvmSystem.Open("/dev/null"));
        Assert.Contains("Is it the KVM device?", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Supported_cpuid_has_the_basic_leaves()
    {
        Assert.SkipUnless(File.Exists("/dev/kvm"), "no /dev/kvm on this machine");
        using KvmSystem kvm = KvmSystem.Open();
        kvm_cpuid_entry2[] entries = kvm.GetSupportedCpuid();
        Assert.Contains(entries, e => e.function == 0);
        Assert.Contains(entries, e => e.function == 0x4000_0000);
        Assert.True(kvm.MaxVcpus >= 1);
    }
}
