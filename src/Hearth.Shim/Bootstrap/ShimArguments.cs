using Hearth.Linux;

namespace Hearth.Shim.Bootstrap;

/// <summary>
/// How a shim is called: flags as Go's package reads them (one dash or two, the value behind <c>=</c> or as the next argument),
/// and then an action. Source: containerd, docs/runtime-v2.md.
/// </summary>
public sealed record ShimArguments
{
    public string Namespace { get; init; } = "";

    public string Id { get; init; } = "";

    /// <summary>Whose container that is: said to <c>clean-up</c> alone, because the bundle may be gone by then.</summary>
    public string Pod { get; init; } = "";

    /// <summary>Empty: the working directory.</summary>
    public string Bundle { get; init; } = "";

    /// <summary>Where to listen; empty for the usual place.</summary>
    public string Socket { get; init; } = "";

    public string Address { get; init; } = "";

    /// <summary>Which program of its manager's was opened for the shim: said by <c>start</c> alone. See <see cref="Machine.ManagerProgram"/>.</summary>
    public string HookProgram { get; init; } = "";

    public bool Debug { get; init; }

    public bool Info { get; init; }

    public bool Version { get; init; }

    /// <summary><c>start</c>, <c>delete</c>, <c>clean-up</c> (which <c>delete</c> itself starts), or nothing: to be the shim.</summary>
    public string Action { get; init; } = "";

    /// <exception cref="HearthException">An argument is not known, or lacks its value.</exception>
    public static ShimArguments Parse(IReadOnlyList<string> arguments)
    {
        var parsed = new ShimArguments { Namespace = Environment.GetEnvironmentVariable("NAMESPACE") ?? "" };
        int i = 0;
        for (; i < arguments.Count && arguments[i].StartsWith('-'); i++)
        {
            string[] parts = arguments[i].TrimStart('-').Split('=', 2);
            string name = parts[0];
            if (name is "debug" or "info" or "v" or "version")
            {
                bool value = parts.Length == 1 || parts[1] is "1" or "t" or "true" or "T" or "TRUE" or "True";
                parsed = name switch
                {
                    "debug" => parsed with { Debug = value },
                    "info" => parsed with { Info = value },
                    _ => parsed with { Version = value },
                };
                continue;
            }

            if (parts.Length == 1 && i + 1 >= arguments.Count)
            {
                throw new HearthException($"The flag -{name} needs a value.");
            }

            string text = parts.Length == 2 ? parts[1] : arguments[++i];
            parsed = name switch
            {
                "namespace" => parsed with { Namespace = text },
                "id" => parsed with { Id = text },
                "pod" => parsed with { Pod = text },
                "bundle" => parsed with { Bundle = text },
                "socket" => parsed with { Socket = text },
                "address" => parsed with { Address = text },
                "hook-program" => parsed with { HookProgram = text },
                // Events go by TTRPC_ADDRESS.
                "publish-binary" => parsed,
                _ => throw new HearthException($"There is no flag -{name}. The shim is called by containerd, CRI-O or hearthd: -namespace NS -id ID start|delete, -info, -v."),
            };
        }

        string[] actions = [.. arguments.Skip(i)];
        return actions switch
        {
            [] => parsed,
            ["start" or "delete" or "clean-up"] => parsed with { Action = actions[0] },
            _ => throw new HearthException($"\"{string.Join(' ', actions)}\" is no action: it is \"start\" or \"delete\"."),
        };
    }
}
