namespace Hearth.Lab.Tests.Managers;

/// <summary>containerd of Debian 13.</summary>
public sealed class Containerd17Lab : ContainerdLab
{
    private protected override string Suite => "trixie";

    private protected override string Release => "1.7.";
}

/// <summary>containerd 1.7.</summary>
public sealed class Containerd17Tests(Containerd17Lab lab) : ContainerdReleaseTests(lab), IClassFixture<Containerd17Lab>;
