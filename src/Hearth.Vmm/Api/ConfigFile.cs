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
        JsonBody sections = JsonBody.Parse(Read(path), [.. Known()]);
        foreach (string required in new[] { "boot-source", "drives" })
        {
            if (!sections.Has(required))
            {
                throw sections.Missing(required);
            }
        }

        foreach (Endpoint endpoint in RouteTable.Endpoints)
        {
            if (endpoint.Section is not { } section || !sections.Has(section))
            {
                continue;
            }

            IEnumerable<byte[]> bodies = endpoint.SectionIsArray ? sections.OptionalArray(section) : [sections.OptionalObject(section)!];
            foreach (byte[] body in bodies)
            {
                Run(controller, endpoint.Put(null, body)!, section);
            }
        }

        Run(controller, new ActionsEndpoint.StartInstance(), "start");
    }

    private static void Run(VmmController controller, VmmAction action, string what)
    {
        if (controller.Run(action) is VmmFault fault)
        {
            throw new ConfigurationException($"{what}: {fault.Message}");
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
