namespace Hearth.Oci.Runtime;

/// <summary>
/// <c>linux.cgroupsPath</c>: where a manager wants the container's cgroup on the host. Source: OCI runtime specification, config-linux.md
/// (Cgroups Path); runc's docs/systemd.md for the form of slices and scopes; systemd.slice(5).
/// </summary>
public static class CgroupsPath
{
    private const string Slice = ".slice";

    /// <summary>The path below the host's cgroup mount: <c>/a/b</c> is <c>a/b</c>, and <c>m-n.slice:libpod:ID</c> is <c>m.slice/m-n.slice/libpod-ID.scope</c>.</summary>
    /// <param name="text">As the specification has it.</param>
    /// <returns>Null if none is said, or it is no path that stays below the mount.</returns>
    public static string? Parse(string? text)
    {
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        string path = text.Split(':') is [string slice, string prefix, string name]
            ? $"{Expand(slice.Length == 0 ? $"system{Slice}" : slice)}{(prefix.Length == 0 ? name : $"{prefix}-{name}")}.scope"
            : text.Trim('/');
        return path.Length > 0 && path.Split('/').All(static part => part.Length > 0 && part is not ("." or "..") && !part.Any(char.IsControl)) ? path : null;
    }

    // a-b-c.slice is in a-b.slice is in a.slice; -.slice is the root.
    private static string Expand(string slice)
    {
        string stem = slice.EndsWith(Slice, StringComparison.Ordinal) ? slice[..^Slice.Length] : slice;
        if (stem == "-")
        {
            return "";
        }

        string[] words = stem.Split('-');
        return string.Concat(Enumerable.Range(1, words.Length).Select(count => $"{string.Join('-', words.Take(count))}{Slice}/"));
    }
}
