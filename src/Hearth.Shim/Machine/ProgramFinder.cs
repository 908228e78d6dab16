using Hearth.Linux;

namespace Hearth.Shim.Machine;

/// <summary>Finds the programs that the configuration names.</summary>
internal static class ProgramFinder
{
    /// <summary>A path as it is; a name beside the running program, then on PATH.</summary>
    /// <param name="name">What the configuration says.</param>
    /// <param name="key">Its key there.</param>
    /// <exception cref="HearthException">There is no such program.</exception>
    public static string Find(string name, string key)
    {
        if (name.Contains('/'))
        {
            return File.Exists(name) ? name : throw new HearthException($"There is no program {name}: correct {key} of [microvm] in hearth.toml.");
        }

        string beside = Path.GetDirectoryName(Environment.ProcessPath) ?? "/";
        string path = Environment.GetEnvironmentVariable("PATH") is { Length: > 0 } set ? set : "/usr/local/bin:/usr/bin:/bin";
        foreach (string folder in path.Split(':', StringSplitOptions.RemoveEmptyEntries).Prepend(beside))
        {
            string candidate = Path.Combine(folder, name);
            if (File.Exists(candidate))
            {
                return candidate;
            }
        }

        throw new HearthException($"There is no program \"{name}\" beside {Environment.ProcessPath} or on PATH: install it, or set {key} of [microvm] in hearth.toml.");
    }
}
