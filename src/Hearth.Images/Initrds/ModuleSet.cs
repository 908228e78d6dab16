namespace Hearth.Images.Initrds;

/// <summary>
/// The modules of one kernel version and what each needs, as <c>depmod</c> wrote them down in <c>modules.dep</c>,
/// <c>modules.softdep</c>, <c>modules.alias</c> and <c>modules.builtin</c>. Source: modules.dep(5), modprobe.d(5).
/// </summary>
public sealed class ModuleSet
{
    private readonly Dictionary<string, Module> _modules = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<string>> _softNeeds = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<string>> _aliases = new(StringComparer.Ordinal);
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
            set.ReadNeeds();
            set.ReadSoftNeeds();
            set.ReadAliases();
            set._builtin.UnionWith(set.Lines("modules.builtin").Select(NameOf));
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
        var visited = new HashSet<string>(StringComparer.Ordinal);
        foreach (string name in names)
        {
            Visit(Canonical(name), order, visited);
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
        // A package may be anyone's: neither its lists nor its links may name the host's files.
        if (!full.StartsWith(Path.GetFullPath(_folder) + "/", StringComparison.Ordinal) || new FileInfo(full).LinkTarget is not null)
        {
            throw new ImageException($"{_folder}/modules.dep names {relative}, which lies outside. The package is damaged.");
        }

        return full;
    }

    private void ReadNeeds()
    {
        foreach (string line in File.ReadLines(Path.Combine(_folder, "modules.dep")))
        {
            int colon = line.IndexOf(':');
            if (colon <= 0)
            {
                throw new ImageException($"{_folder}/modules.dep has a line without a colon: \"{line}\". Run depmod again.");
            }

            string path = line[..colon];
            _modules[NameOf(path)] = new Module(path, line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        }
    }

    // softdep ext4 pre: crc32c post: x
    private void ReadSoftNeeds()
    {
        foreach (string line in Lines("modules.softdep"))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 3 || words[0] != "softdep")
            {
                continue;
            }

            IEnumerable<string> before = words.Skip(2).SkipWhile(w => w != "pre:").Skip(1).TakeWhile(w => w != "post:");
            AddTo(_softNeeds, Canonical(words[1]), before.Select(Canonical));
        }
    }

    // alias crypto-crc32c crc32c_generic; those with wildcards are for devices.
    private void ReadAliases()
    {
        foreach (string line in Lines("modules.alias"))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 3 && words[0] == "alias" && words[1].AsSpan().IndexOfAny("*?[") < 0)
            {
                AddTo(_aliases, Canonical(words[1]), [Canonical(words[2])]);
            }
        }
    }

    private static void AddTo(Dictionary<string, List<string>> table, string key, IEnumerable<string> values)
    {
        if (!table.TryGetValue(key, out List<string>? list))
        {
            table[key] = list = [];
        }

        list.AddRange(values);
    }

    private IEnumerable<string> Lines(string file)
    {
        string path = Path.Combine(_folder, file);
        return File.Exists(path) ? File.ReadLines(path) : [];
    }

    private void Visit(string name, List<string> order, HashSet<string> visited)
    {
        // A module that needs itself by a detour is depmod's bug; each file is taken once all the same.
        if (!visited.Add(name))
        {
            return;
        }

        if (!_modules.TryGetValue(name, out Module? module))
        {
            foreach (string real in _aliases.GetValueOrDefault(name, []))
            {
                Visit(real, order, visited);
            }

            return;
        }

        foreach (string needed in _softNeeds.GetValueOrDefault(name, []).Concat(module.Needs.Select(NameOf)))
        {
            Visit(needed, order, visited);
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
