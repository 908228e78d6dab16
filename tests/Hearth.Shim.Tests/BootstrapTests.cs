using System.Diagnostics;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Shim.Bootstrap;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Bootstrap;
using Hearth.Shim.Protocol.Tasks;

namespace Hearth.Shim.Tests;

/// <summary>How managers start and end shims: the published program.</summary>
public sealed class BootstrapTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-boot-").FullName;

    public BootstrapTests()
    {
        Assert.SkipWhen(ShimUnderTest.ReasonToSkip is not null, ShimUnderTest.ReasonToSkip ?? "");
        File.WriteAllText(Path.Combine(_folder, "hearth.toml"), $"[daemon]\nstate = \"{_folder}/state\"\n[microvm]\nkernel = \"/nowhere\"\n");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_shim_is_found_again_by_its_pod_and_ends_when_it_is_told()
    {
        string sandbox = Bundle("p", ShimUnderTest.Sandbox("p"));
        string member = Bundle("c", ShimUnderTest.Member("p", "true"));
        (int status, byte[] printed, string errors) = Run(member, ["-namespace", "ns", "-id", "c", "start"]);
        Assert.Equal((1, 0), (status, printed.Length));
        Assert.Contains("has no shim", errors);

        string address = Text(Run(sandbox, ["-namespace", "ns", "-id", "p", "-address", "/x", "-publish-binary", "/y", "start"]));

        Assert.StartsWith($"unix://{_folder}/state/shims/", address);
        Assert.Equal(address, File.ReadAllText(Path.Combine(sandbox, "address")));
        Assert.Equal(address, Text(Run(member, ["--namespace=ns", "-id=c", "-address=/x", "-debug", "start"])));
        Assert.Equal(address, Text(Run(sandbox, ["-namespace", "ns", "-id", "p", "-address", "/x", "start"])));
        string path = address["unix://".Length..];
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path) & ~UnixFileMode.UserExecute);
        await using ShimClient shim = await ShimClient.ConnectAsync(address);
        int pid = (int)(await shim.ConnectTaskAsync("p")).ShimPid;
        Assert.NotEqual(Link("self", "mnt"), Link($"{pid}", "mnt"));
        Assert.Equal(Link("self", "net"), Link($"{pid}", "net"));
        string[] stat = File.ReadAllText($"/proc/{pid}/stat").Split(' ');
        Assert.Equal($"{pid}", stat[5]);
        // What it gave up before it began, and what others may not.
        string[] held = File.ReadAllLines($"/proc/{pid}/status");
        // Root of a container lacks some of them itself.
        string own = File.ReadAllLines("/proc/self/status").Single(static line => line.StartsWith("CapBnd:", StringComparison.Ordinal))["CapBnd:".Length..];
        ulong most = ShimConfinement.Capabilities & ulong.Parse(own, System.Globalization.NumberStyles.HexNumber | System.Globalization.NumberStyles.AllowLeadingWhite, System.Globalization.CultureInfo.InvariantCulture);
        Assert.Contains($"CapBnd:\t{most:x16}", held);
        Assert.Contains($"CapPrm:\t{most:x16}", held);
        Assert.Contains("Seccomp:\t2", held);
        // What refuses a stranger must be the sockets' own mode, or their folder's: not the test's.
        File.SetUnixFileMode(_folder, (UnixFileMode)0x1ed);
        foreach (string socket in (string[])[path, path + ".stream"])
        {
            Assert.Equal(7, await KnockAsync(socket, "--reuid=65534", "--regid=65534", "--clear-groups"));
            Assert.NotEqual(7, await KnockAsync(socket));
        }

        await shim.ShutdownAsync("p");

        await shim.Closed.WaitAsync(ShimUnderTest.Deadline);
        await ShimUnderTest.EventuallyAsync(() => !File.Exists(path) && !File.Exists(path + ".stream"), "the sockets stay");
        await ShimUnderTest.EventuallyAsync(() => !Directory.Exists($"/proc/{pid}"), "the process stays");
    }

    /// <summary>Two containerds have a namespace "default" each; what the second is told to make must not be found, and then deleted, as the first's.</summary>
    [Fact]
    public async Task Two_managers_with_the_same_id_have_two_shims_and_end_their_own()
    {
        string first = Bundle("one", ShimUnderTest.Specification("true"));
        string second = Bundle("two", ShimUnderTest.Specification("true"));
        string address = Text(Run(first, ["-namespace", "default", "-id", "c", "-address", "/run/a.sock", "start"]));
        string other = Text(Run(second, ["-namespace", "default", "-id", "c", "-address", "/run/b.sock", "start"]));
        Assert.NotEqual(address, other);
        // Also where the bundle does not say it any more.
        File.Delete(Path.Combine(second, "address"));

        Assert.Equal(0, Run(second, ["-namespace", "default", "-id", "c", "-bundle", second, "-address", "/run/b.sock", "delete"]).Status);

        await ShimUnderTest.EventuallyAsync(() => !ShimLaunch.IsServed(other["unix://".Length..]), "the second's stays");
        await using ShimClient shim = await ShimClient.ConnectAsync(address);
        await shim.ShutdownAsync("c");
        await shim.Closed.WaitAsync(ShimUnderTest.Deadline);
    }

    [Fact]
    public async Task A_shim_has_the_network_namespace_of_a_process_that_it_may_not_look_into()
    {
        using Process other = Process.Start("unshare", ["--net", "sleep", "1000"])!;
        try
        {
            await ShimUnderTest.EventuallyAsync(() => Link($"{other.Id}", "net") != Link("self", "net"), "it stays in this namespace");
            RuntimeSpec spec = ShimUnderTest.Specification("true");
            string bundle = Bundle("n", spec with { Linux = spec.Linux! with { Namespaces = [new() { Type = "network", Path = $"/proc/{other.Id}/ns/net" }] } });

            await using ShimClient shim = await ShimClient.ConnectAsync(Text(Run(bundle, ["-namespace", "ns", "-id", "n", "start"])));

            int pid = (int)(await shim.ConnectTaskAsync("n")).ShimPid;
            string[] open = [.. Directory.EnumerateFiles($"/proc/{pid}/fd").Select(static file => File.ResolveLinkTarget(file, returnFinalTarget: false)?.Name ?? "")];
            Assert.Contains(Link($"{other.Id}", "net"), open);
            await shim.ShutdownAsync("n");
            await shim.Closed.WaitAsync(ShimUnderTest.Deadline);
        }
        finally
        {
            other.Kill();
        }
    }

    /// <summary>Docker's hook is Docker itself, by its process.</summary>
    [Fact]
    public async Task A_shim_has_the_program_of_a_hook_that_it_may_not_look_for()
    {
        using Process other = Process.Start("sleep", ["1000"])!;
        try
        {
            string program = $"/proc/{other.Id}/exe";
            string bundle = Bundle("h", ShimUnderTest.Specification("true") with { Hooks = new HooksSpec { Prestart = [new() { Path = "/bin/true" }, new() { Path = program }] } });

            await using ShimClient shim = await ShimClient.ConnectAsync(Text(Run(bundle, ["-namespace", "ns", "-id", "h", "start"])));

            int pid = (int)(await shim.ConnectTaskAsync("h")).ShimPid;
            string[] open = [.. Directory.EnumerateFiles($"/proc/{pid}/fd").Select(static file => File.ResolveLinkTarget(file, returnFinalTarget: false)?.FullName ?? "")];
            Assert.Contains(File.ResolveLinkTarget(program, returnFinalTarget: false)!.FullName, open);
            await shim.ShutdownAsync("h");
            await shim.Closed.WaitAsync(ShimUnderTest.Deadline);
        }
        finally
        {
            other.Kill();
        }
    }

    [Fact]
    public async Task What_a_killed_shim_left_is_taken_away_and_a_new_one_can_start()
    {
        string bundle = Bundle("c", ShimUnderTest.Specification("true"));
        string address = Text(Run(bundle, ["-namespace", "ns", "-id", "c", "start"]));
        string path = address["unix://".Length..];
        await using (ShimClient shim = await ShimClient.ConnectAsync(address))
        {
            int pid = (int)(await shim.ConnectTaskAsync("c")).ShimPid;
            using Process killed = Process.GetProcessById(pid);
            killed.Kill();
            await shim.Closed.WaitAsync(ShimUnderTest.Deadline);
        }

        Assert.True(File.Exists(path));
        Assert.Equal(address, Text(Run(bundle, ["-namespace", "ns", "-id", "c", "start"])));
        (int status, byte[] printed, _) = Run(bundle, ["-namespace", "ns", "-id", "c", "-bundle", bundle, "delete"]);
        Assert.Equal(0, status);
        Assert.Equal(137u, DeleteResponse.Parser.ParseFrom(printed).ExitStatus);
        await ShimUnderTest.EventuallyAsync(() => !Directory.Exists(Path.GetDirectoryName(path)), "the socket stays");
        string left = Path.Combine(_folder, "state", "pods", Path.GetFileNameWithoutExtension(path));
        Directory.CreateDirectory(left);
        File.WriteAllText(Path.Combine(left, "fs.sock"), "");
        // As containerd calls it, which may have its answer before all is gone.
        Assert.Equal(0, Run(bundle, ["-namespace", "ns", "-address", "/x", "-publish-binary", "/y", "-id", "c", "-bundle", bundle, "delete"]).Status);
        await ShimUnderTest.EventuallyAsync(() => !Directory.EnumerateFileSystemEntries(Path.Combine(_folder, "state")).Any(), "something stays");
        Assert.Equal(0, Run(bundle, ["-namespace", "ns", "-id", "c", "-bundle", bundle, "delete"]).Status);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_folder, "state")));
    }

    /// <summary>containerd kills a delete that takes longer, and then keeps the bundle for good.</summary>
    [Fact]
    public async Task A_delete_answers_containerd_within_its_five_seconds_however_long_the_work_takes()
    {
        string bundle = Bundle("c", ShimUnderTest.Specification("true"));
        string[] delete = ["-namespace", "ns", "-address", "/x", "-publish-binary", "/y", "-id", "c", "-bundle", bundle, "delete"];
        // A shim that lives and does not answer.
        string socket = Path.Combine(Directory.CreateDirectory(Path.Combine(_folder, "state", "shims")).FullName, "deaf.sock");
        File.WriteAllText(Path.Combine(bundle, "address"), "unix://" + socket);
        using (UnixListener.Bind(socket, backlog: 8))
        {
            AssertInTime();
        }

        // One that is dead, and somebody else is at what it left.
        File.WriteAllText(Path.Combine(bundle, "address"), "unix://" + Path.Combine(_folder, "state", "shims", "dead.sock"));
        string left = Directory.CreateDirectory(Path.Combine(_folder, "state", "pods", "dead")).FullName;
        File.WriteAllText(Path.Combine(left, "fs.sock"), "");
        using (FolderLock.Take(left))
        {
            AssertInTime();
            Assert.True(Directory.Exists(left));
        }

        await ShimUnderTest.EventuallyAsync(() => !Directory.EnumerateFileSystemEntries(Path.Combine(_folder, "state")).Any(), "something stays");

        void AssertInTime()
        {
            long start = Stopwatch.GetTimestamp();
            (int status, byte[] printed, string errors) = Run(bundle, delete);
            Assert.Equal((0, ""), (status, errors));
            Assert.Equal(137u, DeleteResponse.Parser.ParseFrom(printed).ExitStatus);
            Assert.InRange(Stopwatch.GetElapsedTime(start), TimeSpan.Zero, TimeSpan.FromSeconds(5));
        }
    }

    /// <summary>containerd has forgotten the container by then: nobody else would ever end it.</summary>
    [Fact]
    public async Task A_shim_that_does_not_answer_is_ended_with_its_pod()
    {
        string bundle = Bundle("p", ShimUnderTest.Sandbox("p"));
        string address = Text(Run(bundle, ["-namespace", "ns", "-id", "p", "start"]));
        string socket = address["unix://".Length..];
        int pid;
        await using (ShimClient shim = await ShimClient.ConnectAsync(address))
        {
            pid = (int)(await shim.ConnectTaskAsync("p")).ShimPid;
        }

        using Process stopped = Process.GetProcessById(pid);
        using Process stop = Process.Start("kill", ["-STOP", $"{pid}"]);
        await stop.WaitForExitAsync();
        var arguments = new ShimArguments { Namespace = "ns", Id = "c", Pod = "p", Socket = socket };
        HearthException refused = await Assert.ThrowsAsync<HearthException>(() => DeleteCommand.CleanUpAsync(arguments, TimeSpan.FromMilliseconds(100)));
        Assert.Contains($"The shim at {socket} lives, and does not remove \"c\"", refused.Message);
        Assert.False(stopped.HasExited);

        await DeleteCommand.CleanUpAsync(arguments with { Id = "p" }, TimeSpan.FromMilliseconds(100));

        await stopped.WaitForExitAsync().WaitAsync(ShimUnderTest.Deadline);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_folder, "state")));
    }

    [Fact]
    public async Task Each_manager_is_answered_in_its_own_form()
    {
        string bundle = Bundle("c", ShimUnderTest.Specification("true"));
        ShimAddress old = ShimAddress.Parse(Text(Run(bundle, ["-namespace", "ns", "-id", "c", "start"])));
        Assert.Equal(old.Address, Text(Run(bundle, ["-namespace", "ns", "-id", "c", "start"], variables: [("MAX_SHIM_VERSION", "2")])));
        string json = Text(Run(bundle, ["-namespace", "ns", "-id", "c", "start"], variables: [("MAX_SHIM_VERSION", "9")]));
        Assert.Equal($$"""{"version":3,"address":"{{old.Address}}","protocol":"ttrpc"}""", json);
        Assert.Equal(old with { Version = 3 }, ShimAddress.Parse(json));
        var parameters = new BootstrapParams { InstanceId = "c", Namespace = "ns", ContainerdVersion = "2.3.0", ContainerdTtrpcAddress = "/nowhere" };
        BootstrapResult result = BootstrapResult.Parser.ParseFrom(Run(bundle, ["start"], parameters.ToByteArray()).Output);
        Assert.Equal((3, old.Address, "ttrpc"), (result.Version, result.Address, result.Protocol));
        var options = new Any { TypeUrl = "runtimeoptions.v1.Options", Value = new Options { ConfigPath = "/nowhere" }.ToByteString() };
        Assert.Equal(old.Address, Text(Run(bundle, ["-namespace", "ns", "-id", "c", "start"], options.ToByteArray())));
        RuntimeInfo info = RuntimeInfo.Parser.ParseFrom(Run(bundle, ["-info"], options.ToByteArray()).Output);
        Assert.Equal(("io.containerd.hearth.v2", options), (info.Name, info.Options));
        Assert.Contains(info.Version.Version, Text(Run(bundle, ["-v"])));
        // As CRI-O asks every runtime.
        Assert.Contains(info.Version.Version, Text(Run(bundle, ["--version"])));
        await using ShimClient shim = await ShimClient.ConnectAsync(old.Address);
        await shim.ShutdownAsync("c");
        await shim.Closed.WaitAsync(ShimUnderTest.Deadline);
    }

    /// <summary>Word for word as CRI-O 1.37 does: internal/oci/runtime_vm.go, startRuntimeDaemon.</summary>
    [Fact]
    public async Task CRI_O_finds_one_shim_for_a_pod_and_its_containers()
    {
        string sandbox = Bundle("p", CrioTests.Sandbox("p", "pause"));
        string member = Bundle("c", CrioTests.Member("p", "true"));
        (string, string)[] variables = [("GOMAXPROCS", "2"), ("MAX_SHIM_VERSION", "2"), ("TTRPC_ADDRESS", ""), ("GRPC_ADDRESS", ""), ("NAMESPACE", "default")];
        foreach (string bundle in (string[])[sandbox, member])
        {
            ShimUnderTest.MakeFifo(bundle, "log");
        }

        string address = Text(Run(sandbox, ["-namespace", "default", "-address", "", "-publish-binary", "/usr/bin/crio", "-id", "p", "-debug", "start"], variables: variables));
        Assert.Equal(address, Text(Run(member, ["-namespace", "default", "-address", "", "-publish-binary", "/usr/bin/crio", "-id", "c", "start"], variables: variables)));

        // It is no JSON, and so its address as it is.
        Assert.StartsWith("unix:///", address);
        await using ShimClient shim = await ShimClient.ConnectAsync(address);
        await shim.ShutdownAsync("p");
        await shim.Closed.WaitAsync(ShimUnderTest.Deadline);
    }

    /// <summary>containerd's of a pod whose sandboxer is the shim: no config.json, and the shim is the pod.</summary>
    [Fact]
    public async Task A_bundle_without_a_specification_is_a_pods()
    {
        string bundle = Directory.CreateDirectory(Path.Combine(_folder, "bundle-p")).FullName;
        string address = Text(Run(bundle, ["-namespace", "ns", "-id", "p", "start"]));
        Assert.Equal(address, Text(Run(Bundle("c", ShimUnderTest.Member("p", "true")), ["-namespace", "ns", "-id", "c", "start"])));
        await using ShimClient shim = await ShimClient.ConnectAsync(address);
        // Where it is somebody's container all the same, it is said when that is made.
        Assert.Contains("config.json", (await ShimUnderTest.RefusedAsync(() => shim.CreateAsync(new CreateTaskRequest { Id = "p", Bundle = bundle }))).Message);
        await shim.ShutdownAsync("p");
        await shim.Closed.WaitAsync(ShimUnderTest.Deadline);
    }

    [Fact]
    public void What_is_wrong_is_said_in_a_line()
    {
        string bundle = Bundle("c", ShimUnderTest.Specification("true"));
        foreach (string[] arguments in (string[][])[["-namespace"], ["-wrong", "x"], ["stop"], ["-namespace", "ns", "start"], [], ["-namespace", "ns", "-id", "c", "-bundle", "/nowhere", "start"]])
        {
            (int status, byte[] output, string errors) = Run(bundle, arguments);
            Assert.Equal((1, 0), (status, output.Length));
            Assert.Matches("^hearth-shim: [^\n]+\n$", errors);
        }
    }

    [Fact]
    public void Standard_input_is_read_for_what_it_is()
    {
        Assert.Equal(new StandardInput(null, null), StandardInput.Parse([]));
        Assert.Equal(new StandardInput(null, null), StandardInput.Parse([0xff, 0xff]));
        Assert.Equal("/c", StandardInput.Parse(new Any { TypeUrl = "x/runtimeoptions.v1.Options", Value = new Options { ConfigPath = "/c" }.ToByteString() }.ToByteArray()).ConfigPath);
        Assert.Equal("", StandardInput.Parse(new Any { TypeUrl = "containerd.runc.v1.Options", Value = ByteString.CopyFrom(0xff) }.ToByteArray()).ConfigPath);
    }

    private static string Text((int Status, byte[] Output, string Errors) run)
    {
        Assert.Equal("", run.Errors);
        Assert.Equal(0, run.Status);
        return Encoding.UTF8.GetString(run.Output);
    }

    // Curl's 7: it could not connect. Anything else is not HTTP that it heard, or not in time.
    private static async Task<int> KnockAsync(string socket, params string[] asWhom)
    {
        using Process curl = Process.Start("setpriv", [.. asWhom, "curl", "--silent", "--max-time", "5", "--unix-socket", socket, "http://shim/"]);
        await curl.WaitForExitAsync();
        return curl.ExitCode;
    }

    private static string Link(string process, string kind) => File.ResolveLinkTarget($"/proc/{process}/ns/{kind}", returnFinalTarget: false)!.Name;

    private string Bundle(string id, RuntimeSpec spec)
    {
        string bundle = Path.Combine(_folder, "bundle-" + id);
        Directory.CreateDirectory(bundle);
        File.WriteAllBytes(Path.Combine(bundle, "config.json"), spec.ToJson());
        return bundle;
    }

    private (int Status, byte[] Output, string Errors) Run(string bundle, string[] arguments, byte[]? input = null, params (string Name, string Value)[] variables)
    {
        var start = new ProcessStartInfo(TestMachine.Published("hearth-shim"), arguments)
        {
            WorkingDirectory = bundle,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["HEARTH_CONFIG"] = Path.Combine(_folder, "hearth.toml");
        start.Environment.Remove("MAX_SHIM_VERSION");
        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        process.StandardInput.BaseStream.Write(input ?? []);
        process.StandardInput.Close();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        var output = new MemoryStream();
        process.StandardOutput.BaseStream.CopyTo(output);
        Assert.True(process.WaitForExit(ShimUnderTest.Deadline), "it does not end");
        return (process.ExitCode, output.ToArray(), errors.GetAwaiter().GetResult());
    }
}
