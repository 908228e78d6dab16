using Hearth.Linux;
using Hearth.Programs.Agent;
using Hearth.Programs.Agent.Setup;

// The same program three times: process 1 of the guest, what sets a container's process up and becomes it, and process 1 of
// a pid namespace that the containers of a pod share.
return args switch
{
    [SetupRole.Argument] => SetupRole.Run(),
    [PauseRole.Argument] => PauseRole.Run(),
    _ => Run(args),
};

static int Run(string[] args)
{
    try
    {
        AgentProcess.Run(AgentOptions.Parse(args));
        return 0;
    }
    catch (Exception e) when (e is HearthException or IOException)
    {
        AgentLog.Error(e.Message);
        return 1;
    }
}
