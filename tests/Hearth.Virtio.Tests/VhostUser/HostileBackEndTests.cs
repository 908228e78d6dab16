using System.Runtime.InteropServices;
using CsCheck;
using Hearth.Virtio.VhostUser;

namespace Hearth.Virtio.Tests.VhostUser;

public class HostileBackEndTests
{
    [Theory]
    [InlineData(0, 300)]
    [InlineData(1, 300)]
    [InlineData(2, 60)]
    [InlineData(3, 60)]
    public void Whatever_a_back_end_says_the_monitor_goes_on(byte device, int runs)
    {
        List<byte[]> session = Session((device & 1) == 1);
        // A good session, its prefixes, and mutations of it.
        for (int length = 0; length <= session.Count; length++)
        {
            VhostUserFuzzTarget.Run([device, .. session.Take(length).SelectMany(static m => m)]);
        }

        byte[] good = [device, .. session.SelectMany(static m => m)];
        Gen.Select(Gen.Int[0, good.Length - 1], Gen.Byte).Array[1, 4].Sample(
            changes =>
            {
                byte[] bad = [.. good];
                foreach ((int at, byte value) in changes)
                {
                    bad[at] = value;
                }

                VhostUserFuzzTarget.Run(bad);
            },
            iter: runs,
            threads: 1);
        Gen.Byte.Array[0, 200].Sample(bytes => VhostUserFuzzTarget.Run(bytes), iter: runs, threads: 1);
    }

    [Fact]
    public void Messages_have_the_protocol_s_sizes()
    {
        Assert.Equal(VhostUserHeader.Bytes, Marshal.SizeOf<VhostUserHeader>());
        Assert.Equal(8, Marshal.SizeOf<VringState>());
        Assert.Equal(40, Marshal.SizeOf<VringAddress>());
        Assert.Equal(32, Marshal.SizeOf<MemoryRegionEntry>());
        Assert.Equal(ConfigRange.Bytes, Marshal.SizeOf<ConfigRange>());
    }

    // What a back end with acknowledgements answers from the first connection to the second start.
    private static List<byte[]> Session(bool isDrive)
    {
        int queues = isDrive ? 1 : 2;
        byte[] ok = new byte[8];
        byte[] config = new byte[ConfigRange.Bytes + 60];
        MemoryMarshal.Write(config, new ConfigRange(0, 60, 0));
        List<byte[]> session =
        [
            Number(VhostUserRequest.GetFeatures, VirtioFeatures.Common | VhostUserConnection.ProtocolFeaturesBit),
            Number(VhostUserRequest.GetProtocolFeatures, ulong.MaxValue),
            Number(VhostUserRequest.GetQueueNum, 2),
        ];
        if (isDrive)
        {
            session.Add(VhostUserFuzzTarget.Answer(VhostUserRequest.GetConfig, config));
        }

        VhostUserRequest[] start =
        [
            VhostUserRequest.SetVringNum, VhostUserRequest.SetVringAddr, VhostUserRequest.SetVringBase, VhostUserRequest.SetVringCall,
            VhostUserRequest.SetVringKick, VhostUserRequest.SetVringEnable,
        ];
        for (int life = 0; life < 2; life++)
        {
            session.Add(VhostUserFuzzTarget.Answer(VhostUserRequest.SetFeatures, ok));
            session.Add(VhostUserFuzzTarget.Answer(VhostUserRequest.SetMemTable, ok));
            session.AddRange(Enumerable.Repeat(start, queues).SelectMany(static s => s).Select(r => VhostUserFuzzTarget.Answer(r, ok)));
            // Saved, started again, reset.
            session.AddRange(Stops(queues));
            session.AddRange(Enumerable.Repeat(start, queues).SelectMany(static s => s).Select(r => VhostUserFuzzTarget.Answer(r, ok)));
            session.AddRange(Stops(queues));
        }

        return session;
    }

    private static IEnumerable<byte[]> Stops(int queues) =>
        Enumerable.Range(0, queues).Select(static q => VhostUserFuzzTarget.Answer(VhostUserRequest.GetVringBase, [(byte)q, 0, 0, 0, 0, 0, 0, 0]));

    private static byte[] Number(VhostUserRequest request, ulong value) =>
        VhostUserFuzzTarget.Answer(request, MemoryMarshal.AsBytes([value]));
}
