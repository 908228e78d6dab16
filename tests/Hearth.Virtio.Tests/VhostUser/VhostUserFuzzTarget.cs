using System.Runtime.InteropServices;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Testing.Virtio;
using Hearth.Virtio.Block;
using Hearth.Virtio.Fs;
using Hearth.Virtio.Transport;
using Hearth.Virtio.VhostUser;

namespace Hearth.Virtio.Tests.VhostUser;

/// <summary>
/// Brings a device up, starts, resets and starts it again with a back end that says bytes of anybody's choice and
/// then no more.
/// <para>The first byte's bit 0 chooses the device; with bit 1 the back end hangs when it has said all, else it ends its
/// side of the connection. What follows is messages: a byte each of request, flags (0 for a good
/// answer's) and length, then the payload; request 0 is for bytes as they are.</para>
/// </summary>
public static class VhostUserFuzzTarget
{
    private const int MaxSaid = 64 * 1024;

    // One mouth for all runs: who connects hears what is to be said now.
    private static readonly EventLoop s_loop = new();
    private static readonly string s_path = Path.Combine(TemporaryFolder(), "socket");
    private static readonly UnixListener s_listener = UnixListener.Bind(s_path, 64);
    private static readonly List<UnixStream> s_heard = [];
    private static readonly Thread s_thread = Start();
    private static byte[] s_said = [];
    private static bool s_hangs;

    public static void Run(ReadOnlySpan<byte> input)
    {
        Assert.True(s_thread.IsAlive);
        byte choice = input.IsEmpty ? (byte)0 : input[0];
        bool isDrive = (choice & 1) != 0;
        Volatile.Write(ref s_hangs, (choice & 2) != 0);
        Volatile.Write(ref s_said, Say(input.IsEmpty ? [] : input[1..]));
        TimeSpan patience = s_hangs ? TimeSpan.FromMilliseconds(5) : TimeSpan.FromSeconds(5);
        VirtioDevice device;
        try
        {
            device = isDrive
                ? new VhostUserBlockDevice(new VhostUserBlockConfig { DriveId = "d", Socket = s_path }, patience)
                : new FsDevice("tag", s_path, patience);
        }
        catch (VhostUserException)
        {
            return;
        }

        using var bench = new DeviceBench(device, 16 << 20);
        for (int life = 0; life < 2; life++)
        {
            bench.Start(heapBytes: 64 << 10);
            Assert.Equal(DeviceStatus.DriverOk, bench.Driver.Status & DeviceStatus.DriverOk);
            bench.Driver.Ring(0);
            bench.Pump();
            lock (device.Gate)
            {
                _ = bench.Transport.Save();
            }

            bench.Pump();
            bench.Driver.Reset();
            Assert.Equal(DeviceStatus.None, bench.Driver.Status);
        }

        if (device is VhostUserBlockDevice drive)
        {
            try
            {
                drive.Refresh();
            }
            catch (VhostUserException)
            {
            }
        }
    }

    /// <summary>An answer as an input has it.</summary>
    internal static byte[] Answer(VhostUserRequest request, ReadOnlySpan<byte> payload) => [(byte)request, 0, (byte)payload.Length, .. payload];

    private static byte[] Say(ReadOnlySpan<byte> input)
    {
        var said = new List<byte>();
        Span<byte> header = stackalloc byte[VhostUserHeader.Bytes];
        while (input.Length >= 3 && said.Count < MaxSaid)
        {
            ReadOnlySpan<byte> payload = input[3..Math.Min(input.Length, 3 + input[2])];
            if (input[0] != 0)
            {
                uint flags = input[1] == 0 ? VhostUserHeader.Version | VhostUserHeader.Reply : input[1];
                MemoryMarshal.Write(header, new VhostUserHeader((VhostUserRequest)input[0], flags, (uint)payload.Length));
                said.AddRange(header);
            }

            said.AddRange(payload);
            input = input[(3 + payload.Length)..];
        }

        return [.. said];
    }

    private static string TemporaryFolder()
    {
        string folder = Directory.CreateTempSubdirectory("hearth-vhost-fuzz-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        return folder;
    }

    private static Thread Start()
    {
        s_loop.Add(s_listener, EpollEvents.In, new Mouth());
        var thread = new Thread(s_loop.Run) { IsBackground = true };
        thread.Start();
        return thread;
    }

    private sealed class Mouth : IEventHandler
    {
        public void OnReady(EpollEvents events)
        {
            if (s_listener.TryAccept() is not { } stream)
            {
                return;
            }

            byte[] said = Volatile.Read(ref s_said);
            if (said.Length > 0)
            {
                stream.Send(said);
            }

            if (!Volatile.Read(ref s_hangs))
            {
                // The other half stays open, so that the front end may go on talking.
                _ = SysSocket.shutdown(stream.Number, SysSocket.SHUT_WR);
            }

            s_heard.Add(stream);
            if (s_heard.Count > 8)
            {
                s_heard[0].Dispose();
                s_heard.RemoveAt(0);
            }
        }
    }
}
