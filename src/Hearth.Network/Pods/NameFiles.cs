using System.Text;

namespace Hearth.Network.Pods;

/// <summary>What containers read names by: <c>/etc/resolv.conf</c> and <c>/etc/hosts</c> of a pod. Source: resolv.conf(5), hosts(5).</summary>
public static class NameFiles
{
    private const string HostResolvConf = "/etc/resolv.conf";

    // Where systemd-resolved keeps what it forwards to; the stub that it listens at is on the host's loopback.
    private const string UpstreamResolvConf = "/run/systemd/resolve/resolv.conf";

    /// <summary>A resolv.conf that says this.</summary>
    public static string ResolvConf(IReadOnlyCollection<string> servers, IReadOnlyCollection<string> searches, IReadOnlyCollection<string> options)
    {
        var text = new StringBuilder();
        if (searches.Count > 0)
        {
            text.Append("search ").AppendJoin(' ', searches).Append('\n');
        }

        foreach (string server in servers)
        {
            text.Append("nameserver ").Append(server).Append('\n');
        }

        if (options.Count > 0)
        {
            text.Append("options ").AppendJoin(' ', options).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>The host's own; for a network that is not the host's, without a stub that only the host reaches.</summary>
    public static string HostsResolvConf(bool inHostNetwork)
    {
        string host = ReadIfThere(HostResolvConf);
        string[] servers = [.. host.Split('\n').Where(static line => line.StartsWith("nameserver", StringComparison.Ordinal))];
        bool stub = servers.Length > 0 && servers.All(static line => line.Contains(" 127.") || line.Contains(" ::1"));
        string upstream = stub && !inHostNetwork ? ReadIfThere(UpstreamResolvConf) : "";
        return upstream.Length > 0 ? upstream : host;
    }

    /// <summary>A hosts file with the loopback's names, and the pod's own.</summary>
    public static string Hosts(string hostname, IEnumerable<string> addresses)
    {
        var text = new StringBuilder("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n");
        foreach (string address in addresses)
        {
            text.Append(address).Append('\t').Append(hostname).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>A file of the host; empty where it is not there.</summary>
    public static string ReadIfThere(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
