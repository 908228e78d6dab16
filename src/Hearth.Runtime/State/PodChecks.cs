using System.Globalization;
using System.Net;
using Hearth.Runtime.Pods;
using Hearth.Runtime.Specs;

namespace Hearth.Runtime.State;

/// <summary>What no handler could make sense of. Failures are InvalidArgument.</summary>
internal static class PodChecks
{
    private const int MaxNameLength = 253;

    public static bool WantsHostNamespaces(PodConfig config) =>
        config.Security.Namespaces is { Network: NamespaceMode.Node } or { Pid: NamespaceMode.Node } or { Ipc: NamespaceMode.Node };

    public static void Check(PodConfig config)
    {
        CheckName(config.Metadata.Name, "pod");
        foreach (string text in new[] { config.Metadata.Namespace, config.Metadata.Uid, config.Hostname })
        {
            if (text.Length > MaxNameLength || text.Any(static c => char.IsControl(c) || c is ' ' or '/'))
            {
                throw Invalid($"\"{text}\" is no pod's namespace, UID or hostname.");
            }
        }

        foreach (PodPort port in config.Ports)
        {
            if (port.ContainerPort is < 0 or > 65535 || port.HostPort is < 0 or > 65535)
            {
                throw Invalid($"The port mapping {port.HostPort}:{port.ContainerPort} is none: ports are 1 to 65535.");
            }

            if (port.HostIp.Length > 0 && !IPAddress.TryParse(port.HostIp, out _))
            {
                throw Invalid($"The port mapping's host address \"{port.HostIp}\" is no IP address.");
            }
        }

        foreach (string line in config.Dns is { } dns ? [.. dns.Servers, .. dns.Searches, .. dns.Options] : Array.Empty<string>())
        {
            if (line.Any(char.IsControl))
            {
                throw Invalid($"\"{line}\" cannot stand in resolv.conf.");
            }
        }

        foreach ((string name, string value) in config.Sysctls)
        {
            if (name.Length == 0 || name.Contains("..") || name.Any(static c => !char.IsAsciiLetterOrDigit(c) && c is not ('.' or '_' or '-' or '/')) || value.Contains('\0'))
            {
                throw Invalid($"\"{name}\" is no sysctl.");
            }
        }

        // The handler "oci" makes and removes cgroups below it.
        if (config.CgroupParent.Any(char.IsControl) || config.CgroupParent.Split('/').Any(static part => part is "." or ".."))
        {
            throw Invalid($"\"{config.CgroupParent}\" is no cgroup: it is names with slashes between them.");
        }

        ResourceSpecs.Check(config.Resources ?? new LinuxResources());
        ResourceSpecs.Check(config.Overhead ?? new LinuxResources());
    }

    public static void Check(ContainerConfig config)
    {
        CheckName(config.Name, "container");
        if (config.Image.Length == 0)
        {
            throw Invalid($"The container \"{config.Name}\" names no image.");
        }

        if (config.CdiDevices.Count > 0)
        {
            throw Invalid($"The container \"{config.Name}\" asks for CDI devices ({string.Join(", ", config.CdiDevices)}), which Hearth does not have.");
        }
    }

    /// <summary>A number of an annotation; null where there is none.</summary>
    public static int? Number(IReadOnlyDictionary<string, string> annotations, string name) =>
        !annotations.TryGetValue(name, out string? text) ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0 ? number
        : throw Invalid($"The annotation {name} is \"{text}\": a number is wanted.");

    private static void CheckName(string name, string what)
    {
        if (name.Length is 0 or > MaxNameLength || name.Any(static c => char.IsControl(c) || c is ' ' or '/'))
        {
            throw Invalid($"\"{name}\" is no {what}'s name: it has 1 to {MaxNameLength} characters, without spaces and slashes.");
        }
    }

    private static PodException Invalid(string message) => new(PodFault.InvalidArgument, message);
}
