using System.Text;
using Hearth.Linux;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api;
using Hearth.Vmm.Api.Http;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Telemetry;

namespace Hearth.Vmm.Tests.Api;

/// <summary>What other processes serve: /filesystems, and /drives with a socket.</summary>
public sealed class FilesystemsTests : IDisposable
{
    private const string InvalidConfig = "Drive config error: Unable to create the virtio block device: Invalid block config.";

    private readonly FakeMachine _machine = new();
    private readonly Logger _log = new("test");
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-fs-").FullName;
    private readonly UnixListener _backEnd;
    private VmResources _resources;
    private VmmController _controller;

    public FilesystemsTests()
    {
        _backEnd = UnixListener.Bind(Socket, 1);
        _resources = new VmResources(new InstanceOptions(), _log);
        _controller = new VmmController(new PrebootController(_resources, _machine));
    }

    private string Socket => Path.Combine(_folder, "socket");

    public void Dispose()
    {
        _backEnd.Dispose();
        _log.Dispose();
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void A_file_system_is_configured_shown_and_needs_shared_memory()
    {
        Assert.DoesNotContain("filesystems", Config(), StringComparison.Ordinal);
        Assert.IsType<VmmEmpty>(Put("/filesystems/data", $$"""{"tag":"data","socket":"{{Socket}}"}"""));
        Assert.Contains($$"""
            "filesystems":[{"tag":"data","socket":"{{Socket}}"}]
            """, Config(), StringComparison.Ordinal);
        Assert.True(Assert.Single(_resources.Devices<IDeviceConfig>()).NeedsSharedMemory);
        // To look whether it is there was no connection.
        Assert.Null(_backEnd.TryAccept());
    }

    [Fact]
    public void What_cannot_be_a_file_system_is_refused()
    {
        Assert.Equal("The tag from the path does not match the tag from the body!", Fault("/filesystems/a", $$"""{"tag":"b","socket":"{{Socket}}"}"""));
        string longest = new('x', 36);
        Assert.IsType<VmmEmpty>(Put($"/filesystems/{longest}", $$"""{"tag":"{{longest}}","socket":"{{Socket}}"}"""));
        Assert.Contains("1 to 36 bytes", Fault($"/filesystems/{longest}x", $$"""{"tag":"{{longest}}x","socket":"{{Socket}}"}"""), StringComparison.Ordinal);
        Assert.Contains("missing field `socket`", Fault("/filesystems/a", """{"tag":"a"}"""), StringComparison.Ordinal);
        Assert.Contains("unknown field `path`", Fault("/filesystems/a", """{"tag":"a","path":"x"}"""), StringComparison.Ordinal);
        Assert.EndsWith(
            "No such file or directory (os error 2). Start virtiofsd first.", Fault("/filesystems/a", $$"""{"tag":"a","socket":"{{Socket}}-not"}"""), StringComparison.Ordinal);
        Assert.Contains("Connection refused (os error 111)", Fault("/filesystems/a", $$"""{"tag":"a","socket":"{{_folder}}"}"""), StringComparison.Ordinal);
    }

    [Fact]
    public void Strictly_there_are_no_file_systems()
    {
        _resources = new VmResources(new InstanceOptions { StrictFirecracker = true }, _log);
        _controller = new VmmController(new PrebootController(_resources, _machine));
        Assert.Contains("--strict-firecracker", Fault("/filesystems/data", $$"""{"tag":"data","socket":"{{Socket}}"}"""), StringComparison.Ordinal);
        Assert.DoesNotContain("filesystems", Config(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_drive_by_a_socket_is_configured_shown_and_needs_shared_memory()
    {
        Assert.IsType<VmmEmpty>(Put("/drives/a", $$"""{"drive_id":"a","is_root_device":true,"cache_type":"Writeback","socket":"{{Socket}}"}"""));
        Assert.Contains($$"""
            {"drive_id":"a","partuuid":null,"is_root_device":true,"cache_type":"Writeback","is_read_only":null,"path_on_host":null,"rate_limiter":null,"io_engine":null,"socket":"{{Socket}}"}
            """, Config(), StringComparison.Ordinal);
        Assert.True(Assert.Single(_resources.Devices<IDeviceConfig>()).NeedsSharedMemory);
    }

    [Theory]
    [InlineData("")]
    [InlineData(""", "path_on_host":"/x", "socket":"/x" """)]
    [InlineData(""", "socket":"/x", "is_read_only":false """)]
    [InlineData(""", "socket":"/x", "io_engine":"Sync" """)]
    [InlineData(""", "socket":"/x", "rate_limiter":{} """)]
    public void A_drive_is_a_file_or_a_socket_and_not_both(string fields) =>
        Assert.Equal(InvalidConfig, Fault("/drives/a", $$"""{"drive_id":"a","is_root_device":false{{fields}}}"""));

    [Fact]
    public void A_drive_whose_back_end_is_not_there_is_refused_in_Firecracker_s_words() => Assert.Equal(
        "Drive config error: Unable to create the virtio block device: Vhost user backend error: Vhost-user error: Failed to connect to UDS Unix stream: No such file or directory (os error 2)",
        Fault("/drives/a", $$"""{"drive_id":"a","is_root_device":false,"socket":"{{Socket}}-not"}"""));

    [Fact]
    public void A_patch_makes_a_drive_by_a_socket_ask_its_back_end_and_takes_nothing_else()
    {
        Put("/drives/a", $$"""{"drive_id":"a","is_root_device":false,"socket":"{{Socket}}"}""");
        Put("/boot-source", $$"""{"kernel_image_path":"{{Environment.ProcessPath}}"}""");
        Assert.IsType<VmmEmpty>(Put("/actions", """{"action_type":"InstanceStart"}"""));
        Assert.IsType<VmmEmpty>(Run("PATCH", "/drives/a", """{"drive_id":"a"}"""));
        Assert.Contains("update a  ", _machine.Calls);
        string fault = Assert.IsType<VmmFault>(Run("PATCH", "/drives/a", """{"drive_id":"a","path_on_host":"/x"}""")).Message;
        Assert.Contains("Running method expected different backend.", fault, StringComparison.Ordinal);
    }

    private string Fault(string path, string body) => Assert.IsType<VmmFault>(Put(path, body)).Message;

    private string Config() =>
        Encoding.UTF8.GetString(HttpResponse.From(RouteTable.Handle(new HttpRequest("GET", "/vm/config", [], true), _controller.Run, _resources.Metrics), keepAlive: true));

    private VmmResponse Put(string path, string body) => Run("PUT", path, body);

    private VmmResponse Run(string method, string path, string body) =>
        RouteTable.Handle(new HttpRequest(method, path, Encoding.UTF8.GetBytes(body), true), _controller.Run, _resources.Metrics);
}
