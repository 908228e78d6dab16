using System.Text;
using CsCheck;
using Hearth.Shim.Machine;

namespace Hearth.Shim.Tests.Machine;

public sealed class OutputTailTests
{
    [Fact]
    public void The_last_bytes_are_kept_however_they_came() =>
        Gen.Select(Gen.String[Gen.Char['a', 'z'], 0, 40].Array[0, 20], Gen.Int[1, 30]).Sample((pieces, bytes) =>
        {
            var tail = new OutputTail(bytes);
            foreach (string piece in pieces)
            {
                tail.Add(Encoding.UTF8.GetBytes(piece));
            }

            string all = string.Concat(pieces);
            return tail.Lines(1) == all[^Math.Min(all.Length, bytes)..];
        });

    [Fact]
    public void Lines_are_the_last_that_are_not_empty_without_control_characters()
    {
        var tail = new OutputTail(1000);
        tail.Add("first\r\n\r\n\u001b[31msecond\u0007\n   \nthird"u8);
        Assert.Equal("[31msecond\nthird", tail.Lines(2));
        Assert.Equal("", new OutputTail(10).Lines(5));
    }

    [Fact]
    public void Bytes_that_are_no_text_are_no_failure()
    {
        var tail = new OutputTail(16);
        tail.Add([0xff, 0xfe, 0x80, (byte)'\n', (byte)'x']);
        Assert.EndsWith("x", tail.Lines(9), StringComparison.Ordinal);
    }
}
