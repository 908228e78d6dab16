using System.Text.Json;
using System.Text.Json.Serialization;
using Hearth.Linux;
using Hearth.Linux.Native;
using Hearth.Oci.Runtime;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.Specs;

/// <summary>Which profile of system calls a container has.</summary>
internal static class SeccompProfiles
{
    private const long MaxFileBytes = 1 << 20;
    private const string LocalhostPrefix = "localhost/";

    /// <summary>Null for no filter.</summary>
    /// <exception cref="PodException">InvalidArgument: the profile's file cannot be used.</exception>
    public static SeccompSpec? Of(ContainerSecurity security, PodSecurity pod, CapabilitiesSpec capabilities)
    {
        // The privileged have none whatever is said, and those that name none have none: as with containerd and CRI-O.
        SecurityProfile? profile = security.Seccomp ?? pod.Seccomp;
        return security.Privileged || profile is null or { Kind: ProfileKind.Unconfined } ? null
            : profile.Kind == ProfileKind.RuntimeDefault ? DefaultSeccomp.Of(capabilities.Bounding)
            : Read(profile.LocalhostRef, capabilities.Bounding);
    }

    /// <summary>Reads a profile in the runtime specification's form, or in Docker's, which has conditions on rules.</summary>
    internal static SeccompSpec Read(string reference, IReadOnlyList<string> capabilities)
    {
        string path = reference.StartsWith(LocalhostPrefix, StringComparison.Ordinal) ? reference[LocalhostPrefix.Length..] : reference;
        if (!path.StartsWith('/'))
        {
            throw Refuse(path, "it is no absolute path");
        }

        try
        {
            if (!File.Exists(path))
            {
                throw Refuse(path, "there is no such file");
            }

            using (FileDescriptor file = FileDescriptor.Open(path, Fcntl.O_PATH))
            {
                if (FileStatus.Of(file) is not { IsRegular: true, Size: <= MaxFileBytes })
                {
                    throw Refuse(path, $"it is no file, or one of more than {MaxFileBytes >> 10} KiB");
                }
            }

            ProfileDocument document = JsonSerializer.Deserialize(File.ReadAllBytes(path), SeccompJson.Default.ProfileDocument) ?? throw new JsonException("it is null");
            return Translate(document, path, capabilities);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or LinuxException)
        {
            throw Refuse(path, e.Message, e);
        }
    }

    private static SeccompSpec Translate(ProfileDocument document, string path, IReadOnlyList<string> capabilities)
    {
        if (document.DefaultAction is not { } byDefault || !byDefault.StartsWith("SCMP_ACT_", StringComparison.Ordinal))
        {
            throw Refuse(path, "it has no defaultAction SCMP_ACT_…");
        }

        var rules = new List<SyscallSpec>();
        foreach (ProfileRule rule in document.Syscalls ?? [])
        {
            if (rule.Action is not { } action || !action.StartsWith("SCMP_ACT_", StringComparison.Ordinal))
            {
                throw Refuse(path, "a rule of it has no action SCMP_ACT_…");
            }

            bool fits = (rule.Includes?.Caps ?? []).All(capabilities.Contains) && !(rule.Excludes?.Caps ?? []).Any(capabilities.Contains)
                && (rule.Includes?.Arches is not { Count: > 0 } only || only.Contains("amd64")) && rule.Excludes?.Arches?.Contains("amd64") != true;
            string[] names = [.. rule.Names ?? [], .. rule.Name is null ? Array.Empty<string>() : [rule.Name]];
            if (fits && names.Length > 0)
            {
                rules.Add(new SyscallSpec { Names = names, Action = action, ErrnoRet = rule.ErrnoRet, Args = rule.Args ?? [] });
            }
        }

        return new SeccompSpec
        {
            DefaultAction = byDefault,
            DefaultErrnoRet = document.DefaultErrnoRet,
            Architectures = document.Architectures ?? ["SCMP_ARCH_X86_64"],
            Flags = document.Flags ?? [],
            Syscalls = rules,
        };
    }

    private static PodException Refuse(string path, string why, Exception? cause = null) =>
        new(PodFault.InvalidArgument, $"The seccomp profile \"{path}\" cannot be used: {why}.", cause);
}

/// <summary>A profile as people write it.</summary>
internal sealed record ProfileDocument
{
    public string? DefaultAction { get; init; }

    public uint? DefaultErrnoRet { get; init; }

    public IReadOnlyList<string>? Architectures { get; init; }

    public IReadOnlyList<string>? Flags { get; init; }

    public IReadOnlyList<ProfileRule>? Syscalls { get; init; }
}

/// <summary>A rule of it.</summary>
internal sealed record ProfileRule
{
    public IReadOnlyList<string>? Names { get; init; }

    public string? Name { get; init; }

    public string? Action { get; init; }

    public uint? ErrnoRet { get; init; }

    public IReadOnlyList<SyscallArgumentSpec>? Args { get; init; }

    public ProfileCondition? Includes { get; init; }

    public ProfileCondition? Excludes { get; init; }
}

/// <summary>When a rule counts.</summary>
internal sealed record ProfileCondition
{
    public IReadOnlyList<string>? Caps { get; init; }

    public IReadOnlyList<string>? Arches { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ProfileDocument))]
internal sealed partial class SeccompJson : JsonSerializerContext;
