using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Shim.Protocol.Bootstrap;

namespace Hearth.Shim.Bootstrap;

/// <summary>
/// What the manager sends to a shim that it starts: nothing, runtime options, or from containerd 2.3 on parameters. Whatever
/// there is, reading it comes to an end.
/// </summary>
/// <param name="Parameters">containerd 2.3's; null from others.</param>
/// <param name="Options">Options of the runtime; null if there are none.</param>
public sealed record StandardInput(BootstrapParams? Parameters, Any? Options)
{
    private const int MostBytes = 4 << 20;
    private const int PatienceMs = 2000;

    /// <summary>The configuration's path that the options name; empty if they name none.</summary>
    public string ConfigPath
    {
        get
        {
            try
            {
                return Options is { } any && any.TypeUrl.EndsWith(Protocol.Bootstrap.Options.Descriptor.FullName, StringComparison.Ordinal)
                    ? Protocol.Bootstrap.Options.Parser.ParseFrom(any.Value).ConfigPath
                    : "";
            }
            catch (InvalidProtocolBufferException)
            {
                return "";
            }
        }
    }

    /// <summary>Reads descriptor 0, unless it is a terminal, a device, or not there.</summary>
    public static StandardInput Read()
    {
        using var input = new FileDescriptor(0, ownsHandle: false);
        return Parse(ReadBytes(input));
    }

    /// <summary>Tells the forms apart: options are a type and a value, and nothing else.</summary>
    public static StandardInput Parse(byte[] bytes)
    {
        if (bytes.Length == 0)
        {
            return new StandardInput(null, null);
        }

        try
        {
            BootstrapParams parameters = BootstrapParams.Parser.ParseFrom(bytes);
            if (parameters.ContainerdVersion.Length + parameters.ContainerdTtrpcAddress.Length + parameters.ContainerdGrpcAddress.Length + parameters.ContainerdBinary.Length > 0)
            {
                return new StandardInput(parameters, parameters.Extensions.FirstOrDefault(static extension => extension.Value is not null)?.Value);
            }
        }
        catch (InvalidProtocolBufferException)
        {
            // Options then, or nothing that is meant for a shim.
        }

        try
        {
            return new StandardInput(null, Any.Parser.ParseFrom(bytes));
        }
        catch (InvalidProtocolBufferException)
        {
            return new StandardInput(null, null);
        }
    }

    private static byte[] ReadBytes(FileDescriptor input)
    {
        try
        {
            if ((FileStatus.Of(input).Mode & SysStat.S_IFMT) is not (SysStat.S_IFREG or SysStat.S_IFIFO or SysStat.S_IFSOCK))
            {
                return [];
            }
        }
        catch (LinuxException)
        {
            return [];
        }

        var content = new MemoryStream();
        byte[] buffer = new byte[16 << 10];
        // A pipe that nobody closes is taken to be at its end.
        while (content.Length < MostBytes && Polling.WaitReadable(input, PatienceMs) && Polling.Read(input, buffer) is > 0 and var count)
        {
            content.Write(buffer, 0, count);
        }

        return content.ToArray();
    }
}
