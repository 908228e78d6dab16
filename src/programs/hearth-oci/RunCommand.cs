using Hearth.Linux;

namespace Hearth.Programs.Oci;

/// <summary><c>run</c>: create, start, wait and delete in one.</summary>
internal static class RunCommand
{
    public static async Task<int> RunAsync(StateFolder states, Arguments arguments)
    {
        ContainerState state = await CreateCommand.RunAsync(states, arguments);
        bool keep = false;
        try
        {
            await LifeCommands.StartAsync(state, states);
            if (arguments.Flag("detach", "d"))
            {
                keep = true;
                return 0;
            }

            return ChildProcess.Reap(state.Pid);
        }
        finally
        {
            if (!keep && !arguments.Flag("keep"))
            {
                await LifeCommands.DeleteAsync(states, state.Id, force: true);
            }
        }
    }
}
