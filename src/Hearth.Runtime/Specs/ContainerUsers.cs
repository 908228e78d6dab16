using System.Globalization;
using Hearth.Images;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Specs;

/// <summary>Who a container's first process runs as. Source: CRI's LinuxContainerSecurityContext.</summary>
internal static class ContainerUsers
{
    /// <summary>Goes by the security context, where it says nothing by the pod's, and then by the image.</summary>
    /// <exception cref="PodException">InvalidArgument: the context contradicts itself or the image.</exception>
    public static (ContainerIdentity Identity, string Home) Resolve(Image image, ContainerSecurity security, PodSecurity pod)
    {
        if (security.RunAsUser is not null && security.RunAsUsername.Length > 0)
        {
            throw new PodException(PodFault.InvalidArgument, "run_as_user and run_as_username are both given: give one.");
        }

        string asked = security.RunAsUser is { } number ? Number(number, "run_as_user").ToString(CultureInfo.InvariantCulture) : security.RunAsUsername;
        if (asked.Length == 0 && security.RunAsGroup is not null)
        {
            throw new PodException(PodFault.InvalidArgument, "run_as_group is given without a user: give run_as_user or run_as_username too.");
        }

        if (asked.Contains(':'))
        {
            throw new PodException(PodFault.InvalidArgument, $"run_as_username \"{asked}\" is no user's name: a group goes into run_as_group.");
        }

        string wanted = asked.Length == 0 ? image.Config.User : asked;
        ImageUser user = Resolve(image, wanted);
        uint gid = security.RunAsGroup is { } group ? Number(group, "run_as_group") : user.Gid;

        // Memberships count also where the image, or the context, names a group of its own.
        IReadOnlyList<uint> listed = security.GroupsPolicy == GroupsPolicy.Strict ? [] : Resolve(image, wanted.Split(':')[0]).Groups;
        IEnumerable<uint> more = security.SupplementalGroups.Concat(pod.SupplementalGroups).Select(static extra => Number(extra, "a supplemental group"));
        // The primary group is among them: a process that gives it up would otherwise lose what it forbids (CVE-2022-36109).
        uint[] groups = [.. listed.Concat(more).Append(gid).Distinct().Order()];
        return (new ContainerIdentity { Uid = user.Uid, Gid = gid, Groups = groups }, user.Home);
    }

    /// <summary>Who an exec that names a user of its own runs as.</summary>
    public static (ContainerIdentity Identity, string Home) Resolve(Image image, string text, ContainerIdentity container)
    {
        ImageUser user = Resolve(image, text);
        return (new ContainerIdentity { Uid = user.Uid, Gid = user.Gid, Groups = user.Uid == container.Uid ? container.Groups : user.Groups }, user.Home);
    }

    private static ImageUser Resolve(Image image, string text)
    {
        try
        {
            return image.ResolveUser(text);
        }
        catch (ImageException e)
        {
            throw new PodException(PodFault.InvalidArgument, e.Message, e);
        }
    }

    private static uint Number(long number, string what) =>
        // The last two numbers mean "none" to the kernel.
        number is >= 0 and < uint.MaxValue - 1 ? (uint)number : throw new PodException(PodFault.InvalidArgument, $"{what} {number} is no number of a user or group.");
}
