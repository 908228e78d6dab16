using System.Runtime.InteropServices;
using Hearth.Virtio.VhostUser;

namespace Hearth.Virtio.Tests.VhostUser;

public class HostileBackEndTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_back_end_may_stop_talking_after_any_of_its_answers(byte device)
    {
        List<byte[]> session = Session((device & 1) == 1);
        for (int length = 0; length <= session.Count; length++)
        {
            VhostUserFuzzTarget.Run([device, .. session.Take(length).SelectMany(static m => m)]);
        }
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
