using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Hearth.House.Tests;

/// <summary>What the project files may say. Each rule returns a sentence for each violation.</summary>
internal static partial class ProjectRules
{
    private static readonly string[] s_unsafeProjects = ["Hearth.Linux", "Hearth.Platform", "Hearth.Kvm", "Hearth.Virtio"];

    // A -> what A may reference; nothing else may. docs/architecture.md has it as a picture.
    private static readonly Dictionary<string, string[]> s_arrows = new()
    {
        ["Hearth.Linux"] = [],
        ["Hearth.Platform"] = ["Hearth.Linux"],
        ["Hearth.Kvm"] = ["Hearth.Linux"],
        ["Hearth.Legacy"] = ["Hearth.Platform"],
        ["Hearth.Virtio"] = ["Hearth.Platform"],
        ["Hearth.Vmm"] = ["Hearth.Virtio", "Hearth.Legacy", "Hearth.Kvm"],
        ["hearth-vmm"] = ["Hearth.Vmm"],
        ["hearth-jailer"] = ["Hearth.Linux"],
        ["Hearth.Ttrpc"] = [],
        ["Hearth.Oci"] = [],
        ["Hearth.Firecracker"] = [],
        ["Hearth.Images"] = ["Hearth.Oci", "Hearth.Linux"],
        ["Hearth.Network"] = ["Hearth.Linux"],
        ["Hearth.Agent.Protocol"] = ["Hearth.Ttrpc"],
        // Two sides of the task service, and what both know: docs/decisions/0017.
        ["Hearth.Configuration"] = [],
        ["Hearth.Shim.Protocol"] = ["Hearth.Ttrpc", "Hearth.Agent.Protocol"],
        ["Hearth.Shim"] = ["Hearth.Shim.Protocol", "Hearth.Agent.Protocol", "Hearth.Firecracker", "Hearth.Network", "Hearth.Oci", "Hearth.Configuration", "Hearth.Linux"],
        ["Hearth.Runtime"] = ["Hearth.Images", "Hearth.Network", "Hearth.Shim.Protocol", "Hearth.Oci", "Hearth.Configuration", "Hearth.Linux"],
        ["Hearth.Cri.Protocol"] = [],
        ["hearthd"] = ["Hearth.Runtime", "Hearth.Cri.Protocol"],
        ["hearth-oci"] = ["Hearth.Runtime"],
        ["hearth-shim"] = ["Hearth.Shim"],
        // Images directly for what needs no daemon (docs/decisions/0006); the rest through CRI.
        ["hearth"] = ["Hearth.Cri.Protocol", "Hearth.Runtime", "Hearth.Images", "Hearth.Configuration"],
        ["hearth-agent"] = ["Hearth.Agent.Protocol", "Hearth.Oci", "Hearth.Linux"],
    };

    // The monitor, the jailer and the agent: what runs beside or inside a hostile guest carries nobody else's code.
    private static readonly string[] s_withoutPackages =
    [
        "Hearth.Linux", "Hearth.Platform", "Hearth.Kvm", "Hearth.Legacy", "Hearth.Virtio", "Hearth.Vmm", "hearth-vmm",
        "hearth-jailer", "Hearth.Ttrpc", "Hearth.Oci", "Hearth.Agent.Protocol", "hearth-agent", "Hearth.Firecracker",
    ];

    // What they take all the same: docs/decisions/0012.
    private static readonly Dictionary<string, string[]> s_takenAllTheSame = new()
    {
        ["Hearth.Ttrpc"] = ["Google.Protobuf", "Grpc.Tools"],
        ["Hearth.Agent.Protocol"] = ["Google.Protobuf", "Grpc.Tools"],
    };

    // Laid out, and their tests on the way.
    private static readonly string[] s_awaitingTests = ["Hearth.Images.Tests"];

    public static IEnumerable<string> Arrows(IEnumerable<SourceFile> files)
    {
        foreach (SourceFile file in files.Where(static file => file.IsProject && file.IsUnder("src/")))
        {
            string project = NameOf(file.Path);
            if (!s_arrows.TryGetValue(project, out string[]? allowed))
            {
                yield return $"{file.Path}: a project that the table of arrows (ProjectRules.cs) does not know.";
                continue;
            }

            foreach (string target in Included(file, "ProjectReference").Select(NameOf).Except(allowed))
            {
                yield return $"{file.Path}: {project} must not reference {target}.";
            }
        }
    }

    public static IEnumerable<string> Packages(IEnumerable<SourceFile> files) =>
        from file in files
        where file.IsProject && file.IsUnder("src/") && s_withoutPackages.Contains(NameOf(file.Path))
        from package in Included(file, "PackageReference").Except(s_takenAllTheSame.GetValueOrDefault(NameOf(file.Path), []))
        select $"{file.Path}: takes the package {package}; the monitor and the agent take none.";

    public static IEnumerable<string> PackageReasons(IEnumerable<SourceFile> files)
    {
        SourceFile? list = files.SingleOrDefault(static file => file.Path == "Directory.Packages.props");
        bool reason = false;
        foreach (string line in list?.Lines ?? [])
        {
            if (line.Contains("<PackageVersion") && !reason)
            {
                yield return $"{list!.Path}: no comment says why: {line.Trim()}";
            }

            // One comment may stand for the lines that follow it.
            reason = line.Contains("<!--") || (reason && line.Contains("<PackageVersion"));
        }
    }

    public static IEnumerable<string> UnsafeProjects(IEnumerable<SourceFile> files) =>
        from file in files
        where file.IsUnder("src/") && (file.IsProject || file.Name.EndsWith(".props", StringComparison.Ordinal))
        where UnsafeAllowed().IsMatch(file.Text) && !s_unsafeProjects.Contains(NameOf(file.Path))
        select $"{file.Path}: AllowUnsafeBlocks is for {string.Join(", ", s_unsafeProjects)} only.";

    public static IEnumerable<string> Solution(IReadOnlyCollection<SourceFile> files)
    {
        string solution = files.Single(static file => file.Path == "Hearth.slnx").Text;
        return from file in files
               where file.IsProject && (file.IsUnder("src/") || file.IsUnder("tests/"))
               where !solution.Contains($"\"{file.Path}\"")
               select $"{file.Path}: not in Hearth.slnx, so nothing builds it.";
    }

    public static IEnumerable<string> TestProjects(IReadOnlyCollection<SourceFile> files)
    {
        foreach (SourceFile file in files.Where(static file => file.IsProject))
        {
            string project = NameOf(file.Path);
            string folder = file.Path[..^file.Name.Length];
            if (project.EndsWith(".Tests", StringComparison.Ordinal)
                && !s_awaitingTests.Contains(project)
                && !files.Any(test => test.IsUnder(folder) && test.IsCSharp && TestAttribute().IsMatch(test.Code)))
            {
                yield return $"{file.Path}: a test project without tests.";
            }

            if (file.IsUnder("src/Hearth.") && !files.Any(test => test.Path == $"tests/{project}.Tests/{project}.Tests.csproj"))
            {
                yield return $"{file.Path}: a library without tests/{project}.Tests.";
            }
        }
    }

    private static IEnumerable<string> Included(SourceFile project, string item) =>
        XDocument.Parse(project.Text).Descendants(item).Select(static element => (string?)element.Attribute("Include") ?? "?");

    private static string NameOf(string path) => Path.GetFileNameWithoutExtension(path.Replace('\\', '/'));

    [GeneratedRegex(@"<AllowUnsafeBlocks>\s*true", RegexOptions.IgnoreCase)]
    private static partial Regex UnsafeAllowed();

    [GeneratedRegex(@"\[(Fact|Theory)\b|: VirtioDeviceContract\b")]
    private static partial Regex TestAttribute();
}
