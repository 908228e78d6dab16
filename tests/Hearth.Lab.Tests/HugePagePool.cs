using System.Globalization;

namespace Hearth.Lab.Tests;

/// <summary>Pages of 2 MiB that the host sets aside, and takes back in the end. Source: the kernel's admin-guide/mm/hugetlbpage.</summary>
internal sealed class HugePagePool : IDisposable
{
    private const string Pool = "/proc/sys/vm/nr_hugepages";

    private readonly string _before = File.ReadAllText(Pool);

    public HugePagePool(int pages)
    {
        File.WriteAllText(Pool, pages.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(pages, int.Parse(File.ReadAllText(Pool), CultureInfo.InvariantCulture));
    }

    /// <summary>The KiB that a process has of a kind: <c>AnonHugePages</c>, or <c>Hugetlb</c>, whether shared or its own. Source: proc(5), smaps_rollup.</summary>
    public static int KibOf(int pid, string kind) =>
        File.ReadLines($"/proc/{pid}/smaps_rollup").Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(words => words[0].EndsWith(kind + ":", StringComparison.Ordinal)).Sum(static words => int.Parse(words[1], CultureInfo.InvariantCulture));

    public void Dispose() => File.WriteAllText(Pool, _before);
}
