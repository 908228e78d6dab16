using System.Buffers;
using System.Text;
using System.Text.Json;
using CsCheck;
using Hearth.Vmm.Configuration;
using Hearth.Vmm.Mmds;
using Hearth.Vmm.Mmds.Json;

namespace Hearth.Vmm.Tests.Mmds;

public class MmdsStoreTests
{
    // The cases of RFC 7396 appendix A: original, patch, result.
    public static readonly TheoryData<string, string, string> MergePatches = new()
    {
        { """{"a":"b"}""", """{"a":"c"}""", """{"a":"c"}""" },
        { """{"a":"b"}""", """{"b":"c"}""", """{"a":"b","b":"c"}""" },
        { """{"a":"b"}""", """{"a":null}""", "{}" },
        { """{"a":"b","b":"c"}""", """{"a":null}""", """{"b":"c"}""" },
        { """{"a":["b"]}""", """{"a":"c"}""", """{"a":"c"}""" },
        { """{"a":"c"}""", """{"a":["b"]}""", """{"a":["b"]}""" },
        { """{"a":{"b":"c"}}""", """{"a":{"b":"d","c":null}}""", """{"a":{"b":"d"}}""" },
        { """{"a":[{"b":"c"}]}""", """{"a":[1]}""", """{"a":[1]}""" },
        { """["a","b"]""", """["c","d"]""", """["c","d"]""" },
        { """{"a":"b"}""", """["c"]""", """["c"]""" },
        { """{"a":"foo"}""", "null", "null" },
        { """{"a":"foo"}""", "\"bar\"", "\"bar\"" },
        { """{"e":null}""", """{"a":1}""", """{"a":1,"e":null}""" },
        { "[1,2]", """{"a":"b","c":null}""", """{"a":"b"}""" },
        { "{}", """{"a":{"bb":{"ccc":null}}}""", """{"a":{"bb":{}}}""" },
    };

    [Theory]
    [MemberData(nameof(MergePatches))]
    public void Patches_merge_as_the_rfc_says(string original, string patch, string result)
    {
        JsonNode merged = JsonMergePatch.Apply(JsonText.Parse(Utf8(original)), JsonText.Parse(Utf8(patch)));
        Assert.Equal(result, Text(output => JsonText.Write(merged, output)));
    }

    [Fact]
    public void A_document_comes_back_compact_and_with_sorted_keys()
    {
        var store = new MmdsStore(51200);
        store.Put(" {\"name\": {\"b\" : 1.50, \"a\": [true , null, -0]},\n \"age\": 1e3} "u8);
        Assert.Equal("""{"age":1e3,"name":{"a":[true,null,-0],"b":1.50}}""", Text(store.WriteTo));
    }

    [Fact]
    public void Nothing_is_an_empty_object_and_cannot_be_patched()
    {
        var store = new MmdsStore(51200);
        Assert.False(store.IsInitialized);
        Assert.Equal("{}", Text(store.WriteTo));
        ConfigurationException fault = Assert.Throws<ConfigurationException>(() => store.Patch("{}"u8));
        Assert.Equal("MMDS error: The MMDS data store is not initialized.", fault.Message);
        store.Put("{}"u8);
        store.Patch("""{"a":1}"""u8);
        Assert.Equal("""{"a":1}""", Text(store.WriteTo));
    }

    [Fact]
    public void A_document_may_fill_the_limit_and_not_pass_it()
    {
        var store = new MmdsStore(20);
        store.Put("""{ "a" : "0123456789" }"""u8); // 18 bytes
        store.Patch("""{"a":"0123456789ab"}"""u8);
        Assert.Throws<MmdsLimitException>(() => store.Patch("""{"b":1}"""u8));
        Assert.Throws<MmdsLimitException>(() => store.Put("""{"a":"0123456789abc"}"""u8));
        Assert.Equal("""{"a":"0123456789ab"}""", Text(store.WriteTo));
        Assert.Equal("MMDS limit exceeded error: The MMDS patch request doesn't fit.", new MmdsLimitException().Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{}x")]
    [InlineData("{\"a\":1,}")]
    [InlineData("\"\\ud800\"")]
    [InlineData("{\"\\udc00\":1}")]
    public void What_is_not_json_is_refused(string text)
    {
        var store = new MmdsStore(51200);
        Assert.ThrowsAny<JsonException>(() => store.Put(Utf8(text)));
        Assert.False(store.IsInitialized);
    }

    [Fact]
    public void What_is_not_utf8_is_refused() =>
        Assert.ThrowsAny<JsonException>(() => new MmdsStore(51200).Put([(byte)'"', 0xFF, (byte)'"']));

    [Fact]
    public void Nesting_has_a_bound()
    {
        var store = new MmdsStore(51200);
        store.Put(Utf8(new string('[', 128) + new string(']', 128)));
        Assert.ThrowsAny<JsonException>(() => store.Put(Utf8(new string('[', 129) + new string(']', 129))));
    }

    [Fact]
    public void The_last_of_repeated_keys_counts() =>
        Assert.Equal("""{"a":2}""", Text(output => JsonText.Write(JsonText.Parse("""{"a":1,"a":2}"""u8), output)));

    [Fact]
    public void Any_string_survives_being_written_and_parsed()
    {
        Gen.String.Where(text => !text.Any(char.IsSurrogate)).Array[0, 5].Sample(texts =>
        {
            string json = "[" + string.Join(',', texts.Select(text => JsonSerializer.Serialize(text))) + "]";
            string written = Text(output => JsonText.Write(JsonText.Parse(Utf8(json)), output));
            Assert.Equal(texts, JsonSerializer.Deserialize<string[]>(written));
        });
    }

    [Theory]
    [InlineData("", """{"":{"x":"empty"},"a/b":1,"l":["zero","one"],"m~n":2}""")]
    [InlineData("/a~1b", "1")]
    [InlineData("/m~0n", "2")]
    [InlineData("/l/1", "\"one\"")]
    [InlineData("//x", "\"empty\"")]
    [InlineData("/l/01", null)]
    [InlineData("/l/+1", null)]
    [InlineData("/l/2", null)]
    [InlineData("/l/99999999999999999999", null)]
    [InlineData("/l/", null)]
    [InlineData("/l/0/x", null)]
    [InlineData("/nothing", null)]
    [InlineData("l", null)]
    public void A_pointer_finds_what_the_rfc_says(string pointer, string? json)
    {
        JsonNode root = JsonText.Parse("""{"a/b":1,"m~n":2,"l":["zero","one"],"":{"x":"empty"}}"""u8);
        JsonNode? found = JsonPointer.Find(root, Utf8(pointer));
        Assert.Equal(json, found is null ? null : Text(output => JsonText.Write(found, output)));
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    private static string Text(Action<IBufferWriter<byte>> write)
    {
        var output = new ArrayBufferWriter<byte>();
        write(output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}
