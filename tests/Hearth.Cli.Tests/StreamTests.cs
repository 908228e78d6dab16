using System.Text;
using CsCheck;
using Hearth.Programs.Hearth;
using Hearth.Programs.Hearth.Streaming;

namespace Hearth.Cli.Tests;

public sealed class StreamTests
{
    private static readonly Gen<byte> s_keys = Gen.OneOf<byte>(0x10, 0x11, (byte)'a', (byte)'b');

    [Fact]
    public void Keys_go_through_unchanged_until_the_two_that_leave() =>
        Gen.Select(s_keys.Array[0, 30], Gen.Int[1, 7]).Sample(static (typed, cut) =>
        {
            var keys = new DetachKeys();
            var passed = new List<byte>();
            bool left = false;
            foreach (byte[] block in typed.Chunk(cut))
            {
                left = keys.Pass(block, passed);
                if (left)
                {
                    break;
                }
            }

            int at = typed.AsSpan().IndexOf<byte>([0x10, 0x11]);
            Assert.Equal(at >= 0, left);
            // A last Ctrl-P waits for its next key.
            byte[] expected = at >= 0 ? typed[..at] : typed is [.., 0x10] ? typed[..^1] : typed;
            Assert.Equal(expected, passed);
        });

    [Theory]
    [InlineData("""{"metadata":{},"status":"Success"}""", 0, null)]
    [InlineData("""{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"42"}]},"message":"m"}""", 42, null)]
    [InlineData("""{"status":"Failure","message":"no such container","reason":"InternalError","code":500}""", -1, "no such container")]
    [InlineData("""{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":{}},"message":"odd"}""", -1, "odd")]
    [InlineData("plain words", -1, "plain words")]
    [InlineData("[1]", -1, "hearthd says that it failed, and not why.")]
    public void How_a_command_ended_is_read_from_kubernetes_status(string json, int status, string? failure)
    {
        var result = CommandResult.Parse(Encoding.UTF8.GetBytes(json));
        Assert.Equal((status, failure), (result.ExitStatus, result.Failure));
    }

    [Theory]
    [InlineData("80", 80, 80)]
    [InlineData("8080:80", 8080, 80)]
    [InlineData(":80", 0, 80)]
    [InlineData("0:80", 0, 80)]
    public void Forwarded_ports_are_local_and_remote(string text, int local, int remote) => Assert.Equal((local, remote), PortForwardCommand.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("80:")]
    [InlineData("0")]
    [InlineData("70000:80")]
    [InlineData("a:b")]
    public void What_is_no_port_is_refused(string text) => Assert.Throws<CommandLineException>(() => PortForwardCommand.Parse(text));
}
