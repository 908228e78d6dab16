using System.Globalization;
using System.Text;
using System.Text.Json;
using Hearth.Shim.Protocol;
using Hearth.Shim.Protocol.Tasks;

namespace Hearth.Programs.Oci;

/// <summary><c>state list ps features spec</c>.</summary>
internal static class QueryCommands
{
    // What this runtime knows of. Source: runtime-spec features.md.
    private static readonly string[] s_capabilities =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
        "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
        "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
        "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP",
        "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    ];

    public static async Task StateAsync(ContainerState state)
    {
        string status = await LifeCommands.StatusAsync(state);
        Print(json => StateDocument.Write(json, state.OciVersion, state.Id, status, status == "stopped" ? 0 : state.Pid, state.Bundle, state.Annotations, state.Created));
    }

    public static async Task ListAsync(StateFolder states, Arguments arguments)
    {
        ContainerState[] all = [.. states.All()];
        if (arguments.Flag("quiet", "q"))
        {
            foreach (ContainerState state in all)
            {
                Console.WriteLine(state.Id);
            }

            return;
        }

        string[] statuses = await Task.WhenAll(all.Select(LifeCommands.StatusAsync));
        if (arguments.Value("format", "f") == "json")
        {
            Print(json =>
            {
                json.WriteStartArray();
                foreach ((int i, ContainerState state) in all.Index())
                {
                    StateDocument.Write(json, state.OciVersion, state.Id, statuses[i], statuses[i] == "stopped" ? 0 : state.Pid, state.Bundle, state.Annotations, state.Created);
                }

                json.WriteEndArray();
            });
            return;
        }

        Console.WriteLine($"{"ID",-24}{"PID",-12}{"STATUS",-12}{"BUNDLE",-40}CREATED");
        foreach ((int i, ContainerState state) in all.Index())
        {
            Console.WriteLine($"{state.Id,-24}{(statuses[i] == "stopped" ? 0 : state.Pid),-12}{statuses[i],-12}{state.Bundle,-40}{state.Created.ToString("O", CultureInfo.InvariantCulture)}");
        }
    }

    /// <summary>What stands for the processes on this host: the monitor of their machine.</summary>
    public static async Task ProcessesAsync(ContainerState state, Arguments arguments)
    {
        await using ShimClient shim = await ShimClient.ConnectAsync(state.Shim);
        PidsResponse answer = await shim.PidsAsync(state.Id);
        if (arguments.Value("format", "f") == "json")
        {
            Print(json =>
            {
                json.WriteStartArray();
                foreach (ProcessInfo process in answer.Processes)
                {
                    json.WriteNumberValue(process.Pid);
                }

                json.WriteEndArray();
            });
            return;
        }

        Console.WriteLine("PID");
        foreach (ProcessInfo process in answer.Processes)
        {
            Console.WriteLine(process.Pid);
        }
    }

    public static void Features() => Print(json =>
    {
        json.WriteStartObject();
        json.WriteString("ociVersionMin", "1.0.0");
        json.WriteString("ociVersionMax", "1.2.0");
        Write(json, "hooks", ["prestart", "createRuntime", "poststart", "poststop"]);
        Write(json, "mountOptions", ["bind", "rbind", "ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "sync", "noatime", "relatime", "private", "rprivate", "slave", "rslave", "shared", "rshared"]);
        json.WriteStartObject("linux");
        Write(json, "namespaces", ["cgroup", "ipc", "mount", "network", "pid", "uts"]);
        Write(json, "capabilities", s_capabilities);
        WriteEnabled(json, "cgroup", ("v1", false), ("v2", true), ("systemd", false), ("systemdUser", false), ("rdma", false));
        WriteEnabled(json, "seccomp", ("enabled", true));
        WriteEnabled(json, "apparmor", ("enabled", false));
        WriteEnabled(json, "selinux", ("enabled", false));
        json.WriteEndObject();
        json.WriteEndObject();
    });

    /// <summary>A bundle's config.json to begin with.</summary>
    public static void Spec(string bundle)
    {
        string path = Path.Combine(bundle, "config.json");
        if (File.Exists(path))
        {
            throw new OciException($"{path} is there already.");
        }

        File.WriteAllText(path, SampleSpec);
    }

    private const string SampleSpec = """
        {
          "ociVersion": "1.2.0",
          "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": {
              "bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
              "effective": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
              "permitted": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
            },
            "noNewPrivileges": true
          },
          "root": { "path": "rootfs", "readonly": true },
          "hostname": "hearth",
          "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] }
          ],
          "linux": {
            "namespaces": [{ "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }, { "type": "cgroup" }],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
          }
        }

        """;

    private static void Print(Action<Utf8JsonWriter> content)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text, new JsonWriterOptions { Indented = true }))
        {
            content(json);
        }

        Console.WriteLine(Encoding.UTF8.GetString(text.ToArray()));
    }

    private static void Write(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values)
        {
            json.WriteStringValue(value);
        }

        json.WriteEndArray();
    }

    private static void WriteEnabled(Utf8JsonWriter json, string name, params (string Name, bool Value)[] values)
    {
        json.WriteStartObject(name);
        foreach ((string one, bool value) in values)
        {
            json.WriteBoolean(one, value);
        }

        json.WriteEndObject();
    }
}
