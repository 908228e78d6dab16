using Hearth.Images.Kernels;

namespace Hearth.Images.Tests.Kernels;

public sealed class KernelRequirementsTests
{
    private static readonly KernelConfig s_own = KernelBuilder.Configuration(new KernelBuildOptions { Smp = true }).Wanted;

    [Fact]
    public void Hearths_own_options_meet_every_requirement() => Assert.Empty(KernelRequirements.Unmet(s_own));

    [Fact]
    public void A_kernel_for_one_vcpu_lacks_the_others_only() =>
        Assert.Equal(["CONFIG_SMP"], KernelRequirements.Unmet(KernelBuilder.Configuration(new KernelBuildOptions()).Wanted).Select(r => r.Option));

    [Fact]
    public void Either_way_to_find_the_devices_will_do()
    {
        KernelConfig acpi = With("CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES=n\nCONFIG_ACPI=y\n");
        KernelConfig neither = With("CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES=n\n");

        Assert.Empty(KernelRequirements.Unmet(acpi));
        Assert.Equal(["CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES"], KernelRequirements.Unmet(neither).Select(r => r.Option));
    }

    [Fact]
    public void A_module_counts_for_what_is_only_recommended() =>
        Assert.Equal(["CONFIG_VIRTIO_BLK"], KernelRequirements.Unmet(With("CONFIG_VIRTIO_BLK=m\nCONFIG_VIRTIO_NET=m\n")).Select(r => r.Option));

    [Fact]
    public void A_build_stops_at_an_option_that_was_asked_for_and_is_lost()
    {
        KernelConfig asked = KernelConfig.Parse("CONFIG_BTRFS_FS=y\n", "mine");

        ImageException e = Assert.Throws<ImageException>(() => KernelBuilder.Check(s_own, With(asked.ToString()), asked));

        Assert.Contains("CONFIG_BTRFS_FS=y was asked for, and became n", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_build_stops_at_a_kernel_that_cannot_boot()
    {
        KernelConfig got = With("CONFIG_VIRTIO_MMIO=n\n");

        ImageException e = Assert.Throws<ImageException>(() => KernelBuilder.Check(got, got, new KernelConfig()));

        Assert.Contains("CONFIG_VIRTIO_MMIO=y: devices", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_option_of_our_own_that_this_kernel_lacks_is_a_note()
    {
        KernelConfig got = With("CONFIG_TIME_NS=n\n");

        string note = Assert.Single(KernelBuilder.Check(got, s_own, new KernelConfig()));

        Assert.Contains("CONFIG_TIME_NS=y", note, StringComparison.Ordinal);
    }

    private static KernelConfig With(string more)
    {
        KernelConfig config = KernelBuilder.Configuration(new KernelBuildOptions { Smp = true }).Wanted;
        config.Merge(KernelConfig.Parse(more, "more"));
        return config;
    }
}
