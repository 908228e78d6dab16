using System.Net.Sockets;

namespace Hearth.Linux.Tests;

public sealed class CgroupCountersTests : IDisposable
{
    private readonly string _group = Directory.CreateTempSubdirectory("hearth-cgroup-").FullName;

    public void Dispose() => Directory.Delete(_group, recursive: true);

    [Fact]
    public void Files_of_the_group_are_read_and_what_is_not_there_is_nothing()
    {
        File.WriteAllText(Path.Combine(_group, "memory.stat"), "file 4096\nfile_mapped 12\nodd\n");
        File.WriteAllText(Path.Combine(_group, "pids.max"), "max\n");
        File.WriteAllText(Path.Combine(_group, "memory.peak"), "77\n");
        File.WriteAllText(Path.Combine(_group, "io.stat"), "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=9\n254:16 rbytes=10\n7:0 \n");

        Dictionary<string, ulong> counters = CgroupCounters.Of(_group, [], null);

        Assert.Equal((4096ul, 12ul, 0ul, 77ul, 0ul), (counters["memory.stat:file"], counters["memory.stat:file_mapped"], counters["pids.max"], counters["memory.peak"], counters["memory.swap.current"]));
        Assert.Equal((11ul, 2ul, 3ul, 4ul), (counters["io.stat:rbytes"], counters["io.stat:wbytes"], counters["io.stat:rios"], counters["io.stat:wios"]));
        Assert.DoesNotContain("io.stat:dbytes", counters.Keys);
        Assert.DoesNotContain("fs.bytes", counters.Keys);
        Assert.DoesNotContain(counters.Keys, static key => key.StartsWith("cpu.stat", StringComparison.Ordinal));
    }

    [Fact]
    public void Processes_are_counted_with_what_they_have_open()
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        Dictionary<string, ulong> counters = CgroupCounters.Of(_group, [Environment.ProcessId, int.MaxValue], _group);

        Assert.Equal(2ul, counters["processes"]);
        Assert.True(counters["threads"] > 1 && counters["file_descriptors"] > 2 && counters["sockets"] > 0 && counters["fs.bytes"] > 0, string.Join(' ', counters));
    }
}
