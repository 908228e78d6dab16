using Google.Protobuf;
using Hearth.Shim.Protocol.Bootstrap;

namespace Hearth.Shim.Bootstrap;

/// <summary><c>-info</c> and <c>-v</c>: what the shim says of itself.</summary>
public static class InfoCommand
{
    /// <summary>The runtime's name, as containerd has it.</summary>
    public const string RuntimeName = "io.containerd.hearth.v2";

    public static string Version => typeof(InfoCommand).Assembly.GetName().Version?.ToString(3) ?? "";

    /// <summary>A <see cref="RuntimeInfo"/> for a program.</summary>
    public static void Run(StandardInput input, Stream output) => output.Write(
        new RuntimeInfo { Name = RuntimeName, Version = new RuntimeVersion { Version = Version }, Options = input.Options }.ToByteArray());
}
