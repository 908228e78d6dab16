using Hearth.Oci.Runtime;

namespace Hearth.Oci.Tests;

public sealed class CgroupLimitsTests
{
    [Fact]
    public void Each_limit_is_written_as_version_2_counts()
    {
        var resources = new ResourcesSpec
        {
            Cpu = new CpuSpec { Shares = 1024, Quota = 50_000, Idle = 1, Cpus = "0-1", Mems = "0" },
            Memory = new MemorySpec { Limit = 100, Reservation = 50, Swap = 150 },
            Pids = new PidsSpec { Limit = 7 },
            HugepageLimits = [new HugepageLimitSpec { PageSize = "2MB", Limit = 9 }],
            Unified = new Dictionary<string, string> { ["memory.high"] = "8" },
        };

        Assert.Equal(
            [
                ("cpu.weight", "39"), ("cpu.max", "50000 100000"), ("cpu.idle", "1"), ("cpuset.cpus", "0-1"), ("cpuset.mems", "0"),
                ("memory.max", "100"), ("memory.low", "50"), ("memory.swap.max", "50"), ("pids.max", "7"), ("hugetlb.2MB.max", "9"), ("memory.high", "8"),
            ],
            CgroupLimits.Of(resources));
    }

    [Fact]
    public void No_limit_is_said_and_what_is_not_said_stays()
    {
        Assert.Empty(CgroupLimits.Of(new ResourcesSpec { Cpu = new CpuSpec { Shares = 0 }, Memory = new MemorySpec { Limit = 0, Swap = 0 } }));
        Assert.Equal(
            [("cpu.max", "max 1000"), ("memory.max", "max"), ("memory.swap.max", "max"), ("pids.max", "max")],
            CgroupLimits.Of(new ResourcesSpec { Cpu = new CpuSpec { Quota = -1, Period = 1000 }, Memory = new MemorySpec { Limit = -1, Swap = -1 }, Pids = new PidsSpec { Limit = -1 } }));
    }

    [Theory]
    [InlineData(1, "1")]
    [InlineData(2, "1")]
    [InlineData(262_144, "10000")]
    [InlineData(ulong.MaxValue, "10000")]
    public void Shares_stay_within_weights(ulong shares, string weight) =>
        Assert.Equal([("cpu.weight", weight)], CgroupLimits.Of(new ResourcesSpec { Cpu = new CpuSpec { Shares = shares } }));

    [Theory]
    [InlineData("../other/memory.max")]
    [InlineData("cgroup.procs")]
    public void What_is_no_limit_is_refused_by_name(string file)
    {
        FormatException error = Assert.Throws<FormatException>(() => CgroupLimits.Of(new ResourcesSpec { Unified = new Dictionary<string, string> { [file] = "1" } }));
        Assert.Contains(file, error.Message, StringComparison.Ordinal);
    }
}
