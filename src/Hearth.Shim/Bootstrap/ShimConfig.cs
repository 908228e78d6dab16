using Hearth.Configuration;
using Hearth.Linux;

namespace Hearth.Shim.Bootstrap;

/// <summary>Where a shim's configuration comes from: <c>$HEARTH_CONFIG</c>, the manager's options, the usual file, the defaults.</summary>
public static class ShimConfig
{
    public const string Variable = "HEARTH_CONFIG";

    /// <param name="named">The path that the manager's options name, or empty.</param>
    /// <exception cref="HearthException">It cannot be read, or is wrong.</exception>
    public static HearthConfig Read(string named)
    {
        string path = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } variable ? variable : named;
        if (path.Length == 0)
        {
            if (!File.Exists(HearthConfig.DefaultPath))
            {
                return new HearthConfig();
            }

            path = HearthConfig.DefaultPath;
        }

        try
        {
            ConfigFile file = ConfigFile.Read(path);
            return file.Problems.Count == 0 ? file.Config : throw new HearthException(string.Join('\n', file.Problems));
        }
        catch (ConfigException e)
        {
            throw new HearthException(e.Message, e);
        }
    }
}
