using System.Globalization;
using System.Net;
using Hearth.Cri.Protocol;

namespace Hearth.Programs.Hearth.Containers;

/// <summary>The short forms that docker taught everyone: <c>-v A:B:ro</c>, <c>-p 80:8080</c>, <c>--memory 256m</c>.</summary>
internal static class Shorthand
{
    private static readonly Dictionary<char, long> s_byteUnits = new() { ['b'] = 1, ['k'] = 1L << 10, ['m'] = 1L << 20, ['g'] = 1L << 30, ['t'] = 1L << 40 };

    /// <summary><c>256m</c>, <c>1.5g</c>, <c>1Gi</c>, or bytes.</summary>
    public static long Bytes(string text)
    {
        string number = text.Trim().ToLowerInvariant();
        foreach (string suffix in (string[])["ib", "b", "i"])
        {
            // 1GiB, 1gb and 1Gi are 1g.
            if (number.Length > suffix.Length + 1 && number.EndsWith(suffix, StringComparison.Ordinal) && char.IsAsciiLetter(number[^(suffix.Length + 1)]))
            {
                number = number[..^suffix.Length];
                break;
            }
        }

        long unit = 1;
        if (number.Length > 0 && s_byteUnits.TryGetValue(number[^1], out long found))
        {
            unit = found;
            number = number[..^1];
        }

        return decimal.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal value) && value > 0 && value <= long.MaxValue / (decimal)unit
            ? (long)(value * unit)
            : throw new CommandLineException($"\"{text}\" is no amount of memory: write 256m, 1.5g, or a number of bytes.");
    }

    /// <summary>A number of CPUs: <c>0.5</c>, <c>2</c>.</summary>
    public static decimal Cpus(string text) =>
        decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal cpus) && cpus is >= 0.01m and <= 4096
            ? cpus
            : throw new CommandLineException($"\"{text}\" is no number of CPUs: write 0.5, 1 or 2.5, at least 0.01.");

    /// <summary><c>NAME=value</c>, or <c>NAME</c>, whose value is this process's; null where it has none.</summary>
    public static (string Name, string Value)? Variable(string text)
    {
        int equals = text.IndexOf('=');
        if (equals == 0 || text.Length == 0)
        {
            throw new CommandLineException($"\"{text}\" names no variable: write -e NAME=value, or -e NAME for the value it has here.");
        }

        if (equals > 0)
        {
            return (text[..equals], text[(equals + 1)..]);
        }

        return Environment.GetEnvironmentVariable(text) is { } own ? (text, own) : null;
    }

    /// <summary><c>HOST:CONTAINER[:OPTION,…]</c>.</summary>
    public static Mount Volume(string text)
    {
        string[] parts = text.Split(':');
        if (parts.Length is < 2 or > 3 || parts[0].Length == 0 || !parts[1].StartsWith('/'))
        {
            throw new CommandLineException($"\"{text}\" is no volume: write -v HOST_PATH:CONTAINER_PATH, and :ro behind it for one that is not written to.");
        }

        if (!parts[0].Contains('/') && parts[0] != ".")
        {
            throw new CommandLineException($"\"{parts[0]}\" names a volume, which Hearth does not have. Give a path of this machine: -v ./{parts[0]}:{parts[1]}");
        }

        string host = Path.GetFullPath(parts[0]);
        if (!Path.Exists(host))
        {
            throw new CommandLineException($"{host} is not there, so it cannot be a volume. Make it first: mkdir -p {host}");
        }

        var mount = new Mount { HostPath = host, ContainerPath = parts[1] };
        foreach (string option in parts.Length == 3 ? parts[2].Split(',') : [])
        {
            switch (option)
            {
                case "ro":
                    mount.Readonly = true;
                    break;
                case "rw" or "private" or "rprivate":
                    break;
                case "rslave" or "slave":
                    mount.Propagation = MountPropagation.PropagationHostToContainer;
                    break;
                case "rshared" or "shared":
                    mount.Propagation = MountPropagation.PropagationBidirectional;
                    break;
                default:
                    throw new CommandLineException($"\"{option}\" is no option of a volume: ro, rw, private, rslave and rshared are.");
            }
        }

        return mount;
    }

    /// <summary><c>[ADDRESS:]HOST_PORT:PORT[/tcp|udp|sctp]</c>.</summary>
    public static PortMapping Port(string text)
    {
        int slash = text.IndexOf('/');
        string ports = slash < 0 ? text : text[..slash];
        Protocol? protocol = (slash < 0 ? "tcp" : text[(slash + 1)..].ToLowerInvariant()) switch
        {
            "tcp" => Protocol.Tcp,
            "udp" => Protocol.Udp,
            "sctp" => Protocol.Sctp,
            _ => null,
        };
        int last = ports.LastIndexOf(':');
        int before = last > 0 ? ports.LastIndexOf(':', last - 1) : -1;
        string address = before >= 0 ? ports[..before].Trim('[', ']') : "";
        if (protocol is not { } known || last <= 0 || !IsPort(ports[(last + 1)..], out int inside) || !IsPort(ports[(before + 1)..last], out int outside)
            || (address.Length > 0 && !IPAddress.TryParse(address, out _)))
        {
            throw new CommandLineException($"\"{text}\" is no port: write -p HOST_PORT:CONTAINER_PORT, as 8080:80, 127.0.0.1:8080:80 or 53:53/udp.");
        }

        return new PortMapping { Protocol = known, ContainerPort = inside, HostPort = outside, HostIp = address };
    }

    /// <summary><c>USER[:GROUP]</c>: names are looked up in the container.</summary>
    public static void SetUser(LinuxContainerSecurityContext security, string text)
    {
        int colon = text.IndexOf(':');
        string user = colon < 0 ? text : text[..colon];
        string? group = colon < 0 ? null : text[(colon + 1)..];
        if (user.Length == 0)
        {
            throw new CommandLineException($"\"{text}\" names no user: write -u USER, or -u UID:GID.");
        }

        if (long.TryParse(user, NumberStyles.None, CultureInfo.InvariantCulture, out long uid))
        {
            security.RunAsUser = new Int64Value { Value = uid };
        }
        else
        {
            security.RunAsUsername = user;
        }

        if (group is not null)
        {
            security.RunAsGroup = long.TryParse(group, NumberStyles.None, CultureInfo.InvariantCulture, out long gid)
                ? new Int64Value { Value = gid }
                : throw new CommandLineException($"\"{group}\" is no number, and CRI knows a container's group by its number only: write -u {user}:GID.");
        }
    }

    /// <summary>A capability without its <c>CAP_</c>, as CRI has it.</summary>
    public static string Capability(string text)
    {
        string name = text.ToUpperInvariant();
        return name.StartsWith("CAP_", StringComparison.Ordinal) ? name[4..] : name;
    }

    private static bool IsPort(string text, out int port) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and <= 65535;
}
