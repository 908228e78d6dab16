using Hearth.Linux;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Actions;

/// <summary>Runs actions on a started microVM. Thread: the API thread.</summary>
public sealed class RuntimeController
{
    public RuntimeController(IVirtualMachine machine, VmResources resources)
    {
        Machine = machine;
        Resources = resources;
    }

    public IVirtualMachine Machine { get; }

    /// <summary>What the machine was built from, kept up to date by the actions that change it.</summary>
    public VmResources Resources { get; }

    public VmmResponse Run(VmmAction action)
    {
        try
        {
            return action.RunRuntime(this);
        }
        catch (HearthException failure)
        {
            return new VmmFault(failure.Message);
        }
    }
}
