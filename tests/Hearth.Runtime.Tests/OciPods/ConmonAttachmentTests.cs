using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Hearth.Linux;
using Hearth.Runtime.OciPods;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Tests.OciPods;

public sealed class ConmonAttachmentTests : IDisposable
{
    // Longer than a socket's address may be.
    private readonly string _folder = Directory.CreateDirectory(Path.Combine(Directory.CreateTempSubdirectory("hearth-conmon-").FullName, new string('x', 100))).FullName;

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_folder)!, recursive: true);

    [Fact]
    public async Task Packets_go_to_the_stream_they_are_marked_for_and_input_comes_in_pieces_that_fit()
    {
        using Socket conmon = Listen();
        await using ConmonAttachment session = ConmonAttachment.Connect(_folder, stdin: true, stdout: true, stderr: true, static _ => Task.FromResult(3));
        using Socket client = await conmon.AcceptAsync();

        client.Send([2, .. "out"u8]);
        client.Send([3, .. "err"u8]);
        client.Send([9, .. "what"u8]);
        client.Send([2, .. "put"u8]);
        byte[] input = new byte[20_000];
        Random.Shared.NextBytes(input);
        Task writing = session.Stdin!.WriteAsync(input).AsTask();
        byte[] received = new byte[64_000];
        var all = new List<byte>();
        while (all.Count < input.Length)
        {
            int count = await client.ReceiveAsync(received);
            Assert.InRange(count, 1, 8192);
            all.AddRange(received.AsSpan(0, count));
        }

        await writing;
        Assert.Equal(input, all);
        session.Stdin.Dispose();
        Assert.Equal(0, await client.ReceiveAsync(received));
        client.Dispose();
        Assert.Equal("output", await new StreamReader(session.Stdout!).ReadToEndAsync());
        Assert.Equal("err", await new StreamReader(session.Stderr!).ReadToEndAsync());
        Assert.Equal(3, await session.WaitAsync());
    }

    [Fact]
    public void Where_nobody_listens_there_is_nothing_to_attach_to()
    {
        PodException refused = Assert.Throws<PodException>(() => ConmonAttachment.Connect(_folder, true, true, true, static _ => Task.FromResult(0)));

        Assert.Equal(PodFault.FailedPrecondition, refused.Fault);
    }

    [Fact]
    public async Task The_end_of_somebody_elses_process_is_told_once()
    {
        using Process sleeper = Process.Start("sleep", ["1000"]);
        var watch = new ProcessWatch();
        var ended = new TaskCompletionSource();
        using FileDescriptor? wrong = HostProcess.TryOpen(sleeper.Id, "1001");
        Assert.Null(wrong);
        FileDescriptor? process = HostProcess.TryOpen(sleeper.Id, "1000");
        Assert.NotNull(process);
        watch.Add(process, ended.SetResult);
        IDisposable other = watch.Add(ChildProcess.OpenPidfd(sleeper.Id), static () => Assert.Fail("It was let go of."));
        other.Dispose();

        HostProcess.Kill(sleeper.Id);

        await ended.Task.WaitAsync(TimeSpan.FromMinutes(2));
        await sleeper.WaitForExitAsync();
        HostProcess.Kill(sleeper.Id);
        Assert.Null(HostProcess.TryOpen(0, "x"));
    }

    [Fact]
    public void A_control_line_for_a_conmon_that_is_gone_is_no_error()
    {
        ConmonControl.Write(Path.Combine(_folder, "ctl"), "1 2 3\n");

        Assert.Equal(0, HostProcess.ReadPid(Path.Combine(_folder, "pid")));
        File.WriteAllText(Path.Combine(_folder, "pid"), "12\n", Encoding.ASCII);
        Assert.Equal(12, HostProcess.ReadPid(Path.Combine(_folder, "pid")));
    }

    private Socket Listen()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
        using FileDescriptor where = FileDescriptor.Open(_folder, 0);
        socket.Bind(new UnixDomainSocketEndPoint($"{Mounts.PathOf(where)}/attach"));
        socket.Listen();
        return socket;
    }
}
