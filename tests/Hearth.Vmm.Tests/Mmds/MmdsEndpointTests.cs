using System.Text;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api;
using Hearth.Vmm.Api.Http;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Mmds;
using Hearth.Vmm.Telemetry;

namespace Hearth.Vmm.Tests.Mmds;

public sealed class MmdsEndpointTests : IDisposable
{
    private readonly Logger _log = new("test");
    private readonly VmResources _resources;
    private readonly VmmController _controller;

    public MmdsEndpointTests()
    {
        _resources = new VmResources(new InstanceOptions { MmdsSizeLimit = 64 }, _log);
        _resources.PutDevice(new NetworkInterfaceConfig { IfaceId = "eth0", HostDevName = "tap0" });
        _resources.BootSource = new BootSourceConfig { KernelImagePath = "/none" };
        _controller = new VmmController(new PrebootController(_resources, new FakeBuilder()));
    }

    public void Dispose() => _log.Dispose();

    [Fact]
    public void Metadata_is_put_patched_and_shown()
    {
        Assert.Equal((200, "{}"), Ask("GET", "/mmds"));
        Assert.Equal((400, """{"fault_message":"MMDS error: The MMDS data store is not initialized."}"""), Ask("PATCH", "/mmds", """{"a":1}"""));
        Assert.Equal((204, ""), Ask("PUT", "/mmds", """{ "b": "é<>", "a": {"x":1, "y":2} }"""));
        Assert.Equal((204, ""), Ask("PATCH", "/mmds", """{"a":{"x":null}}"""));
        Assert.Equal((200, """{"a":{"y":2},"b":"é<>"}"""), Ask("GET", "/mmds"));
    }

    [Theory]
    [InlineData("PUT")]
    [InlineData("PATCH")]
    public void Metadata_past_the_limit_is_413(string method)
    {
        Ask("PUT", "/mmds", "{}");
        Assert.Equal(
            (413, """{"fault_message":"MMDS limit exceeded error: The MMDS patch request doesn't fit."}"""),
            Ask(method, "/mmds", $$"""{"a":"{{new string('x', 64)}}"}"""));
        Assert.Equal((200, "{}"), Ask("GET", "/mmds"));
    }

    [Fact]
    public void Metadata_that_is_not_json_is_400()
    {
        (int status, string body) = Ask("PUT", "/mmds", "{\n\"a\":}");
        Assert.Equal(400, status);
        Assert.StartsWith("""{"fault_message":"An error occurred when deserializing the json body of a request: """, body, StringComparison.Ordinal);
        Assert.Contains("at line 2 column", body, StringComparison.Ordinal);
        Assert.Equal(400, Ask("PUT", "/mmds", "\"\\ud800\"").Status);
    }

    [Fact]
    public void After_the_start_there_is_metadata_only_with_an_interface_to_ask_by()
    {
        Ask("PUT", "/mmds", """{"a":1}""");
        Assert.Equal(204, Ask("PUT", "/actions", """{"action_type":"InstanceStart"}""").Status);
        Assert.Equal((400, """{"fault_message":"MMDS error: The MMDS data store is not initialized."}"""), Ask("GET", "/mmds"));
        Assert.Equal(400, Ask("PUT", "/mmds/config", """{"network_interfaces":["eth0"]}""").Status);
    }

    [Fact]
    public void Metadata_goes_on_after_the_start()
    {
        Ask("PUT", "/mmds/config", """{"network_interfaces":["eth0"],"version":"V2"}""");
        Ask("PUT", "/actions", """{"action_type":"InstanceStart"}""");
        Assert.Equal((204, ""), Ask("PUT", "/mmds", """{"a":1}"""));
        Assert.Equal((200, """{"a":1}"""), Ask("GET", "/mmds"));
    }

    [Fact]
    public void A_configuration_reaches_the_service_and_is_shown()
    {
        Assert.Equal((204, ""), Ask("PUT", "/mmds/config", """{"network_interfaces":["eth0"],"version":"V2","ipv4_address":"169.254.170.2","imds_compat":true}"""));
        Assert.Equal((MmdsVersion.V2, true), (_resources.Metadata.Version, _resources.Metadata.ImdsCompat));
        Assert.Contains(
            """
            "mmds-config":{"version":"V2","network_interfaces":["eth0"],"ipv4_address":"169.254.170.2","imds_compat":true}
            """,
            Ask("GET", "/vm/config").Body,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("V1", true)]
    [InlineData("V2", false)]
    public void Version_1_is_deprecated(string version, bool deprecated)
    {
        string response = Send("PUT", "/mmds/config", $$"""{"network_interfaces":["eth0"],"version":"{{version}}"}""");
        Assert.StartsWith("HTTP/1.1 204 ", response, StringComparison.Ordinal);
        Assert.Equal(deprecated, response.Contains("\r\nDeprecation: true\r\n", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{"network_interfaces":[]}""", "The list of network interface IDs that allow forwarding MMDS requests is empty.")]
    [InlineData("""{"network_interfaces":["eth0","eth1"]}""", "does not correspond to any existing network interface.")]
    [InlineData("""{"network_interfaces":["eth0"],"ipv4_address":"10.0.0.1"}""", "The MMDS IPv4 address is not link local.")]
    [InlineData("""{"network_interfaces":["eth0"],"ipv4_address":"169.254.1"}""", "invalid IPv4 address syntax")]
    [InlineData("""{"network_interfaces":["eth0"],"ipv4_address":"fe80::1"}""", "invalid IPv4 address syntax")]
    [InlineData("""{"network_interfaces":[1]}""", "expected a string")]
    [InlineData("""{"network_interfaces":"eth0"}""", "expected a sequence")]
    [InlineData("""{"version":"V2"}""", "missing field `network_interfaces`")]
    [InlineData("""{"network_interfaces":["eth0"],"version":"V3"}""", "unknown variant `V3`")]
    [InlineData("""{"network_interfaces":["eth0"],"nope":1}""", "unknown field `nope`")]
    public void A_configuration_that_makes_no_sense_is_refused(string body, string why)
    {
        (int status, string fault) = Ask("PUT", "/mmds/config", body);
        Assert.Equal(400, status);
        Assert.Contains(why, fault, StringComparison.Ordinal);
        Assert.Null(_resources.Mmds);
    }

    [Fact]
    public void Metadata_can_come_from_a_file()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, "{\"a\": 1}\n");
            _resources.Metadata.Store.PutFile(path);
            Assert.Equal((200, """{"a":1}"""), Ask("GET", "/mmds"));
            File.WriteAllText(path, "{");
            Assert.Contains(path, Assert.Throws<ConfigurationException>(() => _resources.Metadata.Store.PutFile(path)).Message, StringComparison.Ordinal);
            File.WriteAllText(path, new string(' ', 5000));
            Assert.Throws<MmdsLimitException>(() => _resources.Metadata.Store.PutFile(path));
        }
        finally
        {
            File.Delete(path);
        }

        Assert.Throws<ConfigurationException>(() => _resources.Metadata.Store.PutFile(path));
    }

    private (int Status, string Body) Ask(string method, string path, string body = "")
    {
        string[] parts = Send(method, path, body).Split("\r\n\r\n", 2);
        return (int.Parse(parts[0].Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture), parts[1]);
    }

    private string Send(string method, string path, string body)
    {
        var request = new HttpRequest(method, path, Encoding.UTF8.GetBytes(body), KeepAlive: true);
        return Encoding.UTF8.GetString(HttpResponse.From(RouteTable.Handle(request, _controller.Run, _resources.Metrics), keepAlive: true));
    }

    private sealed class FakeBuilder : IMachineBuilder
    {
        public IVirtualMachine Build(VmResources resources) => new FakeMachine();
    }

    private sealed class FakeMachine : IVirtualMachine
    {
        public VmState State => VmState.Running;

        public void Pause()
        {
        }

        public void Resume()
        {
        }

        public void SendCtrlAltDel()
        {
        }

        public void UpdateDrive(string driveId, string? pathOnHost, RateLimiterConfig? rateLimiter)
        {
        }

        public void UpdateNetworkInterface(string ifaceId, RateLimiterConfig? rxRateLimiter, RateLimiterConfig? txRateLimiter)
        {
        }
    }
}
