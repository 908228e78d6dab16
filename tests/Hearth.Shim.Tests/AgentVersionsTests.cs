using Hearth.Linux;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests;

/// <summary>Which agents a pod may have.</summary>
public sealed class AgentVersionsTests
{
    private static readonly Version s_own = typeof(AgentVersions).Assembly.GetName().Version!;

    [Fact]
    public void The_same_version_is_taken_whatever_its_patch()
    {
        AgentVersions.Check("i", s_own.ToString(3));
        AgentVersions.Check("i", $"{s_own.Major}.{s_own.Minor}.{s_own.Build + 1}");
    }

    [Fact]
    public void Another_is_refused_with_both_and_what_to_do()
    {
        string other = $"{s_own.Major}.{s_own.Minor + 1}.0";
        foreach (string version in (string[])[other, $"{s_own.Major + 1}.{s_own.Minor}.0", "", "nonsense"])
        {
            string message = Assert.Throws<HearthException>(() => AgentVersions.Check("/the/initrd", version)).Message;
            Assert.Contains($"/the/initrd (initrd of [microvm] in hearth.toml) is of version \"{version}\", and this shim of {s_own.ToString(3)}", message);
            Assert.Contains("hearth initrd build", message);
        }
    }
}
