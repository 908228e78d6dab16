using Hearth.Daemon.Tests.Spdy;
using Hearth.Testing.Fuzzing;

namespace Hearth.Daemon.Tests.Fuzzing;

/// <summary>Hostile clients; <c>fuzz/run NAME</c> runs one of them for long.</summary>
public class FuzzTests
{
    [Fact]
    public void Fuzz_spdy() => Fuzzer.Run("spdy", SpdyFuzzTarget.Run);
}
