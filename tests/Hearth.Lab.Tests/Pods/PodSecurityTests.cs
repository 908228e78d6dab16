using Hearth.Cri.Protocol;

namespace Hearth.Lab.Tests.Pods;

/// <summary>What containers may do, as they say it, in a guest's kernel.</summary>
public sealed class PodSecurityTests(PodLab lab) : PodTestBase(lab)
{
    [Fact]
    public async Task Containers_have_the_filters_masks_and_powers_that_they_name()
    {
        PodSandboxConfig config = Lab.Pod("security");
        config.Linux.SecurityContext = new LinuxSandboxSecurityContext { Privileged = true };
        string pod = await RunPodAsync(config);
        async Task<string> RunAsync(string name, LinuxContainerSecurityContext? security)
        {
            ContainerConfig container = Lab.Idle(name);
            container.Linux.SecurityContext = security;
            return await Client.RunContainerAsync(pod, config, container);
        }

        // CRI's word is that who names no profile has none.
        const string Filter = "grep -w Seccomp /proc/self/status | tr -dc 0-9";
        const string Bridge = "brctl addbr bridge0 && brctl delbr bridge0 && echo made";
        string plain = await RunAsync("plain", null);
        Assert.Equal("0", await Client.OutputAsync(plain, Filter));
        Assert.Contains("Operation not permitted", (await Client.ExecAsync(plain, Bridge)).Stderr, StringComparison.Ordinal);

        // A program that is masked is there, and cannot be run. (/bin/sh is a link to busybox too, and this a file of its own.)
        string confined = await RunAsync("confined", new LinuxContainerSecurityContext { Seccomp = new SecurityProfile(), MaskedPaths = { "/etc/group" } });
        Assert.Equal("2", await Client.OutputAsync(confined, Filter));
        (string _, string error, int code) = await Client.ExecAsync(confined, "test -e /etc/group && exec /etc/group");
        Assert.True(code == 126 && error.Contains("Permission denied", StringComparison.Ordinal), $"{code}: {error}");

        foreach (LinuxContainerSecurityContext powers in new[]
        {
            new LinuxContainerSecurityContext { Privileged = true },
            new LinuxContainerSecurityContext { Capabilities = new Capability { AddCapabilities = { "NET_ADMIN" } } },
        })
        {
            Assert.Equal("made\n", await Client.OutputAsync(await RunAsync($"powers-{powers.Privileged}", powers), Bridge));
        }
    }
}
