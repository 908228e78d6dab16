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

    [Fact]
    public void A_socket_and_a_link_to_nowhere_take_no_room()
    {
        string folder = Directory.CreateTempSubdirectory("hearth-allocation-").FullName;
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Bind(new UnixDomainSocketEndPoint(Path.Combine(folder, "s")));
            File.CreateSymbolicLink(Path.Combine(folder, "l"), "/nowhere");
            Assert.Equal(0, FileAllocation.BytesOf(Path.Combine(folder, "s")));
            Assert.Equal(0, FileAllocation.BytesOf(Path.Combine(folder, "l")));
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
