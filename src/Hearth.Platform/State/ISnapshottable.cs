namespace Hearth.Platform.State;

/// <summary>
/// Something whose guest-visible state a snapshot keeps. <typeparamref name="TState"/> is a plain record beside it;
/// only the snapshot file knows versions and bytes.
/// <para>Thread: with the guest paused and the owner's lock held.</para>
/// </summary>
public interface ISnapshottable<TState>
    where TState : class
{
    TState Save();

    /// <summary>Takes over a saved state. It comes from a file, so it is checked as if a guest had sent it.</summary>
    /// <exception cref="Linux.HearthException">The state is none that <see cref="Save"/> could have made.</exception>
    void Restore(TState state);
}
