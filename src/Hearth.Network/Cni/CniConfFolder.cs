using System.Text.Json.Nodes;

namespace Hearth.Network.Cni;

/// <summary>The folder of networks' configurations, <c>/etc/cni/net.d</c>. Read anew each time: plugins put their files there when they are ready.</summary>
public static class CniConfFolder
{
    /// <summary>The pods' network: of all files named <c>*.conflist</c>, <c>*.conf</c> and <c>*.json</c>, the first by name that is valid.</summary>
    /// <returns>Null if the folder has no such file, or is not there.</returns>
    /// <exception cref="CniException">There are files, and none is valid: what is wrong with the first.</exception>
    public static CniNetworkList? First(string folder)
    {
        CniException? firstFailure = null;
        foreach (string path in Files(folder, ".conflist", ".conf", ".json"))
        {
            try
            {
                return Read(path);
            }
            catch (CniException e)
            {
                firstFailure ??= e;
            }
        }

        return firstFailure is null ? null : throw firstFailure;
    }

    /// <summary>Every file with what it is: a network, or what is wrong with it.</summary>
    public static IReadOnlyList<(string Path, CniNetworkList? Network, CniException? Failure)> All(string folder)
    {
        var all = new List<(string, CniNetworkList?, CniException?)>();
        foreach (string path in Files(folder, ".conflist", ".conf", ".json"))
        {
            try
            {
                all.Add((path, Read(path), null));
            }
            catch (CniException e)
            {
                all.Add((path, null, e));
            }
        }

        return all;
    }

    private static CniNetworkList Read(string path)
    {
        byte[] content;
        try
        {
            content = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CniException($"The CNI configuration {path} cannot be read: {e.Message}", cause: e);
        }

        CniNetworkList list = CniNetworkList.Parse(content, path);
        bool isList = list.Json["plugins"] is not null;
        if (isList != path.EndsWith(".conflist", StringComparison.Ordinal))
        {
            throw new CniException(isList
                ? $"The CNI configuration {path} is a list of plugins: name the file *.conflist."
                : $"The CNI configuration {path} is a list of plugins by its name, and has no \"plugins\".");
        }

        return isList ? WithFolder(list, path) : list;
    }

    // CNI 1.1: unless the list says otherwise, a folder of the network's name adds plugins at its end.
    private static CniNetworkList WithFolder(CniNetworkList list, string path)
    {
        if (list.Json["loadOnlyInlinedPlugins"]?.GetValueKind() == System.Text.Json.JsonValueKind.True)
        {
            return list;
        }

        var more = new List<JsonObject>();
        foreach (string file in Files(Path.Combine(Path.GetDirectoryName(path)!, list.Name), ".conf"))
        {
            try
            {
                more.Add(JsonNode.Parse(File.ReadAllBytes(file)) as JsonObject ?? throw new CniException($"The CNI configuration {file} is not valid: it is no JSON object."));
            }
            catch (Exception e) when (e is System.Text.Json.JsonException or IOException or UnauthorizedAccessException)
            {
                throw new CniException($"The CNI configuration {file} cannot be read: {e.Message}", cause: e);
            }
        }

        return more.Count == 0 ? list : list.With(more, path);
    }

    private static IEnumerable<string> Files(string folder, params string[] endings)
    {
        try
        {
            return [.. Directory.GetFiles(folder)
                .Where(path => endings.Contains(Path.GetExtension(path), StringComparer.Ordinal))
                .OrderBy(static path => Path.GetFileName(path), StringComparer.Ordinal)];
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CniException($"The folder of CNI configurations {folder} cannot be read: {e.Message}", cause: e);
        }
    }
}
