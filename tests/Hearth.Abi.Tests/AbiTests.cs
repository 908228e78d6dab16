using System.Reflection;
using System.Runtime.InteropServices;

namespace Hearth.Abi.Tests;

/// <summary>Everything in a <c>Native</c> namespace says what the C headers of this machine say.</summary>
public sealed class AbiTests
{
    private static readonly Type[] s_mirrors =
    [
        .. from path in Directory.GetFiles(AppContext.BaseDirectory, "Hearth.*.dll")
           let name = Path.GetFileNameWithoutExtension(path)
           where name != typeof(AbiTests).Assembly.GetName().Name
           from type in Assembly.Load(name).GetTypes()
           where type.Namespace?.EndsWith(".Native", StringComparison.Ordinal) == true && !type.IsNested
           select type,
        typeof(Linux.Errno),
    ];

    public static TheoryData<string> MirrorNames => [.. s_mirrors.Where(static type => CMirror.Source(type) is not null).Select(static type => type.FullName!)];

    [Theory]
    [MemberData(nameof(MirrorNames))]
    public void A_mirror_is_what_the_headers_say(string name)
    {
        Type type = s_mirrors.Single(type => type.FullName == name);

        string complaints = CCompiler.Complaints(CMirror.Source(type)!);

        Assert.True(complaints.Length == 0, $"{name}: {complaints}\nIf a name is unknown, its header is missing in CNames.cs.");
    }

    [Fact]
    public void The_mirrors_are_found()
    {
        Assert.Contains(typeof(Linux.Native.epoll_event), s_mirrors);
        Assert.Contains(typeof(Kvm.Native.kvm_run), s_mirrors);
        Assert.Contains(typeof(Kvm.Native.KvmIoctls).FullName!, MirrorNames.Select(static row => row.Data));
    }

    [Theory]
    [InlineData(typeof(Wrong.Constants), "O_CREAT is not 65")]
    [InlineData(typeof(Wrong.pollfd), "pollfd.revents is at 8")]
    [InlineData(typeof(Wrong.timespec), "timespec.tv_nsec has 4 bytes")]
    [InlineData(typeof(Wrong.iovec), "iovec has 24 bytes")]
    [InlineData(typeof(Wrong.tm), "no member named")]
    public void A_mirror_that_is_wrong_is_found(Type wrong, string complaint) =>
        Assert.Contains(complaint, CCompiler.Complaints(CMirror.Source(wrong)!), StringComparison.Ordinal);

    private static class Wrong
    {
        public static class Constants
        {
            public const int O_CREAT = 65;
        }

        [StructLayout(LayoutKind.Sequential)]
        public struct pollfd
        {
            public int fd;
            public int events;
            public short revents;
        }

        [StructLayout(LayoutKind.Sequential, Size = 16)]
        public struct timespec
        {
            public long tv_sec;
            public int tv_nsec;
        }

        [StructLayout(LayoutKind.Sequential, Size = 24)]
        public struct iovec
        {
            public nint iov_base;
            public nint iov_len;
        }

        [StructLayout(LayoutKind.Sequential)]
        public struct tm
        {
            public int tm_fortnight;
        }
    }
}
