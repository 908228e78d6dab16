using System.Net.Sockets;

namespace Hearth.Linux.Tests;

public sealed class FileAllocationTests
{
    [Fact]
    public void A_hole_takes_no_room()
    {
        string path = Path.GetTempFileName();
        try
        {
            using (FileStream file = File.OpenWrite(path))
            {
                file.SetLength(1 << 30);
                file.Write(new byte[100_000]);
                file.Flush(flushToDisk: true);
            }

            Assert.InRange(FileAllocation.BytesOf(path), 100_000, 1 << 20);
        }
        finally
        {
            File.Delete(path);
        }
    }

    // Opened to be read, a socket fails and a pipe waits for a writer.
    [Fact]
    public void A_socket_and_a_link_to_nowhere_are_measured_too()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            string path = Path.Combine(folder, "socket");
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Bind(new UnixDomainSocketEndPoint(path));
            Assert.Equal(0, FileAllocation.BytesOf(path));
            File.CreateSymbolicLink(Path.Combine(folder, "link"), "/nowhere");
            Assert.InRange(FileAllocation.BytesOf(Path.Combine(folder, "link")), 0, 4096);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void What_is_not_there_is_said_so() =>
        Assert.Equal(Errno.ENOENT, Assert.Throws<LinuxException>(() => FileAllocation.BytesOf("/nowhere")).Errno);
}
