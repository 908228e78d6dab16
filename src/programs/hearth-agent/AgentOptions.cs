namespace Hearth.Programs.Agent;

/// <summary>
/// How the agent is started. In a guest with nothing; elsewhere, for tests, with <c>--listen DIR</c>: then it is no machine's
/// first process, mounts only what is its own, and its ports are Unix sockets DIR/PORT.
/// </summary>
internal sealed record AgentOptions
{
    /// <summary>The directory of Unix sockets; null for vsock.</summary>
    public string? ListenDirectory { get; init; }

    /// <summary>The name of the cgroup that all containers are in.</summary>
    public string CgroupName { get; init; } = "hearth";

    public bool IsGuest => ListenDirectory is null;

    public static AgentOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = new AgentOptions();
        for (int i = 0; i < arguments.Count; i++)
        {
            switch (arguments[i])
            {
                case "--listen" when i + 1 < arguments.Count:
                    options = options with { ListenDirectory = arguments[++i] };
                    break;
                case "--cgroup" when i + 1 < arguments.Count:
                    options = options with { CgroupName = arguments[++i] };
                    break;
                default:
                    // The kernel hands process 1 what it did not understand of its own command line.
                    AgentLog.Error($"Passing over the argument \"{arguments[i]}\".");
                    break;
            }
        }

        return options;
    }
}
