using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Endpoints;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api;

/// <summary>
/// <c>--config-file</c>: the API's bodies under their kebab-case keys in one JSON object, run through the same actions,
/// then InstanceStart. Source: Firecracker docs/getting-started.md.
/// </summary>
public static class ConfigFile
{
    private const int MaxBytes = 1 << 20;

    /// <summary>Configures and starts the microVM.</summary>
    /// <exception cref="ConfigurationException">The file is unreadable, or a section is refused: says which and why.</exception>
    public static void Run(string path, VmmController controller)
    {
        foreach ((Endpoint endpoint, byte[] body) in Sections(Read(path)))
        {
            VmmAction action = Parse(endpoint.Section!, () => endpoint.Put(null, body)!);
            Run(controller, action);
        }

        Run(controller, new ActionsEndpoint.StartInstance());
    }

    // In the order of the table, whatever the order in the file.
    private static List<(Endpoint Endpoint, byte[] Body)> Sections(byte[] text)
    {
        var found = new List<(Endpoint, byte[])>();
        JsonBody sections = Parse(null, () => JsonBody.Parse(text, [.. Known()]));
        foreach (string required in new[] { "drives", "boot-source" })
        {
            if (!sections.Has(required))
            {
                throw new ConfigurationException($"Invalid JSON: {sections.Missing(required).Problem}");
            }
        }

        foreach (Endpoint endpoint in RouteTable.Endpoints)
        {
            if (endpoint.Section is { } section && sections.Has(section))
            {
                Parse(section, () =>
                {
                    found.AddRange(endpoint.SectionIsArray
                        ? sections.OptionalArray(section).Select(body => (endpoint, body))
                        : [(endpoint, sections.OptionalObject(section)!)]);
                    return found;
                });
            }
        }

        return found;
    }

    private static T Parse<T>(string? section, Func<T> parse)
    {
        try
        {
            return parse();
        }
        catch (JsonBodyException wrong)
        {
            throw new ConfigurationException($"Invalid JSON: {(section is null ? string.Empty : $"{section}: ")}{wrong.Problem}");
        }
    }

    private static void Run(VmmController controller, VmmAction action)
    {
        if (controller.Run(action) is VmmFault fault)
        {
            throw new ConfigurationException(fault.Message);
        }
    }

    private static IEnumerable<string> Known() => RouteTable.Endpoints.Where(e => e.Section is not null).Select(e => e.Section!);

    private static byte[] Read(string path)
    {
        const string Prefix = "Unable to open or read from the configuration file: ";
        HostFile.CheckReadable(path, Prefix);
        try
        {
            var file = new FileInfo(path);
            if (file.Exists && file.Length > MaxBytes)
            {
                throw new ConfigurationException($"The file has {file.Length} bytes, and a configuration has at most {MaxBytes}. Is it the right one?");
            }

            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException($"{Prefix}{path} cannot be read as a file (0x{e.HResult:x}).");
        }
    }
}
