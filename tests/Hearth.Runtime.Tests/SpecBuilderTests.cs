using CsCheck;
using Hearth.Images;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Handlers;
using Hearth.Runtime.Pods;
using Hearth.Runtime.Specs;

namespace Hearth.Runtime.Tests;

public sealed class SpecBuilderTests : IDisposable
{
    private static readonly PodFiles s_files = new("/pod/resolv.conf", "/pod/hosts", "/pod/hostname");

    private readonly TestImage _images = new();

    public void Dispose() => _images.Dispose();

    [Theory]
    // image entry point, image Cmd, command, args, what runs
    [InlineData("/entry a", "b", "", "", "/entry a b")]
    [InlineData("/entry a", "b", "", "x y", "/entry a x y")]
    [InlineData("/entry a", "b", "/c", "", "/c")]
    [InlineData("/entry a", "b", "/c", "x", "/c x")]
    [InlineData("", "/cmd b", "", "", "/cmd b")]
    [InlineData("", "/cmd b", "", "x", "x")]
    public void The_command_is_the_clients_over_the_images(string entrypoint, string cmd, string command, string args, string expected)
    {
        Image image = _images.Make(entrypoint: Words(entrypoint), cmd: Words(cmd));
        ContainerConfig config = Config() with { Command = Words(command), Args = Words(args) };
        Assert.Equal(Words(expected), Build(config, image).Spec.Process!.Args);
    }

    [Fact]
    public void A_container_without_a_command_is_refused()
    {
        Refused(Config(), "neither entry point nor Cmd", _images.Make(cmd: []));
    }

    [Fact]
    public void The_environment_is_the_clients_over_the_images_over_the_defaults()
    {
        Image image = _images.Make(user: "app", env: ["PATH=/image", "A=image", "B=image", "NOVALUE"]);
        IReadOnlyList<string> env = Build(Config() with { Env = ["B=client", "C=", "C=2=3"], Tty = true }, image).Spec.Process!.Env;
        Assert.Equal(["PATH=/image", "HOSTNAME=the-host", "HOME=/home/app", "TERM=xterm", "A=image", "B=client", "C=2=3"], env);
        Refused(Config() with { Env = ["=x"] }, "is no variable");
        Refused(Config() with { Env = ["A=\0"] }, "is no variable");
    }

    [Theory]
    [InlineData("", "", "/")]
    [InlineData("/image", "", "/image")]
    [InlineData("/image", "/client", "/client")]
    [InlineData("relative", "", "/relative")]
    public void The_working_folder_is_absolute(string image, string given, string expected) =>
        Assert.Equal(expected, Build(Config() with { WorkingDir = given }, _images.Make(workingDir: image)).Spec.Process!.Cwd);

    [Theory]
    // image user, run_as_user, run_as_username, run_as_group, supplemental groups, strict, uid, gid, groups
    [InlineData("", null, "", null, "", false, 0, 0, "0 10")]
    [InlineData("app", null, "", null, "", false, 1000, 1000, "10 1000 50000")]
    [InlineData("app", null, "", null, "", true, 1000, 1000, "1000")]
    [InlineData("", 1000L, "", null, "60000", false, 1000, 1000, "10 1000 50000 60000")]
    [InlineData("", 1000L, "", null, "60000", true, 1000, 1000, "1000 60000")]
    [InlineData("", 1000L, "", 7L, "", false, 1000, 7, "7 10 50000")]
    [InlineData("", null, "app", null, "", false, 1000, 1000, "10 1000 50000")]
    [InlineData("", null, "odd", 0L, "", false, 2000, 0, "0")]
    [InlineData("", 4242L, "", null, "", false, 4242, 0, "0")]
    [InlineData("app:wheel", null, "", null, "", false, 1000, 10, "10 50000")]
    [InlineData("app", 0L, "", null, "", false, 0, 0, "0 10")]
    public void The_user_is_the_clients_over_the_images(string image, long? user, string username, long? group, string more, bool strict, uint uid, uint gid, string groups)
    {
        ContainerSecurity security = new()
        {
            RunAsUser = user,
            RunAsUsername = username,
            RunAsGroup = group,
            SupplementalGroups = [.. Words(more).Select(long.Parse)],
            GroupsPolicy = strict ? GroupsPolicy.Strict : GroupsPolicy.Merge,
        };
        BuiltSpec built = Build(Config() with { Security = security }, _images.Make(user: image));
        Assert.Equal(uid, built.Spec.Process!.User.Uid);
        Assert.Equal(gid, built.Spec.Process.User.Gid);
        Assert.Equal(Words(groups).Select(uint.Parse), built.Spec.Process.User.AdditionalGids);
        Assert.Equal(built.User.Groups, built.Spec.Process.User.AdditionalGids);
    }

    [Fact]
    public void Users_that_contradict_themselves_are_refused()
    {
        Refused(Secured(new() { RunAsUser = 1, RunAsUsername = "app" }), "give one");
        Refused(Secured(new() { RunAsGroup = 1 }), "without a user");
        Refused(Secured(new() { RunAsUsername = "nobody-here" }), "has no user");
        Refused(Secured(new() { RunAsUsername = "app:wheel" }), "is no user's name");
        Refused(Secured(new() { RunAsUser = uint.MaxValue }), "no number of a user");
        Refused(Secured(new() { RunAsUser = -1 }), "no number of a user");
        Refused(Config(), "has no user", _images.Make(user: "stranger"));
    }

    [Fact]
    public void Capabilities_are_added_and_dropped_by_name_after_all()
    {
        Assert.Equal(14, Caps(new()).Bounding.Count);
        Assert.Equal(["CAP_CHOWN", "CAP_SYS_ADMIN"], Caps(new() { DropCapabilities = ["ALL"], AddCapabilities = ["SYS_ADMIN", "cap_chown"] }).Effective);
        Assert.Equal(Capabilities.All.Except(["CAP_NET_RAW"]), Caps(new() { AddCapabilities = ["ALL"], DropCapabilities = ["NET_RAW"] }).Permitted);
        Assert.Empty(Caps(new() { DropCapabilities = ["ALL"] }).Bounding);
        Assert.Empty(Caps(new()).Inheritable);
        CapabilitiesSpec ambient = Caps(new() { DropCapabilities = ["all"], AddAmbientCapabilities = ["NET_BIND_SERVICE"] });
        Assert.All([ambient.Ambient, ambient.Inheritable, ambient.Permitted, ambient.Effective, ambient.Bounding], set => Assert.Equal(["CAP_NET_BIND_SERVICE"], set));
        Refused(Secured(new() { AddCapabilities = ["FLY"] }), "no capability \"FLY\"");

        CapabilitiesSpec Caps(ContainerSecurity security) => Build(Secured(security)).Spec.Process!.Capabilities!;
    }

    [Fact]
    public void The_privileged_have_everything_and_need_a_privileged_pod()
    {
        ContainerConfig config = Secured(new() { Privileged = true, MaskedPaths = ["/x"] });
        Refused(config, "make the pod privileged");
        RuntimeSpec spec = Build(config, pod: Pod() with { Config = Pod().Config with { Security = new PodSecurity { Privileged = true } } }).Spec;
        Assert.Equal(Capabilities.All, spec.Process!.Capabilities!.Bounding);
        Assert.Null(spec.Linux!.Seccomp);
        Assert.Empty(spec.Linux.MaskedPaths);
        Assert.Empty(spec.Linux.ReadonlyPaths);
        Assert.True(Assert.Single(spec.Linux.Resources!.Devices).Allow);
        Assert.Contains("rw", spec.Mounts.Single(mount => mount.Destination == "/sys").Options);
    }

    [Fact]
    public void What_a_container_must_not_see_is_masked_and_can_be_chosen()
    {
        LinuxSpec linux = Build(Config()).Spec.Linux!;
        Assert.Contains("/proc/kcore", linux.MaskedPaths);
        Assert.Contains("/proc/sys", linux.ReadonlyPaths);
        Assert.False(Assert.Single(linux.Resources!.Devices).Allow);
        linux = Build(Secured(new() { MaskedPaths = ["/a"], ReadonlyPaths = ["/b"] })).Spec.Linux!;
        Assert.Equal(["/a"], linux.MaskedPaths);
        Assert.Equal(["/b"], linux.ReadonlyPaths);
    }

    [Fact]
    public void Every_container_has_its_mounts_and_the_pods_files()
    {
        IReadOnlyList<MountSpec> mounts = Build(Config()).Spec.Mounts;
        Assert.Equal(
            ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"],
            mounts.Select(mount => mount.Destination));
        Assert.Equal("/pod/hosts", mounts.Single(mount => mount.Destination == "/etc/hosts").Source);
        Assert.Contains("ro", Build(Secured(new() { ReadonlyRoot = true })).Spec.Mounts.Single(mount => mount.Destination == "/etc/hosts").Options);
    }

    [Fact]
    public void Volumes_stand_instead_of_defaults_and_parents_come_first()
    {
        using var host = new TemporaryFolder();
        ContainerConfig config = Config() with
        {
            Mounts =
            [
                new ContainerMount { ContainerPath = "/data/deep/er", HostPath = host.Path },
                new ContainerMount { ContainerPath = "/etc/hosts", HostPath = host.Path, Readonly = true },
                new ContainerMount { ContainerPath = "/data/", HostPath = host.Path, Propagation = MountPropagation.HostToContainer },
            ],
        };
        IReadOnlyList<MountSpec> mounts = Build(config).Spec.Mounts;
        Assert.Equal(["/data", "/etc/hosts", "/data/deep/er"], mounts.Skip(9).Select(mount => mount.Destination));
        Assert.Single(mounts, mount => mount.Destination == "/etc/hosts");
        Assert.Equal(["rbind", "rslave", "rw"], mounts.Single(mount => mount.Destination == "/data").Options);
        Assert.Equal(["rbind", "rprivate", "ro"], mounts.Single(mount => mount.Destination == "/etc/hosts").Options);
    }

    [Fact]
    public void Sources_of_volumes_are_followed_and_made()
    {
        using var host = new TemporaryFolder();
        string real = Directory.CreateDirectory(Path.Combine(host.Path, "real", "inside")).FullName;
        File.CreateSymbolicLink(Path.Combine(host.Path, "link"), "real");
        File.CreateSymbolicLink(Path.Combine(host.Path, "loop"), "loop");
        Assert.Equal(real, Source(Path.Combine(host.Path, "link", "inside")));
        string made = Path.Combine(host.Path, "link", "new", "folder");
        Assert.Equal(Path.Combine(host.Path, "real", "new", "folder"), Source(made));
        Assert.True(Directory.Exists(made));
        Refused(Mounting("relative"), "no absolute path");
        Refused(Mounting(Path.Combine(host.Path, "loop")), "Too many links");
        Refused(Config() with { Mounts = [new ContainerMount { ContainerPath = "/..", HostPath = "/tmp" }] }, "cover the container's root");
        Refused(Config() with { Mounts = [new ContainerMount { ContainerPath = "", HostPath = "/tmp" }] }, "no path");

        string? Source(string path) => Build(Mounting(path)).Spec.Mounts.Single(mount => mount.Destination == "/v").Source;
        static ContainerConfig Mounting(string path) => Config() with { Mounts = [new ContainerMount { ContainerPath = "/v", HostPath = path }] };
    }

    [Fact]
    public void Read_only_with_all_below_goes_with_read_only_and_private()
    {
        ContainerMount mount = new() { ContainerPath = "/v", HostPath = "/tmp", Readonly = true, RecursiveReadonly = true };
        Assert.Contains("rro", Build(Config() with { Mounts = [mount] }).Spec.Mounts[^1].Options);
        Refused(Config() with { Mounts = [mount with { Readonly = false }] }, "recursive_read_only");
        Refused(Config() with { Mounts = [mount with { Propagation = MountPropagation.HostToContainer }] }, "recursive_read_only");
    }

    [Fact]
    public void A_part_of_an_image_is_named_and_lies_in_it()
    {
        Image volume = _images.Make();
        Assert.Equal(["ro", "nosuid", "nodev", "X-mount.subdir=etc/a..b"], Options("etc/a..b"));
        Assert.Equal(["ro", "nosuid", "nodev"], Options(""));
        foreach (string wrong in new[] { "..", "a/../../etc", "/etc", "a\0b" })
        {
            Assert.Contains("image_sub_path", Assert.Throws<PodException>(() => Options(wrong)).Message, StringComparison.Ordinal);
        }

        Assert.Contains("readonly", Assert.Throws<PodException>(() => Options("", readOnly: false)).Message, StringComparison.Ordinal);

        IReadOnlyList<string> Options(string path, bool readOnly = true) => SpecBuilder.Build(
            Pod(), s_files, "/pod/shm", Config() with { Mounts = [new ContainerMount { ContainerPath = "/v", Image = "x", ImageSubPath = path, Readonly = readOnly }] }, volume,
            new Dictionary<int, Image> { [0] = volume }).Spec.Mounts[^1].Options;
    }

    [Fact]
    public void Limits_are_what_was_asked_and_nothing_else()
    {
        ResourcesSpec none = Build(Config()).Spec.Linux!.Resources!;
        Assert.Null(none.Cpu);
        Assert.Null(none.Memory);
        LinuxResources resources = new()
        {
            CpuPeriod = 100000,
            CpuQuota = 50000,
            CpuShares = 512,
            MemoryBytes = 64 << 20,
            MemorySwapBytes = 64 << 20,
            OomScoreAdj = 999,
            HugepageLimits = new Dictionary<string, ulong> { ["2MB"] = 0 },
            Unified = new Dictionary<string, string> { ["pids.max"] = "7" },
        };
        RuntimeSpec spec = Build(Config() with { Resources = resources }).Spec;
        Assert.Equal(new CpuSpec { Period = 100000, Quota = 50000, Shares = 512 }, spec.Linux!.Resources!.Cpu);
        Assert.Equal(new MemorySpec { Limit = 64 << 20, Swap = 64 << 20 }, spec.Linux.Resources.Memory);
        Assert.Equal(999, spec.Process!.OomScoreAdj);
        Assert.Equal("7", spec.Linux.Resources.Unified!["pids.max"]);
        Assert.Equal("2MB", Assert.Single(spec.Linux.Resources.HugepageLimits).PageSize);
        foreach (LinuxResources wrong in new LinuxResources[]
        {
            new() { CpuPeriod = 10 }, new() { CpuQuota = 10 }, new() { CpuShares = -1 }, new() { MemoryBytes = -2 }, new() { OomScoreAdj = 1001 },
            new() { MemoryBytes = 2 << 20, MemorySwapBytes = 1 << 20 }, new() { Unified = new Dictionary<string, string> { ["../x.y"] = "" } },
        })
        {
            Refused(Config() with { Resources = wrong }, "The resources have");
        }
    }

    [Theory]
    [InlineData("", "", 15)]
    [InlineData("SIGQUIT", "", 3)]
    [InlineData("37", "", 37)]
    [InlineData("nonsense", "", 15)]
    [InlineData("SIGQUIT", "SIGRTMINPLUS3", 37)]
    [InlineData("", "SIGRTMAXMINUS14", 50)]
    [InlineData("", "rtmin+1", 35)]
    [InlineData("", "SIGKILL", 9)]
    public void The_stop_signal_is_the_clients_over_the_images(string image, string given, int expected) =>
        Assert.Equal(expected, Build(Config() with { StopSignal = given }, _images.Make(stopSignal: image)).StopSignal);

    [Fact]
    public void Signals_that_are_none_are_refused()
    {
        Refused(Config() with { StopSignal = "SIGFLY" }, "is no signal");
        foreach (string text in new[] { "0", "65", "-1", "", "SIG", "RTMIN+31", "RTMIN+", "RTMAX-99999999999" })
        {
            Assert.Equal(0, Signals.Parse(text));
        }
    }

    [Fact]
    public void Seccomp_is_the_containers_or_the_pods_or_none()
    {
        Assert.Null(Build(Config()).Spec.Linux!.Seccomp);
        Assert.Equal("SCMP_ACT_ERRNO", Build(Secured(new() { Seccomp = new SecurityProfile() })).Spec.Linux!.Seccomp!.DefaultAction);
        ContainerConfig unconfined = Secured(new() { Seccomp = new SecurityProfile { Kind = ProfileKind.Unconfined } });
        Assert.Null(Build(unconfined).Spec.Linux!.Seccomp);
        Pod confined = Pod() with { Config = Pod().Config with { Security = new PodSecurity { Seccomp = new SecurityProfile() } } };
        Assert.NotNull(Build(Config(), pod: confined).Spec.Linux!.Seccomp);
        Assert.Null(Build(unconfined, pod: confined).Spec.Linux!.Seccomp);
    }

    [Fact]
    public void The_default_profile_gives_calls_with_their_capability()
    {
        SeccompSpec plain = Build(Secured(new() { Seccomp = new SecurityProfile() })).Spec.Linux!.Seccomp!;
        SeccompSpec admin = Build(Secured(new() { Seccomp = new SecurityProfile(), AddCapabilities = ["SYS_ADMIN"] })).Spec.Linux!.Seccomp!;
        Assert.True(Allows(plain, "read") && Allows(plain, "execve") && Allows(plain, "chroot"));
        Assert.False(Allows(plain, "mount") || Allows(plain, "bpf") || Allows(plain, "unshare") || Allows(plain, "init_module") || Allows(plain, "keyctl"));
        Assert.True(Allows(admin, "mount") && Allows(admin, "unshare"));
        Assert.Contains(plain.Syscalls, rule => rule.Names.Contains("clone3") && rule is { Action: "SCMP_ACT_ERRNO", ErrnoRet: 38 });
        Assert.Contains(plain.Syscalls, rule => rule.Names.Contains("clone") && rule.Args.Count == 1);
        Assert.DoesNotContain(admin.Syscalls, rule => rule.Names.Contains("clone3") && rule.Action != "SCMP_ACT_ALLOW");
        string[] twice = [.. plain.Syscalls[0].Names.GroupBy(name => name).Where(group => group.Count() > 1).Select(group => group.Key)];
        Assert.Empty(twice);

        static bool Allows(SeccompSpec profile, string name) => profile.Syscalls.Any(rule => rule is { Action: "SCMP_ACT_ALLOW", Args.Count: 0 } && rule.Names.Contains(name));
    }

    [Fact]
    public void A_profile_of_ones_own_is_read_in_both_forms()
    {
        using var host = new TemporaryFolder();
        string path = Path.Combine(host.Path, "profile.json");
        File.WriteAllText(path, """
            {"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"archMap":[{"architecture":"x"}],"syscalls":[
              {"names":["read","write"],"action":"SCMP_ACT_ALLOW","comment":"","args":null},
              {"name":"open","action":"SCMP_ACT_ALLOW"},
              {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
              {"names":["chown"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_CHOWN"]}},
              {"names":["kill"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_KILL"]}},
              {"names":["s390"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390x"]}}]}
            """);
        SeccompSpec profile = Build(Localhost("localhost/" + path)).Spec.Linux!.Seccomp!;
        Assert.Equal(["read", "write", "open", "chown"], profile.Syscalls.SelectMany(rule => rule.Names));
        Assert.Equal(38u, profile.DefaultErrnoRet);
        File.WriteAllText(path, "{");
        Refused(Localhost(path), "cannot be used");
        File.WriteAllText(path, "{}");
        Refused(Localhost(path), "no defaultAction");
        Refused(Localhost("relative"), "no absolute path");
        Refused(Localhost(Path.Combine(host.Path, "none")), "no such file");
        Refused(Localhost("/dev/zero"), "it is no file");

        static ContainerConfig Localhost(string path) => Secured(new() { Seccomp = new SecurityProfile { Kind = ProfileKind.Localhost, LocalhostRef = path } });
    }

    [Fact]
    public void An_exec_is_like_the_container_with_another_program()
    {
        Image image = _images.Make(user: "app", env: ["A=1"]);
        BuiltSpec built = Build(Secured(new() { NoNewPrivileges = true }) with { WorkingDir = "/w" }, image);
        Container record = new() { Id = "c", PodId = "p", Config = Config(), ImageId = "i", ImageRef = "r", ImageManifest = "m", User = built.User };
        ProcessSpec process = SpecBuilder.Exec(built.Spec.Process!, record, image, new ExecOptions { Command = ["ls", "-l"], Tty = true });
        Assert.Equal(["ls", "-l"], process.Args);
        Assert.Equal("/w", process.Cwd);
        Assert.True(process.NoNewPrivileges);
        Assert.True(process.Terminal);
        Assert.Equal(1000u, process.User.Uid);
        Assert.Contains("TERM=xterm", process.Env);
        Assert.Null(process.Capabilities);
        process = SpecBuilder.Exec(built.Spec.Process!, record, image, new ExecOptions { Command = ["id"], User = "root", Env = ["A=2"], WorkingDir = "/x" });
        Assert.Equal(0u, process.User.Uid);
        Assert.Contains("A=2", process.Env);
        Assert.Contains("HOME=/root", process.Env);
        Assert.Equal("/x", process.Cwd);
        Assert.Throws<PodException>(() => SpecBuilder.Exec(built.Spec.Process!, record, image, new ExecOptions { Command = [] }));
        Assert.Throws<PodException>(() => SpecBuilder.Exec(built.Spec.Process!, record, image, new ExecOptions { Command = ["x"], Tty = true, Stderr = true }));
    }

    [Fact]
    public void Names_of_pods_become_hostnames_that_linux_takes()
    {
        Assert.Equal("the-host", SpecBuilder.HostnameOf(Pod().Config));
        Assert.Equal("p", SpecBuilder.HostnameOf(Pod().Config with { Hostname = "" }));
        Assert.Equal(new string('a', 62), SpecBuilder.HostnameOf(Pod().Config with { Hostname = new string('a', 62) + "-" + new string('b', 50) }));
    }

    [Fact]
    public void What_is_built_survives_json()
    {
        Gen<ContainerConfig> configs = from args in Gen.String[Gen.Char[' ', '~'], 1, 8].Array[1, 4]
                                       from env in Gen.Select(Gen.Char['A', 'Z'], Gen.String[0, 6], (name, value) => $"{name}={value.Replace("\0", "")}").Array[0, 5]
                                       from drop in Gen.Int[0, Capabilities.All.Length - 1].Select(i => Capabilities.All[i]).Array[0, 4]
                                       from tty in Gen.Bool
                                       from memory in Gen.Long[0, 1L << 40]
                                       select Config() with
                                       {
                                           Args = args,
                                           Env = env,
                                           Tty = tty,
                                           Resources = new LinuxResources { MemoryBytes = memory },
                                           Security = new ContainerSecurity { DropCapabilities = drop },
                                       };
        Image image = _images.Make();
        configs.Sample(config =>
        {
            RuntimeSpec spec = Build(config, image).Spec;
            byte[] json = spec.ToJson();
            Assert.Equal(json, RuntimeSpec.Parse(json).ToJson());
            Assert.Equal(config.Args, spec.Process!.Args);
            Assert.DoesNotContain(spec.Process.Capabilities!.Bounding, config.Security.DropCapabilities.Contains);
            // No name twice, and the client's last word counts.
            Assert.Equal(spec.Process.Env.Count, spec.Process.Env.Select(one => one[..one.IndexOf('=')]).Distinct().Count());
            Assert.All(config.Env.GroupBy(one => one[0]), group => Assert.Contains(group.Last(), spec.Process.Env));
        });
    }

    private static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static ContainerConfig Config() => new() { Name = "c", Image = "test" };

    private static ContainerConfig Secured(ContainerSecurity security) => Config() with { Security = security };

    private static Pod Pod() => new()
    {
        Id = "pod",
        Handler = "microvm",
        Config = new PodConfig { Metadata = new PodMetadata { Name = "p" }, Hostname = "the-host" },
    };

    private BuiltSpec Build(ContainerConfig config, Image? image = null, Pod? pod = null) =>
        SpecBuilder.Build(pod ?? Pod(), s_files, "/pod/shm", config, image ?? _images.Make(), new Dictionary<int, Image>());

    private void Refused(ContainerConfig config, string because, Image? image = null)
    {
        PodException e = Assert.Throws<PodException>(() => Build(config, image));
        Assert.Equal(PodFault.InvalidArgument, e.Fault);
        Assert.Contains(because, e.Message, StringComparison.Ordinal);
    }
}
