using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Linux.Netlink;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Guest;

/// <summary>
/// Devices that stand ready for links which come when the machine runs: no monitor can add one then. They wait in a network namespace
/// of their own, so that containers see what they have and nothing else. Thread: any, one at a time.
/// </summary>
internal static class SpareLinks
{
    private const string Own = "/proc/self/ns/net";

    // Where they wait; made with the first.
    private static FileDescriptor? s_space;

    /// <summary>Takes a link out of sight.</summary>
    /// <param name="here">Of the guest's own namespace.</param>
    /// <param name="link">Its index there.</param>
    /// <param name="address">The hardware address by which it comes back.</param>
    public static void Hide(RouteSocket here, int link, byte[] address)
    {
        s_space ??= Namespaces.NewNetwork();
        here.SetUp(link, up: false);
        // No two of the same name in either namespace, whatever they were called.
        here.Rename(link, $"s{Convert.ToHexStringLower(address)}");
        here.SetHardwareAddress(link, address);
        here.Move(link, s_space);
    }

    /// <summary>Brings one back, with another hardware address.</summary>
    /// <exception cref="TtrpcException">NotFound.</exception>
    public static void Show(byte[] address, byte[] becomes)
    {
        using FileDescriptor own = FileDescriptor.Open(Own, Fcntl.O_RDONLY);
        bool found = s_space is { } space && Namespaces.OnOwnThread(() =>
        {
            Namespaces.Enter(space, Sched.CLONE_NEWNET);
            using var routes = new RouteSocket();
            // With its new address already where an earlier call failed.
            if (routes.ListLinks().FirstOrDefault(link => link.HardwareAddress.AsSpan().SequenceEqual(address) || link.HardwareAddress.AsSpan().SequenceEqual(becomes)) is not { } spare)
            {
                return false;
            }

            routes.SetHardwareAddress(spare.Index, becomes);
            routes.Move(spare.Index, own);
            return true;
        });
        if (!found)
        {
            throw new TtrpcException(StatusCode.NotFound, $"The guest has no spare interface with the address {Convert.ToHexString(address)}.");
        }
    }
}
