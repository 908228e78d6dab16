using System.Text.Json.Nodes;
using Hearth.Linux;
using Hearth.Network.Cni;
using Hearth.Testing;

namespace Hearth.Network.Tests;

/// <summary>Networks of plugins that are scripts: each writes down how it was called, and answers what the test wants.</summary>
public sealed class CniNetworksTests : IDisposable
{
    private const string Result = """{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"x"}],"ips":[{"address":"10.1.2.3/24","interface":0}]}""";

    private readonly Hosts _hosts = new();
    private readonly string _pod;

    public CniNetworksTests()
    {
        _pod = _hosts.Add("pod");
        Directory.CreateDirectory(Plugins);
        Directory.CreateDirectory(Conf);
    }

    private string Plugins => Path.Combine(_hosts.Folder, "bin");

    private string Conf => Path.Combine(_hosts.Folder, "net.d");

    private string Calls => Path.Combine(_hosts.Folder, "calls");

    private string Cache => Path.Combine(_hosts.Folder, "cache");

    public void Dispose() => _hosts.Dispose();

    [Fact]
    public async Task Plugins_are_called_in_order_each_with_the_result_before_it_and_undone_in_reverse_after_a_restart()
    {
        Network("1.0.0", ("one", null), ("two", """{"portMappings": true, "mac": true, "bandwidth": false}"""));
        Plugin("one", $"echo '{Result}'");
        Plugin("two", "echo '{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.1.2.4/24\"}]}'");
        CniPod pod = Pod() with
        {
            Capabilities = new CniCapabilities
            {
                PortMappings = [new CniPortMapping(8080, 80, "tcp", null)],
                Bandwidth = new CniBandwidth(1, 2, 3, 4),
                Mac = "02:00:00:00:00:01",
            },
        };

        CniResult result = await Networks().AttachAsync(pod);

        Assert.Equal("10.1.2.4", Assert.Single(result.PodAddresses).Address.ToString());
        Assert.Equal(["ADD one", "ADD two"], Called());
        JsonObject one = Input(1), two = Input(2);
        Assert.Equal("pods", (string?)one["name"]);
        Assert.Equal("1.0.0", (string?)one["cniVersion"]);
        Assert.Null(one["prevResult"]);
        Assert.Null(one["runtimeConfig"]);
        Assert.Equal("10.1.2.3/24", (string?)two["prevResult"]!["ips"]![0]!["address"]);
        Assert.Equal(8080, (int?)two["runtimeConfig"]!["portMappings"]![0]!["hostPort"]);
        Assert.Equal("02:00:00:00:00:01", (string?)two["runtimeConfig"]!["mac"]);
        Assert.Null(two["runtimeConfig"]!["bandwidth"]);
        string environment = File.ReadAllText(Path.Combine(Calls, "1.env"));
        Assert.Contains("CNI_CONTAINERID=pod1\n", environment, StringComparison.Ordinal);
        Assert.Contains($"CNI_NETNS={_pod}\n", environment, StringComparison.Ordinal);
        Assert.Contains("CNI_IFNAME=eth0\n", environment, StringComparison.Ordinal);
        Assert.Contains(
            "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=name;K8S_POD_INFRA_CONTAINER_ID=pod1;K8S_POD_UID=uid\n", environment, StringComparison.Ordinal);

        // The configuration that is there by then is another.
        Network("1.0.0", ("other", null));
        CniNetworks restarted = Networks();
        Assert.Equal("10.1.2.4", Assert.Single(restarted.Find("pod1")!.PodAddresses).Address.ToString());
        Assert.Null(restarted.Find("pod"));
        await restarted.DetachAsync("pod1");

        Assert.Equal(["ADD one", "ADD two", "DEL two", "DEL one"], Called());
        Assert.Equal("10.1.2.4/24", (string?)Input(4)["prevResult"]!["ips"]![0]!["address"]);
        Assert.Equal(8080, (int?)Input(3)["runtimeConfig"]!["portMappings"]![0]!["hostPort"]);
        Assert.Null(restarted.Find("pod1"));
        Assert.Empty(Directory.GetFiles(Cache));
        await restarted.DetachAsync("pod1");
        Assert.Equal(4, Called().Count);
    }

    [Fact]
    public async Task A_pod_that_is_attached_keeps_what_it_has()
    {
        Network("1.0.0", ("one", null));
        Plugin("one", $"echo '{Result}'");
        CniNetworks networks = Networks();

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => networks.AttachAsync(Pod())));

        Assert.Equal(["ADD one"], Called());
    }

    [Fact]
    public async Task A_failed_ADD_is_undone_by_all_plugins_and_told_in_the_plugins_words()
    {
        Network("1.0.0", ("one", null), ("two", null), ("three", null));
        Plugin("one", $"echo '{Result}'");
        Plugin("two", """[ $CNI_COMMAND = DEL ] || { echo '{"cniVersion":"1.0.0","code":11,"msg":"no room","details":"all 3 are taken"}'; exit 1; }""");
        Plugin("three", "true");

        CniException failure = await Assert.ThrowsAsync<CniException>(() => Networks().AttachAsync(Pod()));

        Assert.Equal("CNI plugin two (network pods, interface eth0) failed on ADD: no room: all 3 are taken (code 11).", failure.Message);
        Assert.Equal(11, failure.Code);
        Assert.Equal(["ADD one", "ADD two", "DEL three", "DEL two", "DEL one"], Called());
        Assert.Empty(Directory.GetFiles(Cache));
    }

    [Fact]
    public async Task What_cannot_be_undone_is_remembered_and_collected_at_the_next_start()
    {
        Network("0.4.0", ("one", null), ("two", null));
        Plugin("one", $"[ ! -e '{_hosts.Folder}/broken' ] || {{ echo oh no >&2; exit 3; }}; echo '{Result}'");
        Plugin("two", $"echo '{Result}'");
        CniNetworks networks = Networks();
        await networks.AttachAsync(Pod());
        await networks.AttachAsync(Pod() with { Id = "pod2" });
        File.WriteAllText(Path.Combine(_hosts.Folder, "broken"), "");

        CniException failure = await Assert.ThrowsAsync<CniException>(() => networks.DetachAsync("pod1"));
        Assert.Contains("exit code 3, saying: oh no", failure.Message, StringComparison.Ordinal);
        Assert.Equal("DEL one", Called()[^1]);

        (string podId, HearthException? why) = Assert.Single(await Networks().CollectAsync(new HashSet<string> { "pod2" }));
        Assert.Equal("pod1", podId);
        Assert.NotNull(why);
        File.Delete(Path.Combine(_hosts.Folder, "broken"));
        (podId, why) = Assert.Single(await Networks().CollectAsync(new HashSet<string> { "pod2" }));
        Assert.Equal("pod1", podId);
        Assert.Null(why);
        Assert.Empty(await Networks().CollectAsync(new HashSet<string> { "pod2" }));
        Assert.NotNull(Networks().Find("pod2"));
    }

    [Fact]
    public async Task A_namespace_that_is_gone_is_told_as_none()
    {
        Network("1.0.0", ("one", null));
        Plugin("one", $"echo '{Result}'");
        CniNetworks networks = Networks();
        await networks.AttachAsync(Pod());
        NetworkNamespace.Remove(_pod);

        await networks.DetachAsync("pod1");

        Assert.Contains("CNI_NETNS=\n", File.ReadAllText(Path.Combine(Calls, "2.env")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_daemon_that_died_during_ADD_leaves_what_the_next_one_undoes()
    {
        Network("1.0.0", ("one", null));
        Plugin("one", $"""[ $CNI_COMMAND = DEL ] || kill -9 $$; echo '{Result}'""");
        // As the cache is while plugins work: the entry without a result.
        Directory.CreateDirectory(Cache);
        CniNetworkList list = CniConfFolder.First(Conf)!;
        new CniCache(Cache).Write(new CniCacheEntry("pods", "dead", "eth0", _pod, "", list.Json, [], null));
        File.WriteAllText(Path.Combine(Cache, "cut@pods@eth0.json"), "{\"Netw");

        Assert.Equal(("dead", null), Assert.Single(await Networks().CollectAsync(new HashSet<string>())));
        Assert.Equal(["DEL one"], Called());

        CniException failure = await Assert.ThrowsAsync<CniException>(() => Networks().AttachAsync(Pod()));
        Assert.Contains("exit code 137", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_plugin_is_named_with_where_it_was_looked_for_and_nothing_is_called()
    {
        Network("1.0.0", ("one", null), ("absent", null));
        Plugin("one", $"echo '{Result}'");

        CniException failure = await Assert.ThrowsAsync<CniException>(() => Networks().AttachAsync(Pod()));

        Assert.Contains("\"absent\"", failure.Message, StringComparison.Ordinal);
        Assert.Contains(Plugins, failure.Message, StringComparison.Ordinal);
        Assert.Contains("containernetworking-plugins", failure.Message, StringComparison.Ordinal);
        Assert.Empty(Called());
        Assert.Equal(failure.Message, await Networks().StatusAsync());
    }

    [Fact]
    public async Task A_plugin_that_does_not_end_is_ended_with_its_children()
    {
        Network("1.0.0", ("slow", null));
        Plugin("slow", "[ $CNI_COMMAND = DEL ] && exit 0; sleep 1000 & echo $! > \"$CALLS/child\"; wait");

        CniException failure = await Assert.ThrowsAsync<CniException>(() => Networks(TimeSpan.FromSeconds(6)).AttachAsync(Pod()));

        Assert.Contains("did not finish ADD within 6 seconds", failure.Message, StringComparison.Ordinal);
        Assert.Equal(["ADD slow", "DEL slow"], Called());
        string child = File.ReadAllText(Path.Combine(Calls, "child")).Trim();
        Assert.True(SpinWait.SpinUntil(() => !File.Exists($"/proc/{child}/cmdline") || File.ReadAllText($"/proc/{child}/cmdline").Length == 0, TimeSpan.FromSeconds(60)));
    }

    [Theory]
    [InlineData("echo hello", "no JSON")]
    [InlineData("true", "no JSON")]
    [InlineData("yes", "printed more than")]
    [InlineData("exit 4", "exit code 4 without a word")]
    [InlineData("""echo '{"msg":["x"]}'; exit 1""", "exit code 1, saying: {\"msg\":[\"x\"]}")]
    public async Task A_plugin_that_says_nothing_useful_is_named(string body, string why)
    {
        Network("1.0.0", ("odd", null));
        Plugin("odd", $"[ $CNI_COMMAND = DEL ] || {{ {body}; }}");

        CniException failure = await Assert.ThrowsAsync<CniException>(() => Networks().AttachAsync(Pod()));

        Assert.Contains("odd", failure.Message, StringComparison.Ordinal);
        Assert.Contains(why, failure.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(Cache));
    }

    [Fact]
    public async Task CHECK_gives_each_plugin_the_last_result()
    {
        Network("1.0.0", ("one", null), ("two", null));
        Plugin("one", $"echo '{Result}'");
        Plugin("two", $$"""[ $CNI_COMMAND != CHECK ] || { echo '{"code":100,"msg":"it is gone"}'; exit 1; }; echo '{{Result}}'""");
        CniNetworks networks = Networks();
        await Assert.ThrowsAsync<HearthException>(() => networks.CheckAsync("pod1"));
        await networks.AttachAsync(Pod());

        CniException failure = await Assert.ThrowsAsync<CniException>(() => networks.CheckAsync("pod1"));

        Assert.Contains("it is gone", failure.Message, StringComparison.Ordinal);
        Assert.Equal(["ADD one", "ADD two", "CHECK one", "CHECK two"], Called());
        Assert.Equal("10.1.2.3/24", (string?)Input(3)["prevResult"]!["ips"]![0]!["address"]);
    }

    [Theory]
    [InlineData("0.3.1")]
    [InlineData("0.2.0")]
    public async Task Old_versions_are_not_checked_and_get_no_result_on_DEL(string version)
    {
        Network(version, ("one", null));
        Plugin("one", $$"""echo '{"cniVersion":"{{version}}"}'""");
        CniNetworks networks = Networks();

        await networks.AttachAsync(Pod());
        await networks.CheckAsync("pod1");
        await networks.DetachAsync("pod1");

        Assert.Equal(["ADD one", "DEL one"], Called());
        Assert.Null(Input(2)["prevResult"]);
    }

    [Fact]
    public async Task A_network_of_1_1_is_asked_for_its_status_and_told_what_lives()
    {
        Network("1.1.0", ("one", null));
        Plugin("one", $$"""[ $CNI_COMMAND != STATUS ] || [ ! -e '{{_hosts.Folder}}/sick' ] || { echo '{"code":50,"msg":"not now"}'; exit 1; }; echo '{{Result}}'""");
        CniNetworks networks = Networks();
        Assert.Null(await networks.StatusAsync());
        File.WriteAllText(Path.Combine(_hosts.Folder, "sick"), "");
        Assert.Contains("not now", await networks.StatusAsync(), StringComparison.Ordinal);
        await networks.AttachAsync(Pod());

        await networks.CollectAsync(new HashSet<string> { "pod1" });

        Assert.Equal(["STATUS one", "STATUS one", "ADD one", "GC one"], Called());
        Assert.Equal("""[{"containerID":"pod1","ifname":"eth0"}]""", Input(4)["cni.dev/valid-attachments"]!.ToJsonString());
    }

    [Fact]
    public async Task A_plugin_that_does_not_speak_the_networks_version_is_found()
    {
        Network("1.1.0", ("one", null));
        Plugin("one", """echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'""");

        CniException failure = await Assert.ThrowsAsync<CniException>(() => Networks().ValidateAsync(CniConfFolder.First(Conf)!));

        Assert.Contains("it speaks 0.4.0, 1.0.0", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../x", "ns")]
    [InlineData("a/b", "ns")]
    [InlineData("", "ns")]
    [InlineData("pod1", "a;K8S_POD_NAME=other")]
    public async Task Names_that_mean_more_than_names_are_refused(string id, string space)
    {
        Network("1.0.0", ("one", null));
        Plugin("one", $"echo '{Result}'");

        await Assert.ThrowsAsync<HearthException>(() => Networks().AttachAsync(Pod() with { Id = id, Namespace = space }));
        await Networks().DetachAsync(id);

        Assert.Empty(Called());
    }

    [Fact]
    public async Task No_network_at_all_is_said_with_the_folder()
    {
        string? why = await Networks().StatusAsync();

        Assert.Contains(Conf, why, StringComparison.Ordinal);
    }

    private CniPod Pod() => new() { Id = "pod1", NamespacePath = _pod, Namespace = "ns", Name = "name", Uid = "uid" };

    private CniNetworks Networks(TimeSpan? limit = null) => new(new CniOptions
    {
        PluginFolders = [Path.Combine(_hosts.Folder, "none"), Plugins],
        ConfFolder = Conf,
        CacheFolder = Cache,
        Default = null,
        TimeLimit = limit ?? TimeSpan.FromMinutes(5),
    });

    private void Network(string version, params (string Type, string? Capabilities)[] plugins) => File.WriteAllText(
        Path.Combine(Conf, "10-test.conflist"),
        $$"""
        {"cniVersion": "{{version}}", "name": "pods", "plugins": [{{string.Join(',', plugins.Select(static plugin =>
            $$"""{"type": "{{plugin.Type}}", "capabilities": {{plugin.Capabilities ?? "{}"}}}"""))}}]}
        """);

    // Calls are counted by the file that says who was called.
    private void Plugin(string type, string body)
    {
        Directory.CreateDirectory(Calls);
        string path = Path.Combine(Plugins, type);
        ProgramFile.Write(path, $"""
            #!/bin/sh
            CALLS={Calls}
            echo "$CNI_COMMAND {type}" >> "$CALLS/order"
            n=$(wc -l < "$CALLS/order")
            env > "$CALLS/$n.env"
            cat > "$CALLS/$n.in"
            {body}
            """);
    }

    private IReadOnlyList<string> Called() =>
        File.Exists(Path.Combine(Calls, "order")) ? File.ReadAllLines(Path.Combine(Calls, "order")) : [];

    private JsonObject Input(int call) => JsonNode.Parse(File.ReadAllText(Path.Combine(Calls, $"{call}.in")))!.AsObject();
}
