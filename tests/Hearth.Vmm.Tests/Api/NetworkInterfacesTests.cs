using System.Text;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api;
using Hearth.Vmm.Api.Http;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Telemetry;

namespace Hearth.Vmm.Tests.Api;

public sealed class NetworkInterfacesTests : IDisposable
{
    private const string Malformed = "An error occurred when deserializing the json body of a request: ";

    private readonly FakeMachine _machine = new();
    private readonly Logger _log = new("test");
    private readonly VmResources _resources;
    private readonly VmmController _controller;
    private readonly string _tap = $"hvm{Environment.ProcessId % 100_000}";

    public NetworkInterfacesTests()
    {
        _resources = new VmResources(new InstanceOptions { Id = "abc" }, _log);
        _controller = new VmmController(new PrebootController(_resources, _machine));
    }

    public void Dispose() => _log.Dispose();

    [Theory]
    [InlineData("""{"iface_id":"b","host_dev_name":"tap0"}""", "The id from the path does not match the id from the body!")]
    [InlineData("""{"iface_id":"a"}""", Malformed + "missing field `host_dev_name`")]
    [InlineData("""{"iface_id":"a","host_dev_name":"tap0","guest_mac":"06:00"}""", Malformed + "The provided MAC address is invalid.")]
    [InlineData("""{"iface_id":"a","host_dev_name":"tap0","mtu":67}""", Malformed + "invalid value: integer `67`, expected an mtu of 68 to 65535.")]
    [InlineData("""{"iface_id":"a","host_dev_name":"tap0","mtu":65536}""", Malformed + "invalid value: integer `65536`, expected u16")]
    [InlineData("""{"iface_id":"a","host_dev_name":"a-name-of-sixteen"}""", "Could not create the network device: Open tap device failed: Invalid interface name.")]
    public void What_cannot_be_is_refused(string body, string expected) => Assert.StartsWith(expected, Fault("PUT", "a", body), StringComparison.Ordinal);

    [Fact]
    public void Two_interfaces_share_neither_address_nor_tap()
    {
        SkipWithoutTap();
        Done("PUT", "a", $$"""{"iface_id":"a","host_dev_name":"{{_tap}}","guest_mac":"06:00:AC:10:00:02","mtu":1400}""");
        Assert.Equal(
            "The MAC address is already in use: 06:00:ac:10:00:02",
            Fault("PUT", "b", $$"""{"iface_id":"b","host_dev_name":"{{_tap}}b","guest_mac":"06:00:ac:10:00:02"}"""));
        Assert.Contains("is taken by interface a", Fault("PUT", "b", $$"""{"iface_id":"b","host_dev_name":"{{_tap}}"}"""), StringComparison.Ordinal);
        Done("PUT", "a", $$"""{"iface_id":"a","host_dev_name":"{{_tap}}","guest_mac":"06:00:ac:10:00:02","mtu":1400}""");
        Assert.Contains(
            $$"""network-interfaces":[{"iface_id":"a","host_dev_name":"{{_tap}}","guest_mac":"06:00:ac:10:00:02","mtu":1400,"rx_rate_limiter":null,"tx_rate_limiter":null}]""",
            Send("GET", "/vm/config", string.Empty),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_running_machines_limits_change_bucket_by_bucket()
    {
        SkipWithoutTap();
        const string Limiter = """{"bandwidth":{"size":5,"refill_time":6}}""";
        Done("PUT", "a", $$"""{"iface_id":"a","host_dev_name":"{{_tap}}","rx_rate_limiter":{{Limiter}} }""");
        Assert.Equal("The requested operation is not supported before starting the microVM.", Fault("PATCH", "a", """{"iface_id":"a"}"""));
        Send("PUT", "/boot-source", $$"""{"kernel_image_path":"{{Environment.ProcessPath}}"}""");
        Send("PUT", "/actions", """{"action_type":"InstanceStart"}""");
        Done("PATCH", "a", """{"iface_id":"a","rx_rate_limiter":{"ops":{"size":9,"refill_time":100}}}""");
        Assert.Equal("update a rx 9 tx ", _machine.Calls[^1]);
        Assert.Contains(
            """rx_rate_limiter":{"bandwidth":{"size":5,"one_time_burst":null,"refill_time":6},"ops":{"size":9,"one_time_burst":null,"refill_time":100}}""",
            Send("GET", "/vm/config", string.Empty),
            StringComparison.Ordinal);
        Assert.Equal("There is no network interface with the id b.", Fault("PATCH", "b", """{"iface_id":"b"}"""));
        Assert.Contains("unknown field `host_dev_name`", Fault("PATCH", "a", """{"iface_id":"a","host_dev_name":"x"}"""), StringComparison.Ordinal);
    }

    private static void SkipWithoutTap() =>
        Assert.SkipUnless(File.Exists("/dev/net/tun") && Environment.IsPrivilegedProcess, "makes a TAP: needs /dev/net/tun and CAP_NET_ADMIN");

    private void Done(string method, string id, string body) =>
        Assert.Same(VmmResponse.Empty, Handle(method, $"/network-interfaces/{id}", body));

    private string Fault(string method, string id, string body) =>
        Assert.IsType<VmmFault>(Handle(method, $"/network-interfaces/{id}", body)).Message;

    private VmmResponse Handle(string method, string path, string body) =>
        RouteTable.Handle(new HttpRequest(method, path, Encoding.UTF8.GetBytes(body), KeepAlive: true), _controller.Run, _resources.Metrics);

    private string Send(string method, string path, string body) =>
        Encoding.UTF8.GetString(HttpResponse.From(Handle(method, path, body), keepAlive: true));
}
