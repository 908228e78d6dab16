using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Hearth.Abi.Tests;

/// <summary>Static asserts about C structures, checked by the C compiler against the installed headers.</summary>
internal sealed class CLayout
{
    private readonly StringBuilder _source = new();

    public CLayout(params ReadOnlySpan<string> headers)
    {
        _source.AppendLine("#define _GNU_SOURCE").AppendLine("#include <stddef.h>");
        foreach (string header in headers)
        {
            _source.AppendLine(CultureInfo.InvariantCulture, $"#include <{header}>");
        }
    }

    /// <summary>The mirror <typeparamref name="T"/> is as long as <paramref name="cType"/>.</summary>
    public CLayout Size<T>(string cType)
        where T : unmanaged
    {
        _source.AppendLine(CultureInfo.InvariantCulture, $"_Static_assert(sizeof({cType}) == {Unsafe.SizeOf<T>()}, \"size of {cType}\");");
        return this;
    }

    /// <summary>The mirror's field lies where C's does; <paramref name="cField"/> where the two are named differently.</summary>
    public CLayout Field<T>(string cType, string field, string? cField = null)
        where T : unmanaged
    {
        string name = cField ?? field;
        _source.AppendLine(
            CultureInfo.InvariantCulture,
            $"_Static_assert(offsetof({cType}, {name}) == {Marshal.OffsetOf<T>(field)}, \"offset of {cType}.{name}\");");
        return this;
    }

    /// <summary>A constant has the headers' value.</summary>
    public CLayout Constant(string name, long value)
    {
        _source.AppendLine(CultureInfo.InvariantCulture, $"_Static_assert({name} == {value}, \"{name}\");");
        return this;
    }

    /// <summary>Compiles; fails the test with the compiler's words.</summary>
    public void Check()
    {
        var start = new ProcessStartInfo("clang")
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
            ArgumentList = { "-x", "c", "-std=gnu11", "-fsyntax-only", "-" },
        };
        using Process compiler = Process.Start(start)!;
        compiler.StandardInput.Write(_source.ToString());
        compiler.StandardInput.Close();
        string errors = compiler.StandardError.ReadToEnd();
        compiler.WaitForExit();
        Assert.True(compiler.ExitCode == 0, errors);
    }
}
