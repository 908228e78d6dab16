using System.Text;
using System.Text.Json;
using CsCheck;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api;
using Hearth.Vmm.Api.Http;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Telemetry;

namespace Hearth.Vmm.Tests.Api;

public sealed class EndpointTests : IDisposable
{
    private readonly FakeMachine _machine = new();
    private readonly Logger _log = new("test");
    private readonly VmResources _resources;
    private readonly VmmController _controller;
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-api-").FullName;

    public EndpointTests()
    {
        _resources = new VmResources(new InstanceOptions { Id = "abc" }, _log);
        _controller = new VmmController(new PrebootController(_resources, _machine));
    }

    private string Kernel => TempFile("kernel");

    private string Disk => TempFile("disk");

    public void Dispose()
    {
        _log.Dispose();
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void The_instance_tells_its_state_from_birth_to_pause()
    {
        Assert.Equal("""{"id":"abc","state":"Not started","vmm_version":"1.17.0","app_name":"Firecracker"}""", Body("GET", "/"));
        Start();
        Assert.Contains("\"Running\"", Body("GET", "/"), StringComparison.Ordinal);
        Done("PATCH", "/vm", """{"state":"Paused"}""");
        Assert.Contains("\"Paused\"", Body("GET", "/"), StringComparison.Ordinal);
        Done("PATCH", "/vm", """{"state":"Resumed"}""");
        Assert.Contains("\"Running\"", Body("GET", "/"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("PUT", "/nothing", "", "Empty PUT request.")]
    [InlineData("PATCH", "/nothing", "", "Empty PATCH request.")]
    [InlineData("GET", "/nothing", "{}", "GET request cannot have a body.")]
    [InlineData("DELETE", "/drives/a", "{}", "Empty Delete request.")]
    [InlineData("PUT", "/drives", "{}", "The ID cannot be empty.")]
    [InlineData("PATCH", "/drives", "{}", "The ID cannot be empty.")]
    [InlineData("GET", "/drives", "", "Invalid request method and/or path: GET /drives.")]
    [InlineData("PATCH", "/boot-source", "{}", "Invalid request method and/or path: PATCH /boot-source.")]
    [InlineData("PATCH", "/logger", "{}", "Invalid request method and/or path: PATCH /logger.")]
    [InlineData("GET", "/nothing", "", "Invalid request method and/or path: GET /nothing.")]
    [InlineData("PUT", "/", "{}", "Invalid request method and/or path: PUT /.")]
    [InlineData("DELETE", "/machine-config", "", "Invalid request method and/or path: DELETE /machine-config.")]
    [InlineData("GET", "/machine-config", "{}", "GET request cannot have a body.")]
    [InlineData("PUT", "/machine-config", "", "Empty PUT request.")]
    [InlineData("PATCH", "/machine-config", "", "Empty PATCH request.")]
    [InlineData("PATCH", "/machine-config", "{}", "Empty PATCH request.")]
    [InlineData("PUT", "/drives/", "{}", "The ID cannot be empty.")]
    [InlineData("PUT", "/drives/a-b", "{}", "API Resource IDs can only contain alphanumeric characters and underscores.")]
    [InlineData("PUT", "/drives/a", """{"drive_id":"b","path_on_host":"x","is_root_device":true}""", "The id from the path does not match the id from the body!")]
    [InlineData("PUT", "/actions", """{"action_type":"InstanceStart"}""", "Start microvm error: Cannot start microvm without kernel configuration.")]
    [InlineData("PUT", "/actions", """{"action_type":"SendCtrlAltDel"}""", "The requested operation is not supported before starting the microVM.")]
    [InlineData("PATCH", "/vm", """{"state":"Paused"}""", "The requested operation is not supported before starting the microVM.")]
    [InlineData("PATCH", "/drives/a", """{"drive_id":"a"}""", "The requested operation is not supported before starting the microVM.")]
    public void What_cannot_be_is_answered_in_firecrackers_words(string method, string path, string body, string expected) =>
        Assert.Equal(expected, Fault(method, path, body));

    [Theory]
    [InlineData("/machine-config", """{"vcpu_count":1}""", "missing field `mem_size_mib` at line 1 column 16.")]
    [InlineData("/machine-config", """{"mem_size_mib":128}""", "missing field `vcpu_count` at line 1 column 20.")]
    [InlineData("/machine-config", """{"vcpu_count":"four","mem_size_mib":128}""", "invalid type: string \"four\", expected u8 at line 1 column 20.")]
    [InlineData("/machine-config", """{"vcpu_count":256,"mem_size_mib":128}""", "invalid value: integer `256`, expected u8")]
    [InlineData("/machine-config", """{"vcpu_count":-1,"mem_size_mib":128}""", "invalid value: integer `-1`, expected u8")]
    [InlineData("/machine-config", """{"vcpu_count":1.5,"mem_size_mib":128}""", "invalid type: floating point `1.5`, expected u8")]
    [InlineData("/boot-source", """{"kernel_image_path":"\ud800"}""", " at line 1 column")]
    [InlineData("/machine-config", """{"vcpus":1}""", "unknown field `vcpus`, expected one of `vcpu_count`, `mem_size_mib`")]
    [InlineData("/machine-config", """{"vcpu_count":1,"vcpu_count":2,"mem_size_mib":128}""", "duplicate field `vcpu_count`")]
    [InlineData("/boot-source", """{"kernel_image_path":7}""", "invalid type: integer `7`, expected a string")]
    [InlineData("/machine-config", """{"vcpu_count":1,"mem_size_mib":18446744073709551616}""", "invalid type: floating point `18446744073709551616`, expected usize")]
    [InlineData("/machine-config", """{"vcpu_count":1e400,"mem_size_mib":1}""", "invalid type: floating point `1e400`, expected u8")]
    [InlineData("/machine-config", """{"vcpu_count":null,"mem_size_mib":1}""", "invalid type: null, expected u8")]
    [InlineData("/machine-config", """{"vcpu_count":1,"mem_size_mib":1,"cpu_template":"T3"}""", "unknown variant `T3`, expected one of `C3`, `T2`, `T2S`, `T2CL`, `T2A`, `None`")]
    [InlineData("/mmds/config", """{"version":"foo","network_interfaces":["1"]}""", "unknown variant `foo`, expected `V1` or `V2` at line 1 column 16.")]
    [InlineData("/boot-source", """{"kernel_image_path":"\ud800"}""", "lone leading surrogate in hex escape")]
    [InlineData("/boot-source", """{"\ud800":1}""", "lone leading surrogate in hex escape")]
    [InlineData("/drives/a", """{"drive_id":"a","path_on_host":"x","is_root_device":true,"rate_limiter":{"ops":{"\udc00":1} } }""", "lone leading surrogate in hex escape")]
    [InlineData("/mmds/config", """{"network_interfaces":["\ud800"]}""", "lone leading surrogate in hex escape")]
    [InlineData("/boot-source", "\"\\ud800\"", "lone leading surrogate in hex escape")]
    [InlineData("/boot-source", "[]", "invalid type: sequence, expected an object")]
    [InlineData("/boot-source", "{} {}", "trailing characters")]
    [InlineData("/boot-source", "{", "at line 1 column 1.")]
    [InlineData("/boot-source", "{\n\"x\":1}", "unknown field `x`, expected one of `kernel_image_path`, `initrd_path`, `boot_args` at line 2 column")]
    [InlineData("/actions", """{"action_type":"Fly"}""", "unknown variant `Fly`, expected one of `FlushMetrics`, `InstanceStart`, `SendCtrlAltDel`")]
    public void A_wrong_body_is_told_what_is_wrong_and_where(string path, string body, string expected)
    {
        string fault = Fault("PUT", path, body);
        Assert.StartsWith("An error occurred when deserializing the json body of a request: ", fault, StringComparison.Ordinal);
        Assert.Contains(expected, fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"vcpu_count":0,"mem_size_mib":128}""")]
    [InlineData("""{"vcpu_count":33,"mem_size_mib":128}""")]
    [InlineData("""{"vcpu_count":3,"mem_size_mib":128,"smt":true}""")]
    [InlineData("""{"vcpu_count":1,"mem_size_mib":0}""")]
    [InlineData("""{"vcpu_count":1,"mem_size_mib":129,"huge_pages":"2M"}""")]
    public void A_machine_out_of_bounds_is_refused_and_the_old_one_stays(string body)
    {
        Assert.StartsWith("Machine config error: The ", Fault("PUT", "/machine-config", body), StringComparison.Ordinal);
        Assert.Contains("\"vcpu_count\":1,\"mem_size_mib\":128", Body("GET", "/machine-config"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_patch_changes_only_what_it_names()
    {
        Done("PUT", "/machine-config", """{"vcpu_count":2,"mem_size_mib":256}""");
        Done("PATCH", "/machine-config", """{"mem_size_mib":512}""");
        Done("PATCH", "/machine-config", """{"huge_pages":"2M"}""");
        Assert.Contains("\"vcpu_count\":2,\"mem_size_mib\":512", Body("GET", "/machine-config"), StringComparison.Ordinal);
        Assert.Contains("\"huge_pages\":\"2M\"", Body("GET", "/machine-config"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_kernel_disk_or_initrd_is_refused_when_it_is_named()
    {
        string missing = Path.Combine(_folder, "none");
        Assert.Equal(
            $"Boot source error: The kernel file cannot be opened: No such file or directory (os error 2) {missing}",
            Fault("PUT", "/boot-source", $$"""{"kernel_image_path":"{{missing}}"}"""));
        Assert.StartsWith(
            "Boot source error: The initrd file cannot be opened due to invalid path or invalid permissions. ",
            Fault("PUT", "/boot-source", $$"""{"kernel_image_path":"{{Kernel}}","initrd_path":"{{missing}}"}"""),
            StringComparison.Ordinal);
        Assert.StartsWith(
            "Drive config error: Unable to create the virtio block device: Virtio backend error: Error manipulating the backing file: No such file or directory (os error 2)",
            Fault("PUT", "/drives/a", $$"""{"drive_id":"a","path_on_host":"{{missing}}","is_root_device":false}"""),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_second_root_drive_is_refused_and_the_same_one_may_be_given_again()
    {
        Done("PUT", "/drives/a", $$"""{"drive_id":"a","path_on_host":"{{Disk}}","is_root_device":true}""");
        Assert.Equal("Drive config error: A root block device already exists!", Fault("PUT", "/drives/b", $$"""{"drive_id":"b","path_on_host":"{{Disk}}","is_root_device":true}"""));
        Done("PUT", "/drives/a", $$"""{"drive_id":"a","path_on_host":"{{Disk}}","is_root_device":true,"is_read_only":true}""");
        using JsonDocument config = JsonDocument.Parse(Body("GET", "/vm/config"));
        JsonElement drive = Assert.Single(config.RootElement.GetProperty("drives").EnumerateArray());
        Assert.True(drive.GetProperty("is_read_only").GetBoolean());
    }

    [Fact]
    public void The_root_drive_comes_first_whenever_it_was_given()
    {
        Done("PUT", "/drives/data", $$"""{"drive_id":"data","path_on_host":"{{Disk}}","is_root_device":false}""");
        Done("PUT", "/drives/root", $$"""{"drive_id":"root","path_on_host":"{{Disk}}","is_root_device":true}""");
        using JsonDocument config = JsonDocument.Parse(Body("GET", "/vm/config"));
        Assert.Equal(["root", "data"], config.RootElement.GetProperty("drives").EnumerateArray().Select(d => d.GetProperty("drive_id").GetString()!));
    }

    [Theory]
    [InlineData("PUT", "/boot-source", """{"kernel_image_path":"/x"}""")]
    [InlineData("PUT", "/machine-config", """{"vcpu_count":2,"mem_size_mib":128}""")]
    [InlineData("PATCH", "/machine-config", """{"vcpu_count":2}""")]
    [InlineData("PUT", "/drives/z", """{"drive_id":"z","path_on_host":"/x","is_root_device":false}""")]
    [InlineData("PUT", "/serial", "{}")]
    [InlineData("PUT", "/logger", "{}")]
    [InlineData("PUT", "/actions", """{"action_type":"InstanceStart"}""")]
    public void After_the_start_what_must_come_before_is_refused(string method, string path, string body)
    {
        Start();
        Assert.Equal("The requested operation is not supported after starting the microVM.", Fault(method, path, body));
    }

    [Fact]
    public void A_start_that_fails_says_why_and_may_be_tried_again()
    {
        Done("PUT", "/boot-source", $$"""{"kernel_image_path":"{{Kernel}}"}""");
        _machine.Failure = "No luck.";
        Assert.Equal("Start microvm error: No luck.", Fault("PUT", "/actions", """{"action_type":"InstanceStart"}"""));
        Done("PUT", "/actions", """{"action_type":"InstanceStart"}""");
        Assert.Equal(["build"], _machine.Calls);
    }

    [Fact]
    public void A_running_machine_takes_keys_and_a_drives_new_file_and_limits()
    {
        Done("PUT", "/drives/a", $$"""{"drive_id":"a","path_on_host":"{{Disk}}","is_root_device":false}""");
        Start();
        Done("PUT", "/actions", """{"action_type":"SendCtrlAltDel"}""");
        string other = TempFile("other");
        Done("PATCH", "/drives/a", $"{{\"drive_id\":\"a\",\"path_on_host\":\"{other}\",\"rate_limiter\":{{\"ops\":{{\"size\":9,\"refill_time\":100}}}}}}");
        Assert.Equal(["build", "ctrl-alt-del", $"update a {other} 9"], _machine.Calls);
        Assert.Contains(other, Body("GET", "/vm/config"), StringComparison.Ordinal);
        Assert.Equal(
            "Drive config error: Unable to patch the block device: There is no drive with the id b. Please verify the request arguments.",
            Fault("PATCH", "/drives/b", """{"drive_id":"b"}"""));
    }

    [Fact]
    public void The_entropy_device_is_configured_once_with_its_limits()
    {
        Done("PUT", "/entropy", "{}");
        Done("PUT", "/entropy", """{"rate_limiter":{"bandwidth":{"size":1000,"refill_time":100} } }""");
        Assert.Contains("\"entropy\":{\"rate_limiter\":{\"bandwidth\":{\"size\":1000,\"one_time_burst\":null,\"refill_time\":100},\"ops\":null}}", Body("GET", "/vm/config"), StringComparison.Ordinal);
        Start();
        Assert.Equal("The requested operation is not supported after starting the microVM.", Fault("PUT", "/entropy", "{}"));
    }

    [Fact]
    public void Every_part_of_the_contract_that_is_missing_says_so()
    {
        foreach (string path in new[] { "/balloon", "/cpu-config", "/snapshot/create", "/snapshot/load", "/hotplug/memory", "/pmem/x" })
        {
            Assert.EndsWith("is not supported by hearth-vmm yet.", Fault("PUT", path, "{}"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_whole_configuration_has_every_key_with_null_for_what_is_not_there()
    {
        Done("PUT", "/boot-source", $$"""{"kernel_image_path":"{{Kernel}}"}""");
        Done("PUT", "/drives/a", $$"""{"drive_id":"a","path_on_host":"{{Disk}}","is_root_device":true}""");
        using JsonDocument given = JsonDocument.Parse(Body("GET", "/vm/config"));
        using JsonDocument expected = JsonDocument.Parse($$"""
            {
              "boot-source": {"kernel_image_path": "{{Kernel}}", "initrd_path": null, "boot_args": null},
              "drives": [{
                "drive_id": "a", "partuuid": null, "is_root_device": true, "cache_type": "Unsafe", "is_read_only": false,
                "path_on_host": "{{Disk}}", "rate_limiter": null, "io_engine": "Sync", "socket": null
              }],
              "machine-config": {"vcpu_count": 1, "mem_size_mib": 128, "smt": false, "track_dirty_pages": false, "huge_pages": "None"},
              "cpu-config": null, "balloon": null, "vsock": null, "logger": null, "metrics": null, "mmds-config": null,
              "entropy": null, "memory-hotplug": null, "network-interfaces": [], "pmem": []
            }
            """);
        foreach (JsonProperty section in expected.RootElement.EnumerateObject())
        {
            Assert.True(JsonElement.DeepEquals(section.Value, given.RootElement.GetProperty(section.Name)), section.Name);
        }
    }

    [Theory]
    [InlineData("PUT", """{"vcpu_count":2,"mem_size_mib":256,"cpu_template":"None"}""")]
    [InlineData("PATCH", """{"cpu_template":"None"}""")]
    public void A_cpu_template_is_answered_as_deprecated(string method, string body) =>
        Assert.True(Assert.IsType<VmmEmpty>(Run(method, "/machine-config", body)).IsDeprecated);

    [Fact]
    public void A_cpu_template_that_changes_the_guest_is_refused_for_now() => Assert.Contains(
        "T2S is not supported by hearth-vmm yet",
        Fault("PUT", "/machine-config", """{"vcpu_count":2,"mem_size_mib":256,"cpu_template":"T2S"}"""),
        StringComparison.Ordinal);

    [Theory]
    [InlineData(new byte[] { 0xff })]
    [InlineData(new byte[] { (byte)'{', (byte)'"', 0xff, (byte)'"', (byte)':', (byte)'1', (byte)'}' })]
    [InlineData(new byte[] { (byte)'{', (byte)'"', 0xc3, (byte)'"', (byte)':', (byte)'1', (byte)'}' })]
    public void Bytes_that_are_no_text_are_refused(byte[] body)
    {
        VmmResponse response = RouteTable.Handle(new HttpRequest("PUT", "/boot-source", body, true), _controller.Run, _resources.Metrics);
        Assert.Contains("invalid unicode code point", Assert.IsType<VmmFault>(response).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_path_with_a_nul_does_not_open_the_file_before_it() => Assert.Contains(
        "Invalid argument (os error 22)",
        Fault("PUT", "/boot-source", $$"""{"kernel_image_path":"{{Kernel}}\u0000.bin"}"""),
        StringComparison.Ordinal);

    [Fact]
    public void Memory_that_no_host_has_is_taken_and_refused_at_the_start_only() =>
        Done("PATCH", "/machine-config", """{"mem_size_mib":18446744073709551615}""");

    [Fact]
    public void A_vsock_device_is_checked_when_it_is_asked_for()
    {
        string path = Path.Combine(_folder, "v.sock");
        Assert.Contains("guest_cid is 2", Fault("PUT", "/vsock", $$"""{"guest_cid":2,"uds_path":"{{path}}"}"""), StringComparison.Ordinal);
        Assert.Contains("guest_cid is 4294967295", Fault("PUT", "/vsock", $$"""{"guest_cid":4294967295,"uds_path":"{{path}}"}"""), StringComparison.Ordinal);
        Assert.Contains("expected u32", Fault("PUT", "/vsock", $$"""{"guest_cid":4294967296,"uds_path":"{{path}}"}"""), StringComparison.Ordinal);
        Assert.Contains("exists already", Fault("PUT", "/vsock", $$"""{"guest_cid":3,"uds_path":"{{Disk}}"}"""), StringComparison.Ordinal);
        Assert.Contains("there is no folder", Fault("PUT", "/vsock", $$"""{"guest_cid":3,"uds_path":"{{path}}/no/v.sock"}"""), StringComparison.Ordinal);
        Assert.Contains("may have 1 to 96", Fault("PUT", "/vsock", $$"""{"guest_cid":3,"uds_path":"/{{new string('x', 96)}}"}"""), StringComparison.Ordinal);
        Done("PUT", "/vsock", $$"""{"guest_cid":3,"uds_path":"{{path}}"}""");
        Assert.True(Run("PUT", "/vsock", $$"""{"vsock_id":"v","guest_cid":4,"uds_path":"{{path}}"}""").IsDeprecated);
        Assert.Contains($$$"""vsock":{"guest_cid":4,"uds_path":"{{{path}}}"}""", Body("GET", "/vm/config"), StringComparison.Ordinal);
        Start();
        Assert.Equal("The requested operation is not supported after starting the microVM.", Fault("PUT", "/vsock", $$"""{"guest_cid":3,"uds_path":"{{path}}"}"""));
    }

    [Fact]
    public void Metrics_count_each_request_and_its_failure_and_are_flushed_on_demand()
    {
        string file = Path.Combine(_folder, "metrics");
        Assert.Equal("The requested operation is not supported before starting the microVM.", Fault("PUT", "/actions", """{"action_type":"FlushMetrics"}"""));
        Done("PUT", "/metrics", $$"""{"metrics_path":"{{file}}","emit_id":true,"properties":{"a":"b"} }""");
        Assert.Contains("Reinitialization", Fault("PUT", "/metrics", $$"""{"metrics_path":"{{file}}"}"""), StringComparison.Ordinal);
        Assert.Contains($$$"""metrics":{"metrics_path":"{{{file}}}","emit_id":true,"properties":{"a":"b"}}""", Body("GET", "/vm/config"), StringComparison.Ordinal);
        Fault("PUT", "/drives/a", """{"drive_id":"b","path_on_host":"x","is_root_device":true}""");
        Body("GET", "/");
        Start();
        Assert.Equal("The requested operation is not supported after starting the microVM.", Fault("PUT", "/metrics", $$"""{"metrics_path":"{{file}}"}"""));
        Done("PUT", "/actions", """{"action_type":"FlushMetrics"}""");
        using JsonDocument line = JsonDocument.Parse(Assert.Single(File.ReadAllLines(file)));
        JsonElement put = line.RootElement.GetProperty("put_api_requests");
        Assert.Equal((3, 2), (put.GetProperty("metrics_count").GetInt32(), put.GetProperty("metrics_fails").GetInt32()));
        Assert.Equal((1, 1), (put.GetProperty("drive_count").GetInt32(), put.GetProperty("drive_fails").GetInt32()));
        Assert.Equal((2, 1), (put.GetProperty("actions_count").GetInt32(), put.GetProperty("actions_fails").GetInt32()));
        Assert.Equal(1, line.RootElement.GetProperty("get_api_requests").GetProperty("instance_info_count").GetInt32());
        Assert.Equal("abc", line.RootElement.GetProperty("id").GetString());
    }

    [Fact]
    public void No_body_makes_an_endpoint_throw()
    {
        Gen<string> value = OneOf("1", "-1", "\"x\"", "true", "null", "{}", "[]", "[{}]", "1e99", "1e400", "\"\\u0000\"", "\"\\ud800\"", "[\"\\udfff\"]", "\"Paused\"", "\"\u00e9\"", "18446744073709551616", "nul", "");
        Gen<string> name = OneOf("vcpu_count", "mem_size_mib", "drive_id", "path_on_host", "rate_limiter", "kernel_image_path", "boot_args", "state", "action_type", "level", "log_path", "\\u0041", "");
        Gen<string> path = OneOf("/machine-config", "/drives/x", "/boot-source", "/vm", "/logger", "/serial", "/actions", "/drives/x/y", "//", "/vm/config");
        Gen<string> method = OneOf("GET", "PUT", "PATCH", "DELETE");
        Gen.Select(method, path, Gen.Select(name, value).Array[0, 4]).Sample((m, p, fields) =>
        {
            string body = "{" + string.Join(',', fields.Select(f => $"\"{f.Item1}\":{f.Item2}")) + "}";
            if (body.Contains("log_path", StringComparison.Ordinal))
            {
                // It would make a file of that name.
                return;
            }

            RouteTable.Handle(new HttpRequest(m, p, Encoding.UTF8.GetBytes(body), true), _controller.Run, _resources.Metrics);
        });
    }

    private static Gen<string> OneOf(params string[] choices) => Gen.Int[0, choices.Length - 1].Select(i => choices[i]);

    private void Start()
    {
        Done("PUT", "/boot-source", $$"""{"kernel_image_path":"{{Kernel}}"}""");
        Done("PUT", "/actions", """{"action_type":"InstanceStart"}""");
    }

    private VmmResponse Run(string method, string path, string body) =>
        RouteTable.Handle(new HttpRequest(method, path, Encoding.UTF8.GetBytes(body), true), _controller.Run, _resources.Metrics);

    private void Done(string method, string path, string body) => Assert.Equal(VmmResponse.Empty, Run(method, path, body));

    private string Fault(string method, string path, string body) => Assert.IsType<VmmFault>(Run(method, path, body)).Message;

    private string Body(string method, string path)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            Assert.IsType<VmmPayload>(Run(method, path, string.Empty)).Body.WriteTo(json);
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private string TempFile(string name)
    {
        string path = Path.Combine(_folder, name);
        if (!File.Exists(path))
        {
            File.WriteAllBytes(path, new byte[512]);
        }

        return path;
    }
}
