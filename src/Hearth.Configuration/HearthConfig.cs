namespace Hearth.Configuration;

/// <summary>
/// <c>hearth.toml</c>: each section a record, each key a property under its snake_case name. What is not set has the value
/// given here. Source of the keys' meaning: docs/guides/configuration.md.
/// </summary>
public sealed record HearthConfig
{
    /// <summary>Where it is looked for.</summary>
    public const string DefaultPath = "/etc/hearth/hearth.toml";

    /// <summary>The defaults as a file, each key with what it means.</summary>
    public static string DefaultText => ConfigText.Write(new HearthConfig());

    /// <summary>The daemon: <c>[daemon]</c>.</summary>
    public DaemonConfig Daemon { get; init; } = new();

    /// <summary>Pods' machines: <c>[microvm]</c>.</summary>
    public MicrovmConfig Microvm { get; init; } = new();

    /// <summary>Pods without a machine: <c>[oci]</c>.</summary>
    public OciConfig Oci { get; init; } = new();

    /// <summary>Images: <c>[images]</c>, and <c>[[registries]]</c>.</summary>
    public ImagesConfig Images { get; init; } = new();

    /// <summary>Registries that are spoken to in another way than by default: <c>[[registries]]</c>.</summary>
    public IReadOnlyList<RegistryConfig> Registries { get; init; } = [];

    /// <summary>Networks: <c>[network]</c>.</summary>
    public NetworkConfig Network { get; init; } = new();

    /// <summary>Reads a file.</summary>
    /// <param name="path">Null: the one at <see cref="DefaultPath"/>, or the defaults where there is none.</param>
    /// <exception cref="ConfigException">It cannot be read, or has mistakes: each with its line.</exception>
    public static HearthConfig Load(string? path = null)
    {
        if (path is null && !File.Exists(DefaultPath))
        {
            return new HearthConfig();
        }

        ConfigFile file = ConfigFile.Read(path ?? DefaultPath);
        return file.Problems.Count == 0 ? file.Config : throw new ConfigException(file.Problems);
    }

    /// <summary>This configuration as a file that says the same.</summary>
    public string ToToml() => ConfigText.Write(this);
}

/// <summary><c>[daemon]</c>.</summary>
public sealed record DaemonConfig
{
    /// <summary>CRI's socket.</summary>
    public string Socket { get; init; } = "/run/hearth/hearthd.sock";

    /// <summary>What outlives a reboot: records, images.</summary>
    public string Root { get; init; } = "/var/lib/hearth";

    /// <summary>What does not: sockets, network namespaces, bundles.</summary>
    public string State { get; init; } = "/run/hearth";

    /// <summary>Where exec, attach and port-forward are streamed: an address, 127.0.0.1 unless TLS is set up.</summary>
    public string StreamAddress { get; init; } = "127.0.0.1";

    /// <summary>0: any free port.</summary>
    public int StreamPort { get; init; }

    /// <summary>PEM files; both or none.</summary>
    public string StreamCertificate { get; init; } = "";

    public string StreamKey { get; init; } = "";

    /// <summary>Where Prometheus finds metrics, <c>127.0.0.1:9500</c>; empty for nowhere.</summary>
    public string MetricsAddress { get; init; } = "";

    /// <summary>An OTLP endpoint for traces; empty for none.</summary>
    public string TracesEndpoint { get; init; } = "";

    /// <summary><c>trace</c>, <c>debug</c>, <c>info</c>, <c>warning</c>, <c>error</c>.</summary>
    public string LogLevel { get; init; } = "info";

    /// <summary><c>text</c> or <c>json</c>.</summary>
    public string LogFormat { get; init; } = "text";

    /// <summary>The handler of pods that name none: <c>microvm</c> or <c>oci</c>.</summary>
    public string DefaultHandler { get; init; } = "microvm";

    /// <summary>Pods that ask for the host's namespaces go to <c>oci</c> by themselves.</summary>
    public bool AutoHostNamespaces { get; init; }
}

/// <summary><c>[microvm]</c>. Programs without a slash are looked for beside the program that asks, then on PATH.</summary>
public sealed record MicrovmConfig
{
    public string Kernel { get; init; } = "/usr/share/hearth/vmlinux";

    /// <summary>hearth-agent as an initrd.</summary>
    public string Initrd { get; init; } = "/usr/share/hearth/agent.initrd";

    /// <summary>Added to the kernel's command line.</summary>
    public string KernelArguments { get; init; } = "";

    /// <summary><c>hearth-vmm</c>, or a path of Firecracker's binary.</summary>
    public string Monitor { get; init; } = "hearth-vmm";

    /// <summary>The jailer that starts the monitor.</summary>
    public string Jailer { get; init; } = "hearth-jailer";

    /// <summary>Whether the monitor is started through the jailer.</summary>
    public bool Jail { get; init; } = true;

    /// <summary>The first of the user and group numbers that jailed monitors run as, one a pod.</summary>
    public int JailUidBase { get; init; } = 200000;

    /// <summary>How many of them there are.</summary>
    public int JailUidCount { get; init; } = 4096;

    /// <summary>The host's cgroup above the pods' own, each of the size of its machine; empty for none.</summary>
    public string JailCgroup { get; init; } = "hearth";

    public string Shim { get; init; } = "hearth-shim";

    /// <summary>Empty: where Debian's packages have it.</summary>
    public string Virtiofsd { get; init; } = "";

    /// <summary>Of a pod without CPU limits.</summary>
    public int Vcpus { get; init; } = 1;

    /// <summary>The most a pod gets, whatever its limits.</summary>
    public int MaxVcpus { get; init; } = 32;

    /// <summary>MiB, of a pod without a memory limit.</summary>
    public int MemoryMib { get; init; } = 512;

    /// <summary>MiB added to a pod's memory limit for the guest's kernel and agent.</summary>
    public int OverheadMib { get; init; } = 96;

    /// <summary>What backs a machine's memory: <c>none</c>, <c>transparent</c> or <c>2M</c>.</summary>
    public string HugePages { get; init; } = "none";

    /// <summary>Drives that are kept free for containers' images: the most images a pod can have at a time.</summary>
    public int ImageDrives { get; init; } = 6;

    /// <summary>Network interfaces kept free where a manager adds networks when the machine runs already: the most that can be added.</summary>
    public int SpareInterfaces { get; init; } = 2;

    /// <summary>MiB of the sparse disk that takes containers' changes; 0 keeps them in the guest's memory.</summary>
    public int ScratchMib { get; init; } = 8192;

    /// <summary>Seconds a machine has from its start to the agent's first answer.</summary>
    public int BootTimeoutS { get; init; } = 60;
}

/// <summary><c>[oci]</c>: pods as processes of the host.</summary>
public sealed record OciConfig
{
    /// <summary><c>crun</c>, <c>runc</c> or a path.</summary>
    public string Runtime { get; init; } = "crun";

    public string Conmon { get; init; } = "conmon";
}

/// <summary><c>[images]</c>.</summary>
public sealed record ImagesConfig
{
    /// <summary>MiB of uncompressed content that one image may have.</summary>
    public long MaxImageMib { get; init; } = 64 * 1024;

    public int MaxEntries { get; init; } = 4_000_000;

    public int ParallelLayers { get; init; } = 3;

    /// <summary>Names or IDs that are never removed by the kubelet's garbage collection.</summary>
    public IReadOnlyList<string> Pinned { get; init; } = [];

    /// <summary>Seconds without a byte after which a registry is given up.</summary>
    public int IdleTimeoutS { get; init; } = 60;
}

/// <summary><c>[[registries]]</c>.</summary>
public sealed record RegistryConfig
{
    /// <summary>As in image names: <c>docker.io</c>, <c>registry.example:5000</c>.</summary>
    public required string Host { get; init; }

    /// <summary>Asked in this order before the host itself.</summary>
    public IReadOnlyList<string> Mirrors { get; init; } = [];

    public bool PlainHttp { get; init; }

    public string Username { get; init; } = "";

    /// <summary>A file that holds the password and nothing else.</summary>
    public string PasswordFile { get; init; } = "";
}

/// <summary><c>[network]</c>.</summary>
public sealed record NetworkConfig
{
    public IReadOnlyList<string> CniBin { get; init; } = ["/opt/cni/bin", "/usr/lib/cni"];

    /// <summary>The first conf list there, by name, is the pods' network.</summary>
    public string CniConf { get; init; } = "/etc/cni/net.d";

    /// <summary>Of the network that Hearth makes when <see cref="CniConf"/> is empty.</summary>
    public string Subnet { get; init; } = "10.88.128.0/20";

    public string Bridge { get; init; } = "hearth0";
}
