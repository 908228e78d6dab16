using System.Globalization;
using System.Text;

namespace Hearth.Images;

/// <summary>Who a process runs as.</summary>
/// <param name="Uid">User number.</param>
/// <param name="Gid">Primary group number.</param>
/// <param name="Groups">Supplementary groups that the image's group file gives the user, in ascending order.</param>
/// <param name="Home">The user's home, for <c>HOME</c>; <c>/</c> for a user the image does not know.</param>
/// <param name="Name">The user's name; null for a number the image has no name for.</param>
public sealed record ImageUser(uint Uid, uint Gid, IReadOnlyList<uint> Groups, string Home, string? Name);

/// <summary>
/// Reads an image's <c>/etc/passwd</c> and <c>/etc/group</c>. Lines that make no sense are passed over, as libc does.
/// </summary>
public sealed class ImageUsers
{
    private readonly List<(string Name, uint Uid, uint Gid, string Home)> _users = [];
    private readonly List<(string Name, uint Gid, string[] Members)> _groups = [];

    public ImageUsers(ReadOnlySpan<byte> passwd, ReadOnlySpan<byte> group)
    {
        foreach (string[] fields in Lines(passwd))
        {
            if (fields.Length >= 6 && TryNumber(fields[2], out uint uid) && TryNumber(fields[3], out uint gid))
            {
                _users.Add((fields[0], uid, gid, fields[5]));
            }
        }

        foreach (string[] fields in Lines(group))
        {
            if (fields.Length >= 3 && TryNumber(fields[2], out uint gid))
            {
                _groups.Add((fields[0], gid, fields.Length > 3 ? fields[3].Split(',', StringSplitOptions.RemoveEmptyEntries) : []));
            }
        }
    }

    /// <summary>Resolves <c>name</c>, <c>uid</c>, <c>name:group</c>, <c>uid:gid</c>, …; empty is root.</summary>
    /// <exception cref="ImageException">A name is unknown, or a number no user or group number.</exception>
    public ImageUser Resolve(string text)
    {
        int colon = text.IndexOf(':');
        string user = colon < 0 ? text : text[..colon];
        string? group = colon < 0 || colon == text.Length - 1 ? null : text[(colon + 1)..];
        user = user.Length == 0 ? "0" : user;

        bool numeric = TryNumber(user, out uint uid);
        int known = _users.FindIndex(entry => numeric ? entry.Uid == uid : entry.Name == user);
        if (known < 0 && !numeric)
        {
            throw new ImageException(ImageFault.NotFound, $"The image has no user \"{user}\" in its /etc/passwd. Give a number, or a user that it has.");
        }

        (string? name, uint gid, string home) = known < 0 ? (null, 0, "/") : (_users[known].Name, _users[known].Gid, _users[known].Home);
        uid = known < 0 ? uid : _users[known].Uid;
        if (group is not null)
        {
            gid = ResolveGroup(group);
        }

        // A group that is asked for stands alone, as with Docker; else the user's memberships count.
        uint[] groups = group is not null || name is null
            ? []
            : [.. _groups.Where(entry => entry.Members.Contains(name)).Select(entry => entry.Gid).Where(other => other != gid).Distinct().Order()];
        return new ImageUser(uid, gid, groups, home.Length == 0 ? "/" : home, name);
    }

    private uint ResolveGroup(string group)
    {
        if (TryNumber(group, out uint gid))
        {
            return gid;
        }

        int known = _groups.FindIndex(entry => entry.Name == group);
        return known >= 0
            ? _groups[known].Gid
            : throw new ImageException(ImageFault.NotFound, $"The image has no group \"{group}\" in its /etc/group. Give a number, or a group that it has.");
    }

    private static IEnumerable<string[]> Lines(ReadOnlySpan<byte> file) =>
        Encoding.UTF8.GetString(file).Split('\n').Select(line => line.Trim().Split(':'));

    private static bool TryNumber(string text, out uint number) =>
        // What the kernel takes; the last two numbers mean "none" to it.
        uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number < uint.MaxValue - 1;
}
