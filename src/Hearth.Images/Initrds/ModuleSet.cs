namespace Hearth.Images.Initrds;

/// <summary>
/// The modules of one kernel version and what each needs, as <c>depmod</c> wrote them down in <c>modules.dep</c> and
/// <c>modules.builtin</c>.
/// </summary>
public sealed class ModuleSet
{
    private readonly Dictionary<string, Module> _modules = new(StringComparer.Ordinal);
    private readonly HashSet<string> _builtin = new(StringComparer.Ordinal);
    private readonly string _folder;

    private ModuleSet(string folder) => _folder = folder;

    /// <param name="folder">The version's folder: <c>lib/modules/6.1.0-30-cloud-amd64</c>.</param>
    /// <exception cref="ImageException">The lists are missing or broken.</exception>
    public static ModuleSet Load(string folder)
    {
        var set = new ModuleSet(folder);
        try
        {
            foreach (string line in File.ReadLines(Path.Combine(folder, "modules.dep")))
            {
                int colon = line.IndexOf(':');
                if (colon <= 0)
                {
                    throw new ImageException($"{folder}/modules.dep has a line without a colon: \"{line}\". Run depmod again.");
                }

                string path = line[..colon];
                set._modules[NameOf(path)] = new Module(path, line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries));
            }

            string builtin = Path.Combine(folder, "modules.builtin");
            if (File.Exists(builtin))
            {
                set._builtin.UnionWith(File.ReadLines(builtin).Select(NameOf));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ImageException($"Cannot read the module lists of {folder}: {e.Message}", e);
        }

        return set;
    }

    /// <summary>
    /// The files to insert, each after what it needs, for those of <paramref name="names"/> that exist. A name that is
    /// built in, or that this kernel does not have, adds nothing.
    /// </summary>
    public IReadOnlyList<string> Resolve(IEnumerable<string> names)
    {
        var order = new List<string>();
        var visiting = new HashSet<string>(StringComparer.Ordinal);
        foreach (string name in names)
        {
            Visit(Canonical(name), order, visiting);
        }

        return order;
    }

    /// <summary>Whether the kernel has it, built in or as a module.</summary>
    public bool Has(string name) => _builtin.Contains(Canonical(name)) || _modules.ContainsKey(Canonical(name));

    /// <summary>The full path of a file that <see cref="Resolve"/> named.</summary>
    /// <exception cref="ImageException">The list names a file outside its folder.</exception>
    public string FullPath(string relative)
    {
        string full = Path.GetFullPath(Path.Combine(_folder, relative));
        if (!full.StartsWith(Path.GetFullPath(_folder) + "/", StringComparison.Ordinal))
        {
            throw new ImageException($"{_folder}/modules.dep names {relative}, which lies outside. The package is damaged.");
        }

        return full;
    }

    private void Visit(string name, List<string> order, HashSet<string> visiting)
    {
        // A module that needs itself by a detour is depmod's bug; each file is taken once all the same.
        if (!_modules.TryGetValue(name, out Module? module) || !visiting.Add(name))
        {
            return;
        }

        foreach (string needed in module.Needs)
        {
            Visit(NameOf(needed), order, visiting);
        }

        order.Add(module.Path);
    }

    private static string NameOf(string path)
    {
        string file = Path.GetFileName(path);
        int end = file.IndexOf(".ko", StringComparison.Ordinal);
        return Canonical(end < 0 ? file : file[..end]);
    }

    // Module names treat both dashes alike.
    private static string Canonical(string name) => name.Replace('-', '_');

    private sealed record Module(string Path, string[] Needs);
}
