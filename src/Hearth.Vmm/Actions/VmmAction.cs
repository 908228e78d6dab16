namespace Hearth.Vmm.Actions;

/// <summary>
/// One thing a user asks of the monitor: the waist that REST, the config file and tests share. Each case is a sealed
/// record in its endpoint's file (<c>Api/Endpoints</c>) and overrides the phases it is allowed in.
/// <para>Errors: a <see cref="VmmFault"/>, or a <see cref="Linux.HearthException"/>, which the controllers turn into one.</para>
/// <para>Thread: the API thread.</para>
/// </summary>
public abstract record VmmAction
{
    /// <summary>Runs the action before InstanceStart; refused unless a case says otherwise.</summary>
    public virtual VmmResponse RunPreboot(PrebootController preboot) => VmmFault.NotBeforeStart;

    /// <summary>Runs the action after InstanceStart; refused unless a case says otherwise.</summary>
    public virtual VmmResponse RunRuntime(RuntimeController runtime) => VmmFault.NotAfterStart;
}
