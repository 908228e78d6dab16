using Hearth.Linux;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Actions;

/// <summary>
/// Runs actions before the microVM starts: they accumulate the validated configuration. Thread: the API thread.
/// </summary>
public sealed class PrebootController
{
    private readonly IMachineBuilder _builder;

    public PrebootController(VmResources resources, IMachineBuilder builder)
    {
        Resources = resources;
        _builder = builder;
    }

    /// <summary>What was configured so far.</summary>
    public VmResources Resources { get; }

    /// <summary>The machine, once <see cref="Start"/> succeeded: this controller's work is then done.</summary>
    public IVirtualMachine? Machine { get; private set; }

    public VmmResponse Run(VmmAction action)
    {
        try
        {
            return action.RunPreboot(this);
        }
        catch (HearthException failure)
        {
            return new VmmFault(failure.Message);
        }
    }

    /// <summary>Builds and starts the microVM from <see cref="Resources"/>.</summary>
    public VmmResponse Start()
    {
        if (Resources.BootSource is null)
        {
            return StartFault("Cannot start microvm without kernel configuration.");
        }

        try
        {
            Machine = _builder.Build(Resources);
            return VmmResponse.Empty;
        }
        catch (HearthException failure)
        {
            return StartFault(failure.Message);
        }
    }

    private static VmmFault StartFault(string cause) => new($"Start microvm error: {cause}");
}
