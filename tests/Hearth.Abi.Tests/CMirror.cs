using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Hearth.Abi.Tests;

/// <summary>
/// Static asserts for one type of a <c>Native</c> namespace, by convention: a structure is C's <c>struct</c> of the same
/// name (without a <c>_t</c> at its end), each of its public fields C's field of the same name, offset and size; a
/// constant in capitals, of a class or an enumeration, is C's of the same name and value. Exceptions to that: <see cref="CNames"/>.
/// </summary>
internal static partial class CMirror
{
    /// <summary>A C source that compiles only if the type says what the headers say; null where it says nothing.</summary>
    public static string? Source(Type type)
    {
        var asserts = new StringBuilder();
        if (type.IsValueType && !type.IsEnum)
        {
            Structure(type, asserts);
        }

        foreach (FieldInfo constant in type.GetFields(BindingFlags.Public | BindingFlags.Static).Where(static field => field.IsLiteral))
        {
            if (CapitalName().IsMatch(constant.Name))
            {
                string name = constant.Name;
                string value = $"{constant.GetRawConstantValue()}";
                string cast = CTypeOf(Type.GetTypeCode(constant.FieldType));
                asserts.AppendLine($"_Static_assert(({cast})({name}) == ({cast})({value}ULL), \"{type.Name}: {name} is not {value}\");");
            }
        }

        if (asserts.Length == 0)
        {
            return null;
        }

        string includes = string.Concat(CNames.Headers(type).Select(static header => $"#include <{header}>\n"));
        return $"#define _GNU_SOURCE\n#include <stddef.h>\n{includes}{asserts}";
    }

    private static void Structure(Type type, StringBuilder asserts)
    {
        string c = CNames.Structure(type);
        if (!CNames.IsPrefix(type))
        {
            asserts.AppendLine($"_Static_assert(sizeof({c}) == {SizeOf(type)}, \"{type.Name} has {SizeOf(type)} bytes\");");
        }

        foreach (FieldInfo field in type.GetFields(BindingFlags.Public | BindingFlags.Instance))
        {
            string? name = CNames.Field(type, field.Name);
            if (name is null)
            {
                continue;
            }

            long offset = OffsetOf(type, field);
            asserts.AppendLine($"_Static_assert(offsetof({c}, {name}) == {offset}, \"{type.Name}.{field.Name} is at {offset}\");");
            if (name == field.Name && !CNames.IsPrefix(field.FieldType))
            {
                int size = SizeOf(field.FieldType);
                asserts.AppendLine($"_Static_assert(sizeof((({c} *)0)->{name}) == {size}, \"{type.Name}.{field.Name} has {size} bytes\");");
            }
        }
    }

    private static int SizeOf(Type type) => type.IsPointer
        ? IntPtr.Size
        : (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    // Where the field lies in memory, which for blittable structures is where the system call sees it. Marshal.OffsetOf
    // would tell where the marshaller puts it.
    private static long OffsetOf(Type type, FieldInfo field)
    {
        var method = new DynamicMethod("offset", typeof(long), null, typeof(CMirror).Module, skipVisibility: true);
        ILGenerator code = method.GetILGenerator();
        code.DeclareLocal(type);
        code.Emit(OpCodes.Ldloca_S, 0);
        code.Emit(OpCodes.Ldflda, field);
        code.Emit(OpCodes.Conv_U);
        code.Emit(OpCodes.Ldloca_S, 0);
        code.Emit(OpCodes.Conv_U);
        code.Emit(OpCodes.Sub);
        code.Emit(OpCodes.Conv_I8);
        code.Emit(OpCodes.Ret);
        return method.CreateDelegate<Func<long>>()();
    }

    private static string CTypeOf(TypeCode code) => code switch
    {
        TypeCode.Byte => "unsigned char",
        TypeCode.SByte => "signed char",
        TypeCode.Int16 => "short",
        TypeCode.UInt16 => "unsigned short",
        TypeCode.Int32 => "int",
        TypeCode.UInt32 => "unsigned int",
        TypeCode.Int64 => "long long",
        TypeCode.UInt64 => "unsigned long long",
        _ => throw new NotSupportedException($"A native constant of type {code}."),
    };

    [GeneratedRegex("^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$|^(MS|MNT|KVM|VIRTIO)_[A-Za-z0-9_]+$")]
    private static partial Regex CapitalName();
}
