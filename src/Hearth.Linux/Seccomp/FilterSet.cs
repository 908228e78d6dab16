using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Hearth.Linux.Native;

namespace Hearth.Linux.Seccomp;

/// <summary>
/// A program's seccomp filters, one a kind of thread, and as a file: <c>HEARTHSC</c>, a byte for the number of filters, then
/// for each a byte of the name's length, the name, two bytes of the number of instructions, and struct sock_filter's.
/// </summary>
public sealed class FilterSet
{
    private const int MaxFileBytes = 1 << 20;
    private const uint Trap = LinuxSeccomp.SECCOMP_RET_TRAP;

    private static readonly byte[] s_magic = "HEARTHSC"u8.ToArray();

    private readonly Dictionary<string, sock_filter[]> _filters;

    public FilterSet(IReadOnlyDictionary<string, sock_filter[]> filters)
    {
        _filters = new Dictionary<string, sock_filter[]>(filters, StringComparer.Ordinal);
    }

    public IReadOnlyCollection<string> Names => _filters.Keys;

    /// <summary>Makes a filter of rules: what none of them allows ends the process by <see cref="SyscallTrap"/>.</summary>
    /// <param name="rules">Of several for one call, the first that holds counts.</param>
    /// <exception cref="HearthException">They are too many, or name what does not exist.</exception>
    public static sock_filter[] Compile(IEnumerable<SyscallRule> rules)
    {
        // Refusals last: they are for what nothing else allows.
        IEnumerable<FilterRule> ordered = rules.OrderBy(static rule => rule.Refusal != Errno.None).Select(static rule => new FilterRule(
            SyscallTable.NumberOf(rule.Name),
            rule.Checks,
            rule.Refusal == Errno.None ? LinuxSeccomp.SECCOMP_RET_ALLOW : LinuxSeccomp.SECCOMP_RET_ERRNO | (uint)rule.Refusal));
        return FilterCompiler.Compile(ordered, Trap, Trap, Trap)
            ?? throw new HearthException($"A seccomp filter has at most {LinuxSeccomp.BPF_MAXINSNS} instructions, and this one needs more.");
    }

    /// <summary>The filter of a kind of thread, for this process.</summary>
    /// <param name="name">The kind.</param>
    /// <param name="kind">Its number: the trap's data.</param>
    /// <exception cref="HearthException">There is none.</exception>
    public sock_filter[] For(string name, int kind)
    {
        if (!_filters.TryGetValue(name, out sock_filter[]? filter))
        {
            throw new HearthException($"The seccomp filters have none for \"{name}\" threads.");
        }

        sock_filter[] bound = [.. filter];
        for (int i = 0; i < bound.Length; i++)
        {
            if (bound[i].code == (LinuxSeccomp.BPF_JMP | LinuxSeccomp.BPF_JEQ | LinuxSeccomp.BPF_K) && bound[i].k == SyscallRule.OwnProcess)
            {
                bound[i].k = (uint)Environment.ProcessId;
            }
            else if (bound[i].code == (LinuxSeccomp.BPF_RET | LinuxSeccomp.BPF_K) && bound[i].k == Trap)
            {
                bound[i].k = Trap | (uint)kind;
            }
        }

        return bound;
    }

    public byte[] ToFile()
    {
        var file = new MemoryStream();
        file.Write(s_magic);
        file.WriteByte(checked((byte)_filters.Count));
        Span<byte> count = stackalloc byte[2];
        foreach ((string name, sock_filter[] filter) in _filters.OrderBy(static pair => pair.Key, StringComparer.Ordinal))
        {
            byte[] bytes = Encoding.ASCII.GetBytes(name);
            file.WriteByte(checked((byte)bytes.Length));
            file.Write(bytes);
            BinaryPrimitives.WriteUInt16LittleEndian(count, checked((ushort)filter.Length));
            file.Write(count);
            file.Write(MemoryMarshal.AsBytes<sock_filter>(filter));
        }

        return file.ToArray();
    }

    /// <exception cref="HearthException">It cannot be read, or is no such file.</exception>
    public static FilterSet Read(string path)
    {
        using FileDescriptor file = FileDescriptor.Open(path, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK);
        FileStatus status = FileStatus.Of(file);
        return status.IsRegular && status.Size <= MaxFileBytes
            ? Parse(Pipe.ReadAll(file)) ?? throw Invalid(path)
            : throw Invalid(path);
    }

    /// <summary>Null if these are no filters. What the instructions do is checked by the kernel.</summary>
    public static FilterSet? Parse(ReadOnlySpan<byte> file)
    {
        if (!file.StartsWith(s_magic) || file.Length < s_magic.Length + 1)
        {
            return null;
        }

        int filters = file[s_magic.Length];
        file = file[(s_magic.Length + 1)..];
        var parsed = new Dictionary<string, sock_filter[]>(StringComparer.Ordinal);
        for (int i = 0; i < filters; i++)
        {
            if (file.IsEmpty || file.Length < 1 + file[0] + 2)
            {
                return null;
            }

            string name = Encoding.ASCII.GetString(file.Slice(1, file[0]));
            file = file[(1 + file[0])..];
            int bytes = BinaryPrimitives.ReadUInt16LittleEndian(file) * Marshal.SizeOf<sock_filter>();
            file = file[2..];
            if (bytes == 0 || file.Length < bytes || !parsed.TryAdd(name, MemoryMarshal.Cast<byte, sock_filter>(file[..bytes]).ToArray()))
            {
                return null;
            }

            file = file[bytes..];
        }

        return file.IsEmpty ? new FilterSet(parsed) : null;
    }

    private static HearthException Invalid(string path) =>
        new($"\"{path}\" holds no seccomp filters: \"hearth seccomp build\" makes them of a policy in JSON.");
}
