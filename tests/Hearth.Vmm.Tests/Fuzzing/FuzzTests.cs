using System.Text.Json;
using Hearth.Testing.Fuzzing;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api;
using Hearth.Vmm.Api.Http;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Telemetry;
using Hearth.Vmm.Tests.Mmds;

namespace Hearth.Vmm.Tests.Fuzzing;

/// <summary>Hostile clients and guests, a target each; <c>fuzz/run NAME</c> runs one of them for long.</summary>
public class FuzzTests
{
    [Fact]
    public void Fuzz_mmds() => Fuzzer.Run("mmds", MmdsFuzzTarget.Run);

    /// <summary>What comes over the API's socket, in pieces of the first byte's length; no action is run.</summary>
    [Fact]
    public void Fuzz_http()
    {
        using var log = new Logger("fuzz");
        var resources = new VmResources(new InstanceOptions(), log);
        Fuzzer.Run("http", input =>
        {
            var pieces = new FuzzInput(input);
            int piece = 1 + pieces.Byte();
            var parser = new HttpParser(maxBodyBytes: 1024);
            while (!pieces.IsEmpty)
            {
                parser.Append(pieces.Take(piece));
                try
                {
                    while (parser.TryRead() is { } request)
                    {
                        VmmResponse response = RouteTable.Handle(request, static _ => VmmResponse.Empty, resources.Metrics);
                        Assert.NotEmpty(HttpResponse.From(response, request.KeepAlive));
                    }
                }
                catch (HttpFaultException fault)
                {
                    Assert.NotEmpty(HttpResponse.FromFault(fault));
                    if (!fault.IsRecoverable)
                    {
                        return;
                    }
                }
            }
        });
    }

    /// <summary>What a user puts into the metadata store, and what is asked of it by path.</summary>
    [Fact]
    public void Fuzz_metadata()
    {
        using var log = new Logger("fuzz");
        Fuzzer.Run("metadata", input =>
        {
            var resources = new VmResources(new InstanceOptions { MmdsSizeLimit = 1024 }, log);
            int split = input.IsEmpty ? 0 : Math.Min(input[0], input.Length - 1);
            Put("PUT", input.IsEmpty ? input : input.Slice(1, split));
            Put("PATCH", input.IsEmpty ? input : input[(1 + split)..]);
            if (Ask("GET", []) is VmmPayload payload)
            {
                using var json = new Utf8JsonWriter(new MemoryStream());
                payload.Body.WriteTo(json);
            }

            void Put(string method, ReadOnlySpan<byte> body) => Ask(method, body.ToArray());

            VmmResponse Ask(string method, byte[] body) => RouteTable.Handle(
                new HttpRequest(method, "/mmds", body, KeepAlive: true),
                action => action.RunPreboot(new PrebootController(resources, null!)),
                resources.Metrics);
        });
    }
}
