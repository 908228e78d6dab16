namespace Hearth.Vmm.Actions;

/// <summary>Runs each action in the phase the microVM is in. Thread: the API thread.</summary>
public sealed class VmmController
{
    private readonly PrebootController _preboot;
    private RuntimeController? _runtime;

    public VmmController(PrebootController preboot) => _preboot = preboot;

    public VmmResponse Run(VmmAction action)
    {
        if (_runtime is not null)
        {
            return _runtime.Run(action);
        }

        VmmResponse response = _preboot.Run(action);
        if (_preboot.Machine is not null)
        {
            _runtime = new RuntimeController(_preboot.Machine, _preboot.Resources);
        }

        return response;
    }
}
