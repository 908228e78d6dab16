using Hearth.Linux;

namespace Hearth.Vmm.Mmds;

/// <summary>
/// The document would outgrow <c>--mmds-size-limit</c>. The API answers 413, the only failure that is not a 400.
/// Source: Firecracker <c>VmmActionError::MmdsLimitExceeded</c>.
/// </summary>
public sealed class MmdsLimitException : HearthException
{
    public MmdsLimitException()
        : base("MMDS limit exceeded error: The MMDS patch request doesn't fit.")
    {
    }
}
