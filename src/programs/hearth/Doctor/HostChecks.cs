using System.Globalization;
using Hearth.Configuration;
using Hearth.Programs.Hearth.Output;

namespace Hearth.Programs.Hearth.Doctor;

/// <summary>What pods need of the host around their machines: networks, limits, disk.</summary>
internal sealed class HostChecks(HostView host, HearthConfig config)
{
    private const long LowDiskBytes = 2L << 30;
    private const ulong FewFiles = 65_536;
    private const ulong FewPids = 32_768;

    // The network that Hearth makes when none is configured.
    private static readonly string[] s_plugins = ["bridge", "host-local", "loopback", "portmap"];

    public IEnumerable<Finding> Run() => [Plugins(), Networks(), Forwarding(), Handler(), Files(), Processes(), Disk()];

    private Finding Plugins()
    {
        const string Name = "cni-plugins";
        string[] folders = [.. config.Network.CniBin];
        string[] missing = [.. s_plugins.Where(plugin => !folders.Any(folder => host.Find(Path.Combine(folder, plugin)) is not null))];
        return missing.Length == 0
            ? Finding.Ok(Name, $"in {folders.First(folder => host.Find(Path.Combine(folder, s_plugins[0])) is not null)}")
            : Finding.Fail(Name, $"{string.Join(", ", missing)} {(missing.Length == 1 ? "is" : "are")} not in {string.Join(" or ", folders)}", "apt-get install containernetworking-plugins (or set [network] cni_bin)");
    }

    private Finding Networks()
    {
        const string Name = "cni-network";
        string? first = host.List(config.Network.CniConf).FirstOrDefault(name => name.EndsWith(".conflist", StringComparison.Ordinal) || name.EndsWith(".conf", StringComparison.Ordinal) || name.EndsWith(".json", StringComparison.Ordinal));
        return Finding.Ok(Name, first is null ? $"Hearth's own ({config.Network.Bridge}, {config.Network.Subnet}): {config.Network.CniConf} has none" : Path.Combine(config.Network.CniConf, first));
    }

    private Finding Forwarding() => host.TryRead("/proc/sys/net/ipv4/ip_forward") == "1"
        ? Finding.Ok("ip-forward", "on")
        : Finding.Warn("ip-forward", "off: pods reach this host and no further", "sysctl -w net.ipv4.ip_forward=1 (and in /etc/sysctl.d, to keep it)");

    private Finding Handler()
    {
        const string Name = "oci-handler";
        string[] missing = [.. new[] { config.Oci.Conmon, config.Oci.Runtime }.Where(program => host.Find(program) is null)];
        return missing.Length == 0
            ? Finding.Ok(Name, $"{config.Oci.Runtime} with {config.Oci.Conmon}")
            : Finding.Warn(Name, $"{string.Join(" and ", missing)} not found, so the handler oci (pods in the host's namespaces) cannot be used", $"apt-get install {string.Join(' ', missing)}");
    }

    private Finding Files()
    {
        const string Name = "open-files";
        // Max open files   SOFT   HARD   files
        string? line = host.TryRead("/proc/self/limits")?.Split('\n').FirstOrDefault(line => line.StartsWith("Max open files", StringComparison.Ordinal));
        string? hard = line?["Max open files".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).ElementAtOrDefault(1);
        if (hard == "unlimited" || (ulong.TryParse(hard, NumberStyles.None, CultureInfo.InvariantCulture, out ulong files) && files >= FewFiles))
        {
            return Finding.Ok(Name, $"up to {hard}");
        }

        return Finding.Warn(Name, hard is null ? "the limit is not known" : $"up to {hard}: too few for many pods and streams", "Set LimitNOFILE=1048576 in hearthd's unit, or ulimit -Hn 1048576 before it.");
    }

    private Finding Processes()
    {
        const string Name = "processes";
        return ulong.TryParse(host.TryRead("/proc/sys/kernel/pid_max"), NumberStyles.None, CultureInfo.InvariantCulture, out ulong pids) && pids >= FewPids
            ? Finding.Ok(Name, $"up to {pids}")
            : Finding.Warn(Name, "few process ids: each pod takes some ten, threads among them", "sysctl -w kernel.pid_max=4194304");
    }

    private Finding Disk()
    {
        const string Name = "disk";
        string root = config.Daemon.Root;
        return host.FreeBytes(root) switch
        {
            null => Finding.Warn(Name, $"how much is free at {root} is not known", "See df."),
            < LowDiskBytes and { } free => Finding.Warn(Name, $"{Humane.Bytes((ulong)free)} free at {root}, for images and what containers write", "Free some (hearth rmi), or set [daemon] root to a larger disk."),
            { } free => Finding.Ok(Name, $"{Humane.Bytes((ulong)free)} free at {root}"),
        };
    }
}
