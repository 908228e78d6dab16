using Hearth.Agent.Protocol;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Agent.Tests;

/// <summary>What a container's first process is, sees and may do.</summary>
public sealed class ContainerTests(AgentUnderTest agent) : AgentTestBase(agent)
{
    [Fact]
    public async Task A_container_runs_and_its_output_and_exit_code_come_back() =>
        Assert.Equal(new Ended(42, "out\n", "err\n"), await Agent.RunAsync("echo out; echo err >&2; exit 42"));

    [Fact]
    public async Task A_process_that_a_signal_ends_has_128_and_its_number() =>
        Assert.Equal(128 + 9, (await Agent.RunAsync("sh -c 'kill -9 $$'; exit $?")).Status);

    [Fact]
    public async Task Megabytes_of_output_arrive_whole()
    {
        Ended ended = await Agent.RunAsync("head -c 10000000 /dev/zero | tr '\\0' 'x'");

        Assert.Equal((0, 10_000_000), (ended.Status, ended.Output.Length));
        Assert.Equal(-1, ended.Output.AsSpan().IndexOfAnyExcept('x'));
    }

    [Fact]
    public async Task Input_arrives_and_ends()
    {
        string id = await Agent.StartAsync(AgentUnderTest.Specification("cat; echo end"));
        Task<string> output = Agent.ReadAsync(id, "", StdioStream.Stdout);
        await using (Stream input = await Client.OpenStdioAsync(new StdioHandshake(id, "", StdioStream.Stdin)))
        {
            await input.WriteAsync("hello "u8.ToArray());
            await input.WriteAsync("there\n"u8.ToArray());
        }

        Assert.Equal("hello there\nend\n", await output);
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });
    }

    [Fact]
    public async Task Closing_input_by_call_ends_it_after_what_arrived()
    {
        string id = await Agent.StartAsync(AgentUnderTest.Specification("cat; echo end"));
        await Client.CloseStdinAsync(new CloseStdinRequest { ContainerId = id });

        Assert.Equal("end\n", await Agent.ReadAsync(id, "", StdioStream.Stdout));
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });
    }

    [Fact]
    public async Task It_is_process_1_of_its_pid_namespace_and_sees_no_other() =>
        Assert.Equal("1\n/proc/1\n", (await Agent.RunAsync("echo $$; echo /proc/[0-9]*")).Output);

    [Fact]
    public async Task It_has_its_host_name_and_the_pod_keeps_its_own()
    {
        await Client.SetUpSandboxAsync(new SetUpSandboxRequest { Hostname = "pod" });
        RuntimeSpec own = AgentUnderTest.Specification("hostname");
        RuntimeSpec pods = own with { Linux = own.Linux! with { Namespaces = [new() { Type = "pid" }, new() { Type = "mount" }] } };

        Assert.Equal("box\n", (await Agent.RunAsync(own with { Hostname = "box" })).Output);
        Assert.Equal("pod\n", (await Agent.RunAsync(pods)).Output);
    }

    [Fact]
    public async Task Its_root_is_the_image_with_a_layer_that_is_its_own()
    {
        Assert.Equal("written\n", (await Agent.RunAsync("echo written > /etc/new; cat /etc/new")).Output);
        Assert.False(File.Exists(Path.Combine(Agent.Image, "etc/new")));
        Assert.Equal(1, (await Agent.RunAsync("cat /etc/new")).Status);
    }

    [Fact]
    public async Task A_read_only_root_is_read_only_and_its_tmpfs_is_not()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("echo x > /tmp/x; echo x > /dev/shm/x && echo shm") with { Root = new RootSpec { Readonly = true } };

        Ended ended = await Agent.RunAsync(spec);

        Assert.Contains("Read-only file system", ended.Errors, StringComparison.Ordinal);
        Assert.Equal("shm\n", ended.Output);
    }

    /// <summary>Podman's pause container has such a /dev.</summary>
    [Fact]
    public async Task A_read_only_tmpfs_has_the_devices_and_mounts_that_belong_in_it()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("echo x > /dev/null && ls -d /dev/pts /dev/shm; echo x > /dev/x");
        spec = spec with { Mounts = [.. spec.Mounts.Select(static mount => mount.Destination == "/dev" ? mount with { Options = [.. mount.Options, "ro"] } : mount)] };

        Ended ended = await Agent.RunAsync(spec);

        Assert.Equal("/dev/pts\n/dev/shm\n", ended.Output);
        Assert.Contains("/dev/x: Read-only file system", ended.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Masked_paths_are_empty_and_read_only_paths_cannot_be_written()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("cat /etc/secret; ls /home; echo 1 > /proc/sys/kernel/domainname; echo x > /etc/frozen/x");
        spec = spec with { Linux = spec.Linux! with { MaskedPaths = ["/etc/secret", "/home", "/nowhere"], ReadonlyPaths = ["/proc/sys", "/etc/frozen", "/nowhere"] } };
        Directory.CreateDirectory(Path.Combine(Agent.Image, "etc/frozen"));
        File.WriteAllText(Path.Combine(Agent.Image, "etc/secret"), "secret");

        Ended ended = await Agent.RunAsync(spec);

        Assert.Equal("", ended.Output);
        Assert.Contains("/proc/sys/kernel/domainname: Read-only file system", ended.Errors, StringComparison.Ordinal);
        Assert.Contains("/etc/frozen/x: Read-only file system", ended.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_volume_is_mounted_where_the_image_has_a_link_that_leads_out()
    {
        string volume = Directory.CreateTempSubdirectory("hearth-volume-").FullName;
        string outside = Directory.CreateTempSubdirectory("hearth-outside-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(volume, "file"), "content\n");
            File.Delete(Path.Combine(Agent.Image, "escape"));
            File.CreateSymbolicLink(Path.Combine(Agent.Image, "escape"), outside);
            RuntimeSpec spec = AgentUnderTest.Specification("cat /escape/sub/file; echo x > /escape/sub/file");
            spec = spec with { Mounts = [.. spec.Mounts, new MountSpec { Destination = "/escape/sub", Type = "bind", Source = volume, Options = ["rbind", "ro"] }] };

            Ended ended = await Agent.RunAsync(spec);

            Assert.Equal("content\n", ended.Output);
            Assert.Contains("Read-only file system", ended.Errors, StringComparison.Ordinal);
            Assert.Empty(Directory.GetFileSystemEntries(outside));
        }
        finally
        {
            Directory.Delete(volume, recursive: true);
            Directory.Delete(outside, recursive: true);
        }
    }

    [Fact]
    public async Task A_part_of_a_volume_is_mounted_and_no_link_leads_out_of_it()
    {
        string volume = Directory.CreateTempSubdirectory("hearth-volume-").FullName;
        try
        {
            Directory.CreateDirectory(Path.Combine(volume, "etc"));
            File.WriteAllText(Path.Combine(volume, "etc", "name"), "volume\n");
            File.CreateSymbolicLink(Path.Combine(volume, "absolute"), "/etc");
            File.CreateSymbolicLink(Path.Combine(volume, "up"), "../../../etc/name");
            File.CreateSymbolicLink(Path.Combine(volume, "process"), "/proc/self/root");
            RuntimeSpec spec = AgentUnderTest.Specification("cat /a/name /b/name /c /d/name; echo x > /a/x");
            MountSpec Part(string destination, string path) =>
                new() { Destination = destination, Type = "bind", Source = volume, Options = ["rbind", "ro", MountSpec.Subdirectory + path] };

            // "/proc" of the volume is empty: its link to the root of processes leads nowhere.
            TtrpcException nowhere = await Assert.ThrowsAsync<TtrpcException>(() => Agent.CreateAsync(spec with { Mounts = [.. spec.Mounts, Part("/a", "process/etc")] }));
            Assert.Equal(StatusCode.InvalidArgument, nowhere.Code);
            Assert.Contains("\"process/etc\"", nowhere.Message, StringComparison.Ordinal);
            Ended ended = await Agent.RunAsync(spec with { Mounts = [.. spec.Mounts, Part("/a", "etc"), Part("/b", "absolute"), Part("/c", "up"), Part("/d", "../../etc")] });

            Assert.Equal("volume\nvolume\nvolume\nvolume\n", ended.Output);
            Assert.Contains("Read-only file system", ended.Errors, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(volume, recursive: true);
        }
    }

    [Fact]
    public async Task A_written_file_can_be_mounted_and_its_changes_are_seen()
    {
        await Client.WriteFilesAsync(new WriteFilesRequest { Files = { new GuestFile { Name = "resolv.conf", Content = Google.Protobuf.ByteString.CopyFromUtf8("nameserver 1\n") } } });
        RuntimeSpec spec = AgentUnderTest.Specification("cat /etc/resolv.conf; read x; cat /etc/resolv.conf");
        spec = spec with { Mounts = [.. spec.Mounts, new MountSpec { Destination = "/etc/resolv.conf", Type = "bind", Source = "/run/hearth/files/resolv.conf", Options = ["bind", "ro"] }] };
        string id = await Agent.StartAsync(spec);
        await using Stream output = await Client.OpenStdioAsync(new StdioHandshake(id, "", StdioStream.Stdout));
        using var reader = new StreamReader(output);
        Assert.Equal("nameserver 1", await reader.ReadLineAsync());

        await Client.WriteFilesAsync(new WriteFilesRequest { Files = { new GuestFile { Name = "resolv.conf", Content = Google.Protobuf.ByteString.CopyFromUtf8("nameserver 2\n") } } });
        await Client.CloseStdinAsync(new CloseStdinRequest { ContainerId = id });

        Assert.Equal("nameserver 2", await reader.ReadLineAsync());
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });
    }

    [Theory]
    [InlineData("ember", "uid=1000(ember) gid=1001(ember) groups=10(wheel),44(video),1001(ember)\n/home/ember\n")]
    [InlineData("ember:wheel", "uid=1000(ember) gid=10(wheel) groups=10(wheel),44(video)\n/home/ember\n")]
    [InlineData("1000", "uid=1000(ember) gid=1001(ember) groups=10(wheel),44(video),1001(ember)\n/home/ember\n")]
    [InlineData("4711:99", "uid=4711 gid=99 groups=99\n/\n")]
    [InlineData("", "uid=0(root) gid=0(root) groups=0(root),10(wheel)\n/root\n")]
    public async Task A_user_is_looked_up_in_the_image(string user, string expected)
    {
        Ended ended = await Agent.RunAsync(AgentUnderTest.Specification("id; echo $HOME"), request => request.User = new UserLookup { User = user, AddListedGroups = true });

        Assert.Equal((0, expected), (ended.Status, SortGroups(ended.Output)));
    }

    [Fact]
    public async Task Numbers_and_supplementary_groups_are_taken_as_given()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("id -u; id -g; cat /proc/self/status | grep Groups");
        spec = spec with { Process = spec.Process! with { User = new UserSpec { Uid = 77, Gid = 78, AdditionalGids = [5, 6] } } };

        Assert.Equal("77\n78\nGroups:\t5 6 \n", (await Agent.RunAsync(spec)).Output);
    }

    [Fact]
    public async Task Capabilities_are_exactly_those_that_are_given()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("grep -E 'Cap|NoNewPrivs' /proc/self/status");
        spec = spec with
        {
            Process = spec.Process! with
            {
                Capabilities = new CapabilitiesSpec { Bounding = ["CAP_KILL", "CAP_CHOWN"], Effective = ["CAP_KILL"], Permitted = ["CAP_KILL"] },
            },
        };

        // With no_new_privs not even root gets the rest of the bounding set by exec.
        Assert.Equal(
            "CapInh:\t0000000000000000\nCapPrm:\t0000000000000020\nCapEff:\t0000000000000020\nCapBnd:\t0000000000000021\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n",
            (await Agent.RunAsync(spec)).Output);
    }

    [Fact]
    public async Task A_user_without_capabilities_has_none_and_ambient_ones_survive()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("grep -E 'CapEff' /proc/self/status");
        var user = new UserSpec { Uid = 1000 };
        string[] one = ["CAP_NET_BIND_SERVICE"];
        var ambient = new CapabilitiesSpec { Bounding = one, Effective = one, Permitted = one, Inheritable = one, Ambient = one };

        Assert.Equal("CapEff:\t0000000000000000\n", (await Agent.RunAsync(spec with { Process = spec.Process! with { User = user } })).Output);
        Assert.Equal("CapEff:\t0000000000000400\n", (await Agent.RunAsync(spec with { Process = spec.Process! with { User = user, Capabilities = ambient } })).Output);
        // As `runc spec` writes it.
        Assert.Equal("CapEff:\t0000000000000000\n", (await Agent.RunAsync(spec with { Process = spec.Process! with { User = user, Capabilities = ambient with { Inheritable = [] } } })).Output);
    }

    [Fact]
    public async Task Limits_umask_and_working_directory_are_set()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("ulimit -n; ulimit -c; umask; pwd");
        spec = spec with
        {
            Process = spec.Process! with
            {
                Cwd = "/made/for/it",
                User = new UserSpec { Umask = 0x3f },
                Rlimits = [new() { Type = "RLIMIT_NOFILE", Soft = 333, Hard = 444 }, new() { Type = "RLIMIT_CORE", Soft = 0, Hard = 0 }],
            },
        };

        Assert.Equal("333\n0\n0077\n/made/for/it\n", (await Agent.RunAsync(spec)).Output);
    }

    [Fact]
    public async Task It_has_only_its_three_descriptors_and_no_signal_ignored()
    {
        // No shell: it has its own ideas about signals.
        RuntimeSpec spec = AgentUnderTest.Specification("");
        RuntimeSpec list = spec with { Process = spec.Process! with { Args = ["ls", "/proc/self/fd"] } };
        RuntimeSpec signals = spec with { Process = spec.Process! with { Args = ["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"] } };

        // 3 is the directory that ls reads.
        Assert.Equal("0\n1\n2\n3\n", (await Agent.RunAsync(list)).Output);
        Assert.Equal("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", (await Agent.RunAsync(signals)).Output);
    }

    [Fact]
    public async Task Sysctls_of_its_namespaces_are_set()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_unprivileged_port_start");
        spec = spec with
        {
            Linux = spec.Linux! with
            {
                Namespaces = [.. spec.Linux!.Namespaces, new NamespaceSpec { Type = "network" }],
                Sysctl = new Dictionary<string, string> { ["kernel.shm_rmid_forced"] = "1", ["net.ipv4.ip_unprivileged_port_start"] = "81" },
            },
        };

        Assert.Equal("1\n81\n", (await Agent.RunAsync(spec)).Output);
    }

    [Fact]
    public async Task Devices_are_the_usual_ones_and_those_asked_for()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("ls /dev; ls -l /dev/fuse | cut -c1-10; echo x > /dev/null && head -c 2 /dev/zero | wc -c");
        spec = spec with { Linux = spec.Linux! with { Devices = [new DeviceSpec { Type = "c", Path = "/dev/fuse", Major = 10, Minor = 229, FileMode = 0x180 }] } };

        Assert.Equal("fd\nfull\nfuse\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\ncrw-------\n2\n", (await Agent.RunAsync(spec)).Output);
    }

    [Fact]
    public async Task A_device_that_the_rules_refuse_can_be_made_but_not_opened()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("mknod /tmp/zero c 1 5; head -c 1 /tmp/zero | wc -c; mknod /tmp/kmsg c 1 11; head -c 1 /tmp/kmsg; mknod /tmp/fuse c 10 229; cat < /tmp/fuse; echo > /tmp/fuse");
        string[] capabilities = ["CAP_MKNOD"];
        spec = spec with
        {
            Process = spec.Process! with { Capabilities = new CapabilitiesSpec { Bounding = capabilities, Effective = capabilities, Permitted = capabilities } },
            Linux = spec.Linux! with
            {
                Resources = new ResourcesSpec
                {
                    Devices = [new() { Allow = false, Access = "rwm" }, new() { Allow = true, Type = "c", Major = 10, Minor = 229, Access = "rw" }, new() { Allow = false, Type = "c", Major = 10, Access = "w" }],
                },
            },
        };

        Ended ended = await Agent.RunAsync(spec);

        Assert.Equal("1\n", ended.Output);
        Assert.Contains("head: /tmp/kmsg: Operation not permitted", ended.Errors, StringComparison.Ordinal);
        Assert.Contains("can't create /tmp/fuse: Operation not permitted", ended.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("can't open /tmp/fuse: Operation not permitted", ended.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_seccomp_profile_is_kept_to_with_and_without_new_privileges(bool noNewPrivileges)
    {
        RuntimeSpec spec = AgentUnderTest.Specification("mkdir /tmp/no; echo $?; kill -0 1; chmod 700 /tmp; grep Seccomp: /proc/self/status");
        spec = spec with
        {
            Process = spec.Process! with { NoNewPrivileges = noNewPrivileges },
            Linux = spec.Linux! with
            {
                Seccomp = new SeccompSpec
                {
                    DefaultAction = "SCMP_ACT_ALLOW",
                    Syscalls =
                    [
                        new() { Names = ["mkdir", "mkdirat"], Action = "SCMP_ACT_ERRNO" },
                        new() { Names = ["chmod", "fchmodat"], Action = "SCMP_ACT_ERRNO", ErrnoRet = 28, Args = [new() { Index = 1, Op = "SCMP_CMP_EQ", Value = 0x1c0 }] },
                    ],
                },
            },
        };

        Ended ended = await Agent.RunAsync(spec);

        Assert.Equal("1\nSeccomp:\t2\n", ended.Output);
        Assert.Equal("mkdir: can't create directory '/tmp/no': Operation not permitted\nchmod: /tmp: No space left on device\n", ended.Errors);
        string id = await Agent.StartAsync(spec with { Process = AgentUnderTest.ProcessOf("while :; do sleep 1; done") });
        Assert.Equal("Seccomp:\t2\n", (await Agent.ExecAsync(id, "grep Seccomp: /proc/self/status")).Output);
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });
    }

    [Fact]
    public async Task A_filter_without_no_new_privileges_is_the_programs_and_not_its_working_directorys()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("echo up");
        spec = spec with
        {
            Process = spec.Process! with { NoNewPrivileges = false },
            Linux = spec.Linux! with { Seccomp = new SeccompSpec { DefaultAction = "SCMP_ACT_ALLOW", Syscalls = [new() { Names = ["getcwd"], Action = "SCMP_ACT_ERRNO" }] } },
        };

        Assert.Contains("up\n", (await Agent.RunAsync(spec)).Output);
    }

    [Fact]
    public async Task A_call_that_kills_ends_the_process_by_its_signal()
    {
        RuntimeSpec spec = AgentUnderTest.Specification("mkdir /tmp/no; exit $?");
        spec = spec with { Linux = spec.Linux! with { Seccomp = new SeccompSpec { DefaultAction = "SCMP_ACT_ALLOW", Syscalls = [new() { Names = ["mkdir"], Action = "SCMP_ACT_KILL_PROCESS" }] } } };

        Assert.Equal(128 + 31, (await Agent.RunAsync(spec)).Status);
    }

    [Theory]
    [InlineData("nothing-of-that-name", StatusCode.NotFound, "exec: \"nothing-of-that-name\": executable file not found in $PATH")]
    [InlineData("/no/such/file", StatusCode.NotFound, "exec: \"/no/such/file\": no such file or directory")]
    [InlineData("../no/such/file", StatusCode.NotFound, "exec: \"../no/such/file\": no such file or directory")]
    [InlineData("/etc/passwd", StatusCode.PermissionDenied, "exec: \"/etc/passwd\": permission denied")]
    [InlineData("/etc", StatusCode.PermissionDenied, "exec: \"/etc\": is a directory: permission denied")]
    public async Task A_program_that_cannot_be_run_is_named(string program, StatusCode code, string message)
    {
        RuntimeSpec spec = AgentUnderTest.Specification("");
        string id = await Agent.CreateAsync(spec with { Process = spec.Process! with { Args = [program] } });

        TtrpcException failure = await Assert.ThrowsAsync<TtrpcException>(() => Client.StartContainerAsync(new StartContainerRequest { ContainerId = id }));

        Assert.Equal((code, message), (failure.Code, failure.Message));
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });
        failure = await Assert.ThrowsAsync<TtrpcException>(() => Agent.CreateAsync(spec with { Process = spec.Process! with { Args = [program] } }, request => request.FindProgram = true));
        Assert.Equal((code, message), (failure.Code, failure.Message));
    }

    [Fact]
    public async Task What_cannot_be_created_says_why_and_leaves_nothing()
    {
        RuntimeSpec good = AgentUnderTest.Specification("true");
        RuntimeSpec mount = good with { Mounts = [new MountSpec { Destination = "/x", Type = "bind", Source = "/no/such/source", Options = ["bind"] }] };
        RuntimeSpec type = good with { Mounts = [new MountSpec { Destination = "/x", Type = "nofs" }] };
        RuntimeSpec none = good with { Process = good.Process! with { Args = [] } };
        RuntimeSpec user = good with { Linux = new LinuxSpec { Namespaces = [new NamespaceSpec { Type = "user" }] } };

        Assert.Contains("/no/such/source", (await RefusedAsync(mount)).Message, StringComparison.Ordinal);
        Assert.Contains("nofs", (await RefusedAsync(type)).Message, StringComparison.Ordinal);
        Assert.Equal(StatusCode.InvalidArgument, (await RefusedAsync(none)).Code);
        Assert.Equal(StatusCode.InvalidArgument, (await RefusedAsync(user)).Code);
        Assert.Equal(StatusCode.NotFound, (await RefusedAsync(good, request => request.User = new UserLookup { User = "nobody-here" })).Code);
        Assert.Equal(StatusCode.InvalidArgument, (await RefusedAsync(good, static request => request.ContainerId = "../up")).Code);
        Assert.Equal(StatusCode.InvalidArgument, (await RefusedAsync(good, static request => request.Spec = Google.Protobuf.ByteString.CopyFromUtf8("[1]"))).Code);

        // The same id can be used after a failure: nothing is left of it.
        await RefusedAsync(mount, static request => request.ContainerId = "again");
        Assert.Equal(0, (await Agent.RunAsync(good, static request => request.ContainerId = "again")).Status);
    }

    private async Task<TtrpcException> RefusedAsync(RuntimeSpec spec, Action<CreateContainerRequest>? change = null) =>
        await Assert.ThrowsAsync<TtrpcException>(() => Agent.CreateAsync(spec, change));

    // The order in which busybox lists groups is the kernel's, which sorts them.
    private static string SortGroups(string output)
    {
        string[] lines = output.Split('\n');
        int at = lines[0].IndexOf("groups=", StringComparison.Ordinal);
        if (at >= 0)
        {
            IEnumerable<string> groups = lines[0][(at + 7)..].Split(',').OrderBy(static group => int.Parse(group.Split('(')[0]));
            lines[0] = lines[0][..(at + 7)] + string.Join(',', groups);
        }

        return string.Join('\n', lines);
    }

    [Fact]
    public async Task What_a_container_changes_of_a_direct_root_is_changed_there()
    {
        string written = Path.Combine(Agent.Image, "tmp", "direct");
        Ended ended = await Agent.RunAsync(
            AgentUnderTest.Specification("echo direct > /tmp/direct; cat /tmp/direct"), static request => request.Rootfs.Direct = true);
        Assert.Equal("direct\n", ended.Output);
        Assert.Equal("direct\n", File.ReadAllText(written));
        File.Delete(written);
    }

    [Fact]
    public async Task A_scratch_directory_is_the_containers_own_and_goes_with_it()
    {
        const string scratch = "/run/hearth/scratch/one";
        string id = await Agent.StartAsync(AgentUnderTest.Specification("echo changed > /changed; while :; do sleep 1000; done"), static request => request.Rootfs.ScratchDirectory = scratch);
        await AgentUnderTest.EventuallyAsync(async () => (await Agent.ExecAsync(id, "cat /changed")).Output == "changed\n", "the file was not written");
        Assert.False(File.Exists(Path.Combine(Agent.Image, "changed")));
        await Client.RemoveContainerAsync(new RemoveContainerRequest { ContainerId = id });
        // Of the same name, and nothing of the other's in it.
        Ended ended = await Agent.RunAsync(AgentUnderTest.Specification("ls /changed 2>/dev/null || echo none"), static request => request.Rootfs.ScratchDirectory = scratch);
        Assert.Equal("none\n", ended.Output);
        await Assert.ThrowsAsync<TtrpcException>(() => Agent.RunAsync(AgentUnderTest.Specification("true"), static request => request.Rootfs.ScratchDirectory = "/etc"));
    }
}
