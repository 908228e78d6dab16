namespace Hearth.Configuration;

/// <summary>Every key of <c>hearth.toml</c>. The reader, the default text and the checks go by these tables.</summary>
internal static class ConfigSchema
{
    public static readonly ConfigKey<DaemonConfig>[] Daemon =
    [
        new("socket", ValueKind.Path, "CRI's socket.", c => c.Socket, (c, v) => c with { Socket = (string)v }),
        new("root", ValueKind.Path, "What outlives a reboot: records, images.", c => c.Root, (c, v) => c with { Root = (string)v }),
        new("state", ValueKind.Path, "What does not: sockets, network namespaces, bundles.", c => c.State, (c, v) => c with { State = (string)v }),
        new("stream_address", ValueKind.Address, "Where exec, attach and port-forward are streamed. Anything but loopback wants TLS.", c => c.StreamAddress, (c, v) => c with { StreamAddress = (string)v }),
        new("stream_port", ValueKind.Number, "0: any free port.", c => (long)c.StreamPort, (c, v) => c with { StreamPort = (int)(long)v }) { Max = 65535 },
        new("stream_certificate", ValueKind.File, "PEM files; both or none.", c => c.StreamCertificate, (c, v) => c with { StreamCertificate = (string)v }),
        new("stream_key", ValueKind.File, "", c => c.StreamKey, (c, v) => c with { StreamKey = (string)v }),
        new("metrics_address", ValueKind.Endpoint, "Where Prometheus finds metrics, \"127.0.0.1:9500\"; empty for nowhere.", c => c.MetricsAddress, (c, v) => c with { MetricsAddress = (string)v }),
        new("traces_endpoint", ValueKind.Text, "An OTLP endpoint for traces; empty for none.", c => c.TracesEndpoint, (c, v) => c with { TracesEndpoint = (string)v }),
        new("log_level", ValueKind.Choice, "trace, debug, info, warning or error.", c => c.LogLevel, (c, v) => c with { LogLevel = (string)v }) { Choices = ["trace", "debug", "info", "warning", "error"] },
        new("log_format", ValueKind.Choice, "text or json.", c => c.LogFormat, (c, v) => c with { LogFormat = (string)v }) { Choices = ["text", "json"] },
        new("default_handler", ValueKind.Choice, "The handler of pods that name none: microvm or oci.", c => c.DefaultHandler, (c, v) => c with { DefaultHandler = (string)v }) { Choices = ["microvm", "oci"] },
        new("auto_host_namespaces", ValueKind.Flag, "Pods that ask for the host's namespaces go to oci by themselves.", c => c.AutoHostNamespaces, (c, v) => c with { AutoHostNamespaces = (bool)v }),
    ];

    public static readonly ConfigKey<MicrovmConfig>[] Microvm =
    [
        new("kernel", ValueKind.File, "The guest's kernel: an ELF vmlinux (hearth kernel build makes one).", c => c.Kernel, (c, v) => c with { Kernel = (string)v }),
        new("initrd", ValueKind.File, "hearth-agent as an initrd.", c => c.Initrd, (c, v) => c with { Initrd = (string)v }),
        new("kernel_arguments", ValueKind.Text, "Added to the kernel's command line.", c => c.KernelArguments, (c, v) => c with { KernelArguments = (string)v }),
        new("monitor", ValueKind.Program, "hearth-vmm, or the path of Firecracker's binary. Programs without a slash are looked for beside the program that asks, then on PATH.", c => c.Monitor, (c, v) => c with { Monitor = (string)v }),
        new("jailer", ValueKind.Program, "The jailer that starts the monitor.", c => c.Jailer, (c, v) => c with { Jailer = (string)v }),
        new("jail", ValueKind.Flag, "Whether the monitor is started through the jailer.", c => c.Jail, (c, v) => c with { Jail = (bool)v }),
        new("jail_uid_base", ValueKind.Number, "The first of the user and group numbers that jailed monitors run as, one a pod.", c => (long)c.JailUidBase, (c, v) => c with { JailUidBase = (int)(long)v }) { Min = 1 },
        new("jail_uid_count", ValueKind.Number, "How many of them there are.", c => (long)c.JailUidCount, (c, v) => c with { JailUidCount = (int)(long)v }) { Min = 1, Max = 1 << 20 },
        new("jail_cgroup", ValueKind.Text, "The host's cgroup above the pods' own, each of the size of its machine, where the manager names no other; empty for none.", c => c.JailCgroup, (c, v) => c with { JailCgroup = (string)v }),
        new("shim", ValueKind.Program, "The process that owns a pod's machine.", c => c.Shim, (c, v) => c with { Shim = (string)v }),
        new("virtiofsd", ValueKind.File, "Serves volumes; empty: where Debian's packages have it.", c => c.Virtiofsd, (c, v) => c with { Virtiofsd = (string)v }),
        new("vcpus", ValueKind.Number, "Of a pod without CPU limits.", c => (long)c.Vcpus, (c, v) => c with { Vcpus = (int)(long)v }) { Min = 1, Max = 32 },
        new("max_vcpus", ValueKind.Number, "The most a pod gets, whatever its limits.", c => (long)c.MaxVcpus, (c, v) => c with { MaxVcpus = (int)(long)v }) { Min = 1, Max = 32 },
        new("memory_mib", ValueKind.Number, "MiB, of a pod without a memory limit.", c => (long)c.MemoryMib, (c, v) => c with { MemoryMib = (int)(long)v }) { Min = 64, Max = 1 << 24 },
        new("overhead_mib", ValueKind.Number, "MiB added to a pod's memory limit for the guest's kernel and agent.", c => (long)c.OverheadMib, (c, v) => c with { OverheadMib = (int)(long)v }) { Max = 1 << 20 },
        new("huge_pages", ValueKind.Choice, "What backs a machine's memory: none; transparent, where shmem_enabled of the host's transparent_hugepage is advise; or 2M, of its vm.nr_hugepages. Faster, and 2 MiB at a time.", c => c.HugePages, (c, v) => c with { HugePages = (string)v }) { Choices = ["none", "transparent", "2M"] },
        new("image_drives", ValueKind.Number, "Drives that are kept free for containers' images: the most images a pod can have at a time.", c => (long)c.ImageDrives, (c, v) => c with { ImageDrives = (int)(long)v }) { Min = 1, Max = 64 },
        new("spare_interfaces", ValueKind.Number, "Network interfaces kept free where a manager adds networks when the machine runs already, as Docker does: the most that can be added.", c => (long)c.SpareInterfaces, (c, v) => c with { SpareInterfaces = (int)(long)v }) { Max = 8 },
        new("scratch_mib", ValueKind.Number, "MiB of the sparse disk that takes containers' changes; 0 keeps them in the guest's memory.", c => (long)c.ScratchMib, (c, v) => c with { ScratchMib = (int)(long)v }) { Max = 1 << 26 },
        new("boot_timeout_s", ValueKind.Number, "Seconds a machine has from its start to the agent's first answer.", c => (long)c.BootTimeoutS, (c, v) => c with { BootTimeoutS = (int)(long)v }) { Min = 1, Max = 3600 },
    ];

    public static readonly ConfigKey<OciConfig>[] Oci =
    [
        new("runtime", ValueKind.Program, "crun, runc or a path.", c => c.Runtime, (c, v) => c with { Runtime = (string)v }),
        new("conmon", ValueKind.Program, "Watches each container.", c => c.Conmon, (c, v) => c with { Conmon = (string)v }),
    ];

    public static readonly ConfigKey<ImagesConfig>[] Images =
    [
        new("max_image_mib", ValueKind.Number, "MiB of uncompressed content that one image may have.", c => c.MaxImageMib, (c, v) => c with { MaxImageMib = (long)v }) { Min = 1, Max = 1L << 40 },
        new("max_entries", ValueKind.Number, "Files, folders and links that one image may have.", c => (long)c.MaxEntries, (c, v) => c with { MaxEntries = (int)(long)v }) { Min = 1 },
        new("parallel_layers", ValueKind.Number, "Layers that are pulled at a time.", c => (long)c.ParallelLayers, (c, v) => c with { ParallelLayers = (int)(long)v }) { Min = 1, Max = 64 },
        new("pinned", ValueKind.TextList, "Names or IDs that the kubelet's garbage collection never removes.", c => c.Pinned, (c, v) => c with { Pinned = (IReadOnlyList<string>)v }),
        new("idle_timeout_s", ValueKind.Number, "Seconds without a byte after which a registry is given up.", c => (long)c.IdleTimeoutS, (c, v) => c with { IdleTimeoutS = (int)(long)v }) { Min = 1, Max = 86400 },
    ];

    public static readonly ConfigKey<NetworkConfig>[] Network =
    [
        new("cni_bin", ValueKind.FolderList, "Where CNI plugins are; the first that has one counts.", c => c.CniBin, (c, v) => c with { CniBin = (IReadOnlyList<string>)v }),
        new("cni_conf", ValueKind.Path, "The first conf list there, by name, is the pods' network.", c => c.CniConf, (c, v) => c with { CniConf = (string)v }),
        new("subnet", ValueKind.Subnet, "Of the network that Hearth makes when cni_conf is empty or not there.", c => c.Subnet, (c, v) => c with { Subnet = (string)v }),
        new("bridge", ValueKind.Text, "", c => c.Bridge, (c, v) => c with { Bridge = (string)v }),
    ];

    public static readonly ConfigKey<RegistryConfig>[] Registry =
    [
        new("host", ValueKind.Text, "As in image names: docker.io, registry.example:5000.", c => c.Host, (c, v) => c with { Host = (string)v }),
        new("mirrors", ValueKind.TextList, "Asked in this order before the host itself.", c => c.Mirrors, (c, v) => c with { Mirrors = (IReadOnlyList<string>)v }),
        new("plain_http", ValueKind.Flag, "Spoken to without TLS.", c => c.PlainHttp, (c, v) => c with { PlainHttp = (bool)v }),
        new("username", ValueKind.Text, "", c => c.Username, (c, v) => c with { Username = (string)v }),
        new("password_file", ValueKind.File, "A file that holds the password and nothing else.", c => c.PasswordFile, (c, v) => c with { PasswordFile = (string)v }),
    ];
}
