namespace Hearth.Programs.Hearth.Streaming;

/// <summary>Finds Ctrl-P Ctrl-Q in what is typed: leave, and let the container run. A Ctrl-P alone goes through with the next key.</summary>
internal sealed class DetachKeys
{
    private const byte CtrlP = 0x10;
    private const byte CtrlQ = 0x11;

    private bool _held;

    /// <param name="typed">What came.</param>
    /// <param name="passed">Gets what goes on to the container.</param>
    /// <returns>True if the keys were typed: nothing after them counts.</returns>
    public bool Pass(ReadOnlySpan<byte> typed, List<byte> passed)
    {
        foreach (byte key in typed)
        {
            if (_held && key == CtrlQ)
            {
                return true;
            }

            if (_held)
            {
                passed.Add(CtrlP);
            }

            _held = key == CtrlP;
            if (!_held)
            {
                passed.Add(key);
            }
        }

        return false;
    }
}
