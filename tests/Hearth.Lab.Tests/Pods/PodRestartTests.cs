using System.Diagnostics;
using Hearth.Cri.Protocol;

namespace Hearth.Lab.Tests.Pods;

/// <summary>Any process of ours may end at any time: pods outlive the daemon, and what is gone is told and cleaned.</summary>
public sealed class PodRestartTests(PodLab lab) : PodTestBase(lab)
{
    [Fact]
    public async Task Pods_outlive_the_daemon_however_it_ends()
    {
        (string pod, string container, PodSandboxConfig config) = await RunIdlePodAsync("outlives", change: static container =>
        {
            container.Command.Clear();
            container.Command.Add(["sh", "-c", "trap 'exit 4' USR1; i=0; while :; do echo $i; i=$((i+1)); sleep 0.2; done"]);
        });
        string brief = await Client.RunContainerAsync(pod, config, Lab.Shell("brief", "sleep 3; exit 9"));
        string created = await Client.CreateAsync(pod, config, Lab.Idle("created"));
        PodSandboxStatus before = await Client.PodStatusAsync(pod);
        int monitors = Monitors();
        foreach (string signal in new[] { "TERM", "KILL" })
        {
            await Lab.StopDaemonAsync(signal);
            await Lab.StartDaemonAsync();
            Assert.Equal(before, await Client.PodStatusAsync(pod));
            Assert.Equal("same\n", await Client.OutputAsync(container, "echo same"));
            Assert.Equal(ContainerState.ContainerRunning, (await Client.StatusAsync(container)).State);
            Assert.Equal(ContainerState.ContainerCreated, (await Client.StatusAsync(created)).State);
            Assert.Equal(monitors, Monitors());
        }

        // What ended while nobody looked is known all the same, and no line of the log is missing.
        Assert.Equal(9, (await Client.AwaitStateAsync(brief, ContainerState.ContainerExited)).ExitCode);
        await Client.StartAsync(created);
        await Client.AwaitStateAsync(created, ContainerState.ContainerRunning);
        await Client.OutputAsync(container, "kill -USR1 1");
        ContainerStatus status = await Client.AwaitStateAsync(container, ContainerState.ContainerExited);
        Assert.Equal(4, status.ExitCode);
        string[] lines = LogLines(status.LogPath);
        Assert.True(lines.Length > 5);
        Assert.Equal(Enumerable.Range(0, lines.Length).Select(static i => $"stdout F {i}"), lines);
    }

    [Theory]
    [InlineData("hearth-vmm")]
    [InlineData("hearth-shim")]
    [InlineData("virtiofsd")]
    public async Task A_pod_whose_process_is_killed_fails_alone(string victim)
    {
        string folder = Directory.CreateDirectory(Path.Combine(Lab.Folder, "volume")).FullName;
        (string witness, string witnessContainer, _) = await RunIdlePodAsync("witness");
        HashSet<int> others = [.. Processes(victim)];
        (string pod, string container, PodSandboxConfig config) = await RunIdlePodAsync("victim", change: container => container.Mounts.Add(new Mount { ContainerPath = "/volume", HostPath = folder }));
        int[] mine = [.. Processes(victim).Except(others)];
        Assert.NotEmpty(mine);
        foreach (int id in mine)
        {
            PodLab.Run("kill", "-9", $"{id}");
        }

        if (victim is "hearth-vmm" or "hearth-shim")
        {
            ContainerStatus status = await Client.AwaitStateAsync(container, ContainerState.ContainerExited);
            Assert.NotEqual(0, status.ExitCode);
            Assert.NotEmpty(status.Reason);
            await UntilAsync(async () => (await Client.PodStatusAsync(pod)).State == PodSandboxState.SandboxNotready, "the pod to be told not ready");
            await CriClient.FailsAsync(() => Client.ExecAsync(container, "true"));
            await CriClient.FailsAsync(() => Client.CreateAsync(pod, config, Lab.Idle("late")));
        }

        Assert.Equal("alive\n", await Client.OutputAsync(witnessContainer, "echo alive"));
        Assert.Equal(PodSandboxState.SandboxReady, (await Client.PodStatusAsync(witness)).State);

        // The same pod, its next attempt, works.
        await Client.RemovePodAsync(pod);
        config.Metadata.Attempt++;
        string again = await RunPodAsync(config);
        Assert.Equal("again\n", await Client.OutputAsync(await Client.RunContainerAsync(again, config, Lab.Idle("main")), "echo again"));
    }

    [Fact]
    public async Task What_died_while_the_daemon_was_away_is_cleaned_when_it_comes_back()
    {
        HashSet<int> others = [.. Processes("hearth-shim"), .. Processes("hearth-vmm")];
        (string pod, string container, _) = await RunIdlePodAsync("away");
        await Lab.StopDaemonAsync("KILL");
        foreach (int id in Processes("hearth-shim").Concat(Processes("hearth-vmm")).Except(others))
        {
            PodLab.Run("kill", "-9", $"{id}");
        }

        await Lab.StartDaemonAsync();
        await UntilAsync(async () => (await Client.PodStatusAsync(pod)).State == PodSandboxState.SandboxNotready, "the pod to be told not ready");
        Assert.Equal(ContainerState.ContainerExited, (await Client.StatusAsync(container)).State);
    }

    private static int Monitors() => Processes("hearth-vmm").Count();

    private static IEnumerable<int> Processes(string name)
    {
        foreach (Process process in Process.GetProcesses())
        {
            using (process)
            {
                string program = "";
                try
                {
                    program = Path.GetFileName(File.ReadAllText($"/proc/{process.Id}/cmdline").Split('\0')[0]);
                }
                catch (IOException)
                {
                    // It ended meanwhile.
                }

                if (program == name || (name == "hearth-shim" && program == "containerd-shim-hearth-v2"))
                {
                    yield return process.Id;
                }
            }
        }
    }
}
