using System.Buffers;
using System.Text.Json;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Mmds;
using Hearth.Vmm.Mmds.Json;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>GET, PUT and PATCH <c>/mmds</c>: the metadata. Source: Firecracker swagger MmdsContentsObject.</summary>
internal sealed class MmdsEndpoint : Endpoint
{
    public override string Path => "mmds";

    public override string MetricName => "mmds";

    public override VmmAction Get() => new GetMetadata();

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body) => new PutMetadata(Parse(body));

    public override VmmAction Patch(string? id, ReadOnlySpan<byte> body) => new PatchMetadata(Parse(body));

    private static JsonNode Parse(ReadOnlySpan<byte> body)
    {
        try
        {
            return JsonText.Parse(body);
        }
        catch (JsonException failure)
        {
            throw JsonBodyException.From(failure);
        }
    }

    /// <summary>Allowed always, but after the start only if a guest can ask for what it does.</summary>
    private abstract record MetadataAction : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot) => Run(preboot.Resources.Metadata.Store);

        public override VmmResponse RunRuntime(RuntimeController runtime) => runtime.Resources.Mmds is null
            ? new VmmFault("MMDS error: The MMDS data store is not initialized.")
            : Run(runtime.Resources.Metadata.Store);

        protected abstract VmmResponse Act(MmdsStore store);

        private VmmResponse Run(MmdsStore store)
        {
            try
            {
                return Act(store);
            }
            catch (MmdsLimitException failure)
            {
                return new VmmFault(failure.Message) { Status = 413 };
            }
        }
    }

    private sealed record GetMetadata : MetadataAction
    {
        protected override VmmResponse Act(MmdsStore store)
        {
            var text = new ArrayBufferWriter<byte>();
            store.WriteTo(text);
            return new VmmPayload(new Body(text.WrittenMemory));
        }
    }

    private sealed record PutMetadata(JsonNode Document) : MetadataAction
    {
        protected override VmmResponse Act(MmdsStore store)
        {
            store.Put(Document);
            return VmmResponse.Empty;
        }
    }

    private sealed record PatchMetadata(JsonNode Document) : MetadataAction
    {
        protected override VmmResponse Act(MmdsStore store)
        {
            store.Patch(Document);
            return VmmResponse.Empty;
        }
    }

    private sealed record Body(ReadOnlyMemory<byte> Text) : IJsonBody
    {
        public void WriteTo(Utf8JsonWriter json) => json.WriteRawValue(Text.Span, skipInputValidation: true);
    }
}
