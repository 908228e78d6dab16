using Grpc.Core;
using Hearth.Cri.Protocol;

namespace Hearth.Lab.Tests.Pods;

/// <summary>Folders and files of the host in containers, as the kubelet gives them.</summary>
public sealed class PodVolumeTests(PodLab lab) : PodTestBase(lab)
{
    [Fact]
    public async Task Volumes_are_live_in_both_directions()
    {
        string folder = Directory.CreateDirectory(Path.Combine(Lab.Folder, "volumes")).FullName;
        string shared = Directory.CreateDirectory(Path.Combine(folder, "shared")).FullName;
        string sealedFolder = Directory.CreateDirectory(Path.Combine(folder, "sealed")).FullName;
        string map = Directory.CreateDirectory(Path.Combine(folder, "map")).FullName;
        string file = Path.Combine(folder, "hosts");
        File.WriteAllText(Path.Combine(sealedFolder, "secret"), "s3cret");
        File.WriteAllText(file, "10.0.0.1 one\n");
        Publish(map, "first", "blue");

        PodSandboxConfig config = Lab.Pod("volumes");
        string pod = await RunPodAsync(config);
        ContainerConfig container = Lab.Idle("main");
        container.Mounts.Add(new Mount { ContainerPath = "/shared", HostPath = shared });
        container.Mounts.Add(new Mount { ContainerPath = "/sealed", HostPath = sealedFolder, Readonly = true });
        container.Mounts.Add(new Mount { ContainerPath = "/map", HostPath = map, Readonly = true });
        container.Mounts.Add(new Mount { ContainerPath = "/etc/hosts", HostPath = file });
        string main = await Client.RunContainerAsync(pod, config, container);

        await Client.OutputAsync(main, "echo inside >/shared/from-guest; mkdir /shared/folder; ln -s from-guest /shared/link; chmod 640 /shared/from-guest; chown 1000:33 /shared/from-guest");
        Assert.Equal("inside\n", File.ReadAllText(Path.Combine(shared, "link")));
        Assert.Equal("-rw-r-----", await Client.OutputAsync(main, "stat -c %A /shared/from-guest | tr -d '\\n'"));
        File.WriteAllText(Path.Combine(shared, "from-host"), "outside");
        Assert.Equal("outside", await Client.OutputAsync(main, "cat /shared/from-host"));
        await Client.OutputAsync(main, "rm /shared/from-host");
        Assert.False(File.Exists(Path.Combine(shared, "from-host")));

        Assert.Equal("s3cret", await Client.OutputAsync(main, "cat /sealed/secret"));
        Assert.Contains("Read-only file system", (await Client.ExecAsync(main, "touch /sealed/new")).Stderr, StringComparison.Ordinal);

        // As the kubelet updates a ConfigMap, a Secret or a projected token: a new folder, and a link renamed over the old one.
        Assert.Equal("blue", await Client.OutputAsync(main, "cat /map/colour"));
        Publish(map, "second", "green");
        await UntilAsync(async () => (await Client.ExecAsync(main, "cat /map/colour")).Stdout == "green", "the new colour");
        Assert.Equal("second", Path.GetFileName((await Client.OutputAsync(main, "readlink /map/..data")).Trim()));

        Assert.Equal("10.0.0.1 one\n", await Client.OutputAsync(main, "cat /etc/hosts"));
        File.AppendAllText(file, "10.0.0.2 two\n");
        await UntilAsync(async () => (await Client.ExecAsync(main, "cat /etc/hosts")).Stdout.EndsWith("two\n", StringComparison.Ordinal), "the new line");

        // A second container of the pod, started later, sees the same; a mount made on the host later is seen where asked for.
        string propagated = Directory.CreateDirectory(Path.Combine(folder, "propagated")).FullName;
        Assert.Equal(0, PodLab.Run("mount", "-t", "tmpfs", "outer", propagated));
        try
        {
            Assert.Equal(0, PodLab.Run("mount", "--make-shared", propagated));
            Directory.CreateDirectory(Path.Combine(propagated, "inner"));
            ContainerConfig second = Lab.Idle("second");
            second.Mounts.Add(new Mount { ContainerPath = "/shared", HostPath = shared });
            second.Mounts.Add(new Mount { ContainerPath = "/seen", HostPath = propagated, Propagation = MountPropagation.PropagationHostToContainer });
            string later = await Client.RunContainerAsync(pod, config, second);
            Assert.Equal("inside\n", await Client.OutputAsync(later, "cat /shared/from-guest"));
            Assert.Equal(0, PodLab.Run("mount", "-t", "tmpfs", "inner", Path.Combine(propagated, "inner")));
            File.WriteAllText(Path.Combine(propagated, "inner", "file"), "late");
            await UntilAsync(async () => (await Client.ExecAsync(later, "cat /seen/inner/file")).Stdout == "late", "the later mount");
            await Client.StopAsync(later, 5);
            await Client.RemoveAsync(later);
            await UntilAsync(() => PodLab.Run("umount", Path.Combine(propagated, "inner")) == 0, "the inner mount to be free");
        }
        finally
        {
            PodLab.Run("umount", "-R", "-l", propagated);
        }
    }

    [Fact]
    public async Task Read_only_volumes_and_parts_of_images_are_as_asked()
    {
        string volume = Directory.CreateDirectory(Path.Combine(Lab.Folder, "read-only")).FullName;
        string below = Directory.CreateDirectory(Path.Combine(volume, "below")).FullName;
        Assert.Equal(0, PodLab.Run("mount", "-t", "tmpfs", "below", below));
        PodSandboxConfig config = Lab.Pod("read-only");
        string pod = await RunPodAsync(config);
        try
        {
            ContainerConfig container = Lab.Idle("main");
            container.Mounts.Add(new Mount { ContainerPath = "/itself", HostPath = volume, Readonly = true });
            container.Mounts.Add(new Mount { ContainerPath = "/all", HostPath = volume, Readonly = true, RecursiveReadOnly = true });
            container.Mounts.Add(new Mount { ContainerPath = "/part", Image = new ImageSpec { Image = Lab.Web }, ImageSubPath = "www", Readonly = true });
            string web = await Client.PullAsync(Lab.Web);
            string main = await Client.RunContainerAsync(pod, config, container);
            await Client.OutputAsync(main, "touch /itself/below/written");
            Assert.True(File.Exists(Path.Combine(below, "written")));
            foreach (string refused in new[] { "/itself/new", "/all/new", "/all/below/new", "/part/new" })
            {
                Assert.Contains("Read-only file system", (await Client.ExecAsync(main, $"touch {refused}")).Stderr, StringComparison.Ordinal);
            }

            Assert.Equal("hearth\n", await Client.OutputAsync(main, "cat /part/index.html"));
            Assert.Equal(web, (await Client.StatusAsync(main)).Mounts.Single(static mount => mount.ContainerPath == "/part").Image.ImageRef);
            container = Lab.Idle("absent");
            container.Mounts.Add(new Mount { ContainerPath = "/part", Image = new ImageSpec { Image = Lab.Web }, ImageSubPath = "not/there", Readonly = true });
            RpcException error = await CriClient.FailsAsync(() => Client.RunContainerAsync(pod, config, container));
            Assert.Equal((StatusCode.InvalidArgument, true), (error.StatusCode, error.Status.Detail.Contains("not/there", StringComparison.Ordinal)));
            await Client.StopAsync(main, 5);
            await Client.RemoveAsync(main);
        }
        finally
        {
            PodLab.Run("umount", "-l", below);
        }
    }

    [Fact]
    public async Task A_mount_that_cannot_be_is_refused_by_name()
    {
        PodSandboxConfig config = Lab.Pod("mounts");
        string pod = await RunPodAsync(config);
        ContainerConfig container = Lab.Idle("main");
        container.Mounts.Add(new Mount { ContainerPath = "/data", HostPath = "relative/path" });
        RpcException error = await CriClient.FailsAsync(() => Client.RunContainerAsync(pod, config, container));
        Assert.Contains("relative/path", error.Status.Detail, StringComparison.Ordinal);
        container.Mounts.Clear();
        container.Mounts.Add(new Mount { ContainerPath = "", HostPath = Lab.Folder });
        await CriClient.FailsAsync(() => Client.RunContainerAsync(pod, config, container));

        // What failed has left nothing in the pod: the same name works.
        container.Mounts.Clear();
        Assert.Equal(0, (await Client.ExecAsync(await Client.RunContainerAsync(pod, config, container), "true")).ExitCode);
    }

    private static void Publish(string map, string version, string colour)
    {
        string data = Directory.CreateDirectory(Path.Combine(map, version)).FullName;
        File.WriteAllText(Path.Combine(data, "colour"), colour);
        string next = Path.Combine(map, "..data_tmp");
        File.CreateSymbolicLink(next, version);
        // Not File.Move, which looks for what the link points at.
        Assert.Equal(0, PodLab.Run("mv", "-T", next, Path.Combine(map, "..data")));
        if (!File.Exists(Path.Combine(map, "colour")))
        {
            File.CreateSymbolicLink(Path.Combine(map, "colour"), "..data/colour");
        }
    }
}
