using System.Globalization;
using System.Text;
using Hearth.Agent.Protocol;
using Hearth.Linux;
using Hearth.Oci.Runtime;
using Hearth.Ttrpc;

namespace Hearth.Programs.Agent.Containers;

/// <summary>
/// Users and groups as an image lists them, in /etc/passwd and /etc/group: hostile files, of which lines that are no entries
/// are passed over. Source: passwd(5), group(5).
/// </summary>
internal sealed class UserDatabase
{
    private const int MaxFile = 4 << 20;

    private readonly string[][] _users;
    private readonly string[][] _groups;

    public UserDatabase(byte[]? passwd, byte[]? group)
    {
        _users = Entries(passwd, 7);
        _groups = Entries(group, 4);
    }

    public static UserDatabase Read(string root)
    {
        using var directory = new RootDirectory(root);
        return new UserDatabase(directory.ReadFile("/etc/passwd", MaxFile), directory.ReadFile("/etc/group", MaxFile));
    }

    /// <summary>A user with the numbers of a name.</summary>
    /// <exception cref="TtrpcException">NotFound: there is no such user or group.</exception>
    public UserSpec Resolve(UserLookup lookup, UserSpec given)
    {
        string[] parts = lookup.User.Split(':', 2);
        string name = parts[0].Length == 0 ? "0" : parts[0];
        string[]? entry = _users.FirstOrDefault(user => user[0] == name);
        bool isNumber = uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out uint uid);
        if (entry is null && !isNumber)
        {
            throw new TtrpcException(StatusCode.NotFound, $"The image has no user \"{name}\".");
        }

        entry ??= EntryOf(uid);
        uid = entry is null ? uid : Number(entry[2]);
        uint gid = parts.Length == 2 && parts[1].Length > 0 ? GroupOf(parts[1]) : entry is null ? 0 : Number(entry[3]);
        // Its own group too: else a file's "not this group" would not hold for it (CVE-2022-2995).
        IEnumerable<uint> groups = [gid, .. given.AdditionalGids];
        if (lookup.AddListedGroups && entry is not null)
        {
            groups = groups.Concat(_groups.Where(group => group[3].Split(',').Contains(entry[0])).Select(static group => Number(group[2])));
        }

        return given with { Uid = uid, Gid = gid, AdditionalGids = [.. groups.Distinct()] };
    }

    /// <summary>A user's home directory; null if there is no such user.</summary>
    public string? HomeOf(uint uid) => EntryOf(uid) is { } entry && entry[5].StartsWith('/') ? entry[5] : null;

    private string[]? EntryOf(uint uid) => _users.FirstOrDefault(user => Number(user[2]) == uid);

    private uint GroupOf(string name)
    {
        if (_groups.FirstOrDefault(group => group[0] == name) is { } entry)
        {
            return Number(entry[2]);
        }

        return uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out uint gid)
            ? gid
            : throw new TtrpcException(StatusCode.NotFound, $"The image has no group \"{name}\".");
    }

    private static uint Number(string text) => uint.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);

    private static string[][] Entries(byte[]? file, int fields)
    {
        List<string[]> entries = [];
        foreach (string line in Encoding.UTF8.GetString(file ?? []).Split('\n'))
        {
            string[] parts = line.TrimEnd('\r').Split(':');
            // Field 2, and of a user 3, are numbers wherever an entry is read.
            if (parts.Length >= fields && IsNumber(parts[2]) && (fields == 4 || IsNumber(parts[3])))
            {
                entries.Add(parts);
            }
        }

        return [.. entries];

        static bool IsNumber(string text) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _);
    }
}
