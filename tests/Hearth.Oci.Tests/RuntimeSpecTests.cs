using System.Text.Json;
using System.Text.Json.Nodes;
using Hearth.Oci.Runtime;

namespace Hearth.Oci.Tests;

public sealed class RuntimeSpecTests
{
    // Each name of the specification that Hearth knows, with a value that is not its default.
    private const string Everything = """
        {
          "ociVersion": "1.2.1",
          "process": {
            "terminal": true, "consoleSize": {"height": 25, "width": 80},
            "user": {"uid": 1, "gid": 2, "umask": 18, "additionalGids": [5, 6]},
            "args": ["sh", "-c", "true"], "env": ["A=b"], "cwd": "/home",
            "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
            "rlimits": [{"type": "RLIMIT_CORE", "soft": 1024, "hard": 18446744073709551615}],
            "noNewPrivileges": true, "apparmorProfile": "p", "oomScoreAdj": 100, "selinuxLabel": "l"
          },
          "root": {"path": "rootfs", "readonly": true},
          "hostname": "h", "domainname": "d",
          "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]}],
          "hooks": {"prestart": [{"path": "/p", "args": ["p"], "env": ["X=y"], "timeout": 3}], "createRuntime": [{"path": "/p", "args": [], "env": []}],
            "createContainer": [{"path": "/p", "args": [], "env": []}], "startContainer": [{"path": "/p", "args": [], "env": []}],
            "poststart": [{"path": "/p", "args": [], "env": []}], "poststop": [{"path": "/p", "args": [], "env": []}]},
          "linux": {
            "namespaces": [{"type": "pid"}, {"type": "network", "path": "/n"}],
            "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 32}], "gidMappings": [{"containerID": 1, "hostID": 1000, "size": 32}],
            "devices": [{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 7}],
            "cgroupsPath": "/my",
            "resources": {
              "devices": [{"allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm"}],
              "memory": {"limit": 1, "reservation": 2, "swap": 3, "disableOOMKiller": true},
              "cpu": {"shares": 1024, "quota": 1000, "period": 500, "cpus": "2-3", "mems": "0-7", "idle": 1},
              "pids": {"limit": 7}, "hugepageLimits": [{"pageSize": "2MB", "limit": 9}], "unified": {"memory.high": "8"}
            },
            "rootfsPropagation": "slave",
            "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64"],
              "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/s", "listenerMetadata": "m",
              "syscalls": [{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "errnoRet": 2,
                "args": [{"index": 1, "value": 2114060288, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}]}]},
            "sysctl": {"net.ipv4.ip_forward": "1"}, "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"], "mountLabel": "ml"
          },
          "annotations": {"a": "b"}
        }
        """;

    [Fact]
    public void Every_name_that_is_known_is_read_and_written()
    {
        byte[] written = RuntimeSpec.Parse(System.Text.Encoding.UTF8.GetBytes(Everything)).ToJson();

        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(Everything), JsonNode.Parse(written)), System.Text.Encoding.UTF8.GetString(written));
    }

    [Fact]
    public void What_is_not_known_is_passed_over()
    {
        RuntimeSpec spec = RuntimeSpec.Parse("""{"ociVersion": "1.3.0", "vm": {"x": 1}, "process": {"args": null}, "linux": {"timeOffsets": {}, "intelRdt": {}}}"""u8);

        Assert.Equal("1.3.0", spec.OciVersion);
        Assert.Empty(spec.Mounts);
        Assert.Equal((0, "/"), (spec.Process!.Args.Count, spec.Process.Cwd));
    }

    [Theory]
    [InlineData("null")]
    [InlineData("{\"ociVersion\": \"2.0.0\"}")]
    [InlineData("{\"ociVersion\": \"\"}")]
    [InlineData("[]")]
    [InlineData("{\"process\": {\"args\": \"sh\"}}")]
    [InlineData("{\"mounts\": [{\"type\": \"proc\"}]}")]
    [InlineData("{\"process\": {\"user\": {\"uid\": -1}}}")]
    public void What_is_no_specification_is_refused(string json) =>
        Assert.Throws<JsonException>(() => RuntimeSpec.Parse(System.Text.Encoding.UTF8.GetBytes(json)));
}
