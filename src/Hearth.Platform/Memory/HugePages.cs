namespace Hearth.Platform.Memory;

/// <summary>
/// Which pages back guest memory: with large ones a guest that touches its memory for the first time is interrupted once for 2 MiB, not 512 times, and takes
/// 2 MiB of the host's at once. Source: Firecracker swagger MachineConfiguration.huge_pages.
/// </summary>
public enum HugePages
{
    /// <summary>What the host's own policy gives.</summary>
    None,

    /// <summary>
    /// Asked of the host: by <c>madvise</c>, which counts for memory of this process alone where
    /// <c>/sys/kernel/mm/transparent_hugepage/enabled</c> is not <c>never</c>, and for shared memory where <c>shmem_enabled</c> beside it is <c>advise</c>.
    /// </summary>
    Transparent,

    /// <summary>Pages of hugetlbfs, 2 MiB each, all of them set aside when the machine starts.</summary>
    Hugetlbfs2M,
}
