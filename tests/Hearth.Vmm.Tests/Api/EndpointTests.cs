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
    private readonly VmmController _controller;
    private readonly string _folder = Directory.CreateTempSubdirectory("hearth-api-").FullName;

    public EndpointTests() => _controller = new VmmController(new PrebootController(new VmResources(new InstanceOptions { Id = "abc" }, _log), _machine));

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
        Assert.Contains("\"vcpu_count\":2,\"mem_size_mib\":512", Body("GET", "/machine-config"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_kernel_disk_or_initrd_is_refused_when_it_is_named()
    {
        string missing = Path.Combine(_folder, "none");
        Assert.Equal(
            $"The kernel file cannot be opened: No such file or directory (os error 2) {missing}",
            Fault("PUT", "/boot-source", $$"""{"kernel_image_path":"{{missing}}"}"""));
        Assert.StartsWith(
            "The initrd file cannot be opened due to invalid path or invalid permissions. ",
            Fault("PUT", "/boot-source", $$"""{"kernel_image_path":"{{Kernel}}","initrd_path":"{{missing}}"}"""),
            StringComparison.Ordinal);
        Assert.StartsWith(
            "Unable to create the virtio block device: Virtio backend error: Error manipulating the backing file: No such file or directory (os error 2)",
            Fault("PUT", "/drives/a", $$"""{"drive_id":"a","path_on_host":"{{missing}}","is_root_device":false}"""),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_second_root_drive_is_refused_and_the_same_one_may_be_given_again()
    {
        Done("PUT", "/drives/a", $$"""{"drive_id":"a","path_on_host":"{{Disk}}","is_root_device":true}""");
        Assert.Equal("A root block device already exists!", Fault("PUT", "/drives/b", $$"""{"drive_id":"b","path_on_host":"{{Disk}}","is_root_device":true}"""));
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
        Assert.Equal("There is no drive with the id b.", Fault("PATCH", "/drives/b", """{"drive_id":"b"}"""));
    }

    [Fact]
    public void The_entropy_device_is_configured_once_with_its_limits()
    {
        Done("PUT", "/entropy", "{}");
        Done("PUT", "/entropy", """{"rate_limiter":{"bandwidth":{"size":1000,"refill_time":100} } }""");
        Assert.Contains("\"entropy\":{\"rate_limiter\":{\"bandwidth\":{\"size\":1000,\"refill_time\":100}}}", Body("GET", "/vm/config"), StringComparison.Ordinal);
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
    public void No_body_makes_an_endpoint_throw()
    {
        Gen<string> value = OneOf("1", "-1", "\"x\"", "true", "null", "{}", "[]", "[{}]", "1e99", "\"\\u0000\"", "18446744073709551616", "nul", "");
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

            RouteTable.Handle(new HttpRequest(m, p, Encoding.UTF8.GetBytes(body), true), _controller.Run);
        });
    }

    private static Gen<string> OneOf(params string[] choices) => Gen.Int[0, choices.Length - 1].Select(i => choices[i]);

    private void Start()
    {
        Done("PUT", "/boot-source", $$"""{"kernel_image_path":"{{Kernel}}"}""");
        Done("PUT", "/actions", """{"action_type":"InstanceStart"}""");
    }

    private VmmResponse Run(string method, string path, string body) =>
        RouteTable.Handle(new HttpRequest(method, path, Encoding.UTF8.GetBytes(body), true), _controller.Run);

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
