using System.Globalization;
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

    /// <summary>By the handler "oci": what the daemon starts is root's again, and what it has mounted takes what containers may do.</summary>
    [Fact]
    public async Task Containers_of_the_host_have_what_the_daemon_has_given_up_for_itself()
    {
        PodSandboxConfig config = Lab.Pod("host-powers");
        config.Linux.SecurityContext = new LinuxSandboxSecurityContext { Privileged = true };
        string pod = await RunPodAsync(config, "oci");
        ContainerConfig privileged = Lab.Idle("privileged");
        privileged.Linux.SecurityContext = new LinuxContainerSecurityContext { Privileged = true };
        string all = await Client.RunContainerAsync(pod, config, privileged);
        string plain = await Client.RunContainerAsync(pod, config, Lab.Idle("plain"));

        ulong mine = Capabilities("CapBnd", File.ReadAllText("/proc/self/status"));
        Assert.Equal(mine, Capabilities("CapEff", await Client.OutputAsync(all, "cat /proc/self/status")));
        const ulong trace = 1 << 19, module = 1 << 16;
        Assert.Equal(trace | module, mine & (trace | module));
        Assert.Equal(0ul, Capabilities("CapPrm", File.ReadAllText($"/proc/{Lab.DaemonId}/status")) & (trace | module));
        // In an overlay that the daemon itself has mounted: nodes, owners, and what covers a file of the image.
        const string Change = "mknod /node c 1 3 && chown 1234:5678 /node && rm /etc/group && touch /new && chown 7 /new && chmod 4755 /new && stat -c %a /new && [ ! -e /etc/group ] && echo changed";
        Assert.Equal("4755\nchanged\n", await Client.OutputAsync(all, Change));
        Assert.Equal("4755\nchanged\n", await Client.OutputAsync(plain, Change));
    }

    private static ulong Capabilities(string set, string status) =>
        ulong.Parse(status.Split('\n').Single(line => line.StartsWith(set + ":", StringComparison.Ordinal))[(set.Length + 1)..], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
