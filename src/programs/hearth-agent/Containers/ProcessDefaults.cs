using Hearth.Agent.Protocol;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Containers;

/// <summary>What a process's specification leaves to the runtime.</summary>
internal static class ProcessDefaults
{
    /// <summary>A specification with the user's numbers, and with the variables that every program expects.</summary>
    public static ProcessSpec Complete(ProcessSpec process, UserLookup? lookup, UserDatabase users)
    {
        if (process.Args.Count == 0 || process.Args[0].Length == 0)
        {
            throw new TtrpcException(StatusCode.InvalidArgument, "A process needs a program: process.args is empty.");
        }

        foreach (string text in process.Args.Concat(process.Env))
        {
            if (text.Contains('\0'))
            {
                throw new TtrpcException(StatusCode.InvalidArgument, "An argument or a variable has no NUL character.");
            }
        }

        UserSpec user = lookup is null ? process.User : users.Resolve(lookup, process.User);
        List<string> environment = [.. process.Env];
        AddUnlessSet(environment, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        AddUnlessSet(environment, "HOME", users.HomeOf(user.Uid) ?? "/");
        if (process.Terminal)
        {
            AddUnlessSet(environment, "TERM", "xterm");
        }

        return process with { User = user, Env = environment, Cwd = process.Cwd.Length == 0 ? "/" : process.Cwd };
    }

    /// <summary><c>CLONE_NEW*</c> of an OCI namespace type; 0 for those that have their own ways here.</summary>
    public static int NamespaceOf(string type) => type switch
    {
        "ipc" => Sched.CLONE_NEWIPC,
        "uts" => Sched.CLONE_NEWUTS,
        "network" => Sched.CLONE_NEWNET,
        "cgroup" => Sched.CLONE_NEWCGROUP,
        "mount" or "pid" => 0,
        "user" => throw new TtrpcException(StatusCode.InvalidArgument, "User namespaces are not supported: the container has a machine of its own."),
        _ => throw new TtrpcException(StatusCode.InvalidArgument, $"\"{type}\" is no namespace that is supported."),
    };

    private static void AddUnlessSet(List<string> environment, string name, string value)
    {
        if (!environment.Any(variable => variable.StartsWith(name + "=", StringComparison.Ordinal)))
        {
            environment.Add($"{name}={value}");
        }
    }
}
