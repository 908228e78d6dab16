using System.Diagnostics.CodeAnalysis;
using Hearth.Linux;

namespace Hearth.Kvm;

/// <summary>KVM refused: names the ioctl, its argument, the error number and what to do.</summary>
public sealed class KvmException : HearthException
{
    public KvmException(string message)
        : base(message)
    {
    }

    public KvmException(string ioctl, string argument, Errno errno, string? remedy = null)
        : base(Format(ioctl, argument, errno, remedy))
    {
        Ioctl = ioctl;
        Errno = errno;
    }

    /// <summary>The request that failed, such as <c>KVM_CREATE_VM</c>; null where KVM was not even asked.</summary>
    public string? Ioctl { get; }

    /// <summary>What the kernel answered.</summary>
    public Errno Errno { get; }

    [DoesNotReturn]
    internal static void ThrowLast(string ioctl, string argument, string? remedy = null) =>
        throw new KvmException(ioctl, argument, LinuxException.LastErrno, remedy);

    private static string Format(string ioctl, string argument, Errno errno, string? remedy)
    {
        string what = argument.Length == 0 ? ioctl : $"{ioctl} ({argument})";
        string text = $"{what} failed: {LinuxException.Describe(errno)} (os error {(int)errno}).";
        return remedy is null ? text : $"{text} {remedy}";
    }
}
