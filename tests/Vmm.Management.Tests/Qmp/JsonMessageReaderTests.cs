using System.Text;
using System.Text.Json.Nodes;
using Vmm.Management.Json;

namespace Vmm.Management.Tests.Qmp;

public sealed class JsonMessageReaderTests
{
    [Theory]
    [InlineData("""{"a": [1, -2.5, true, null, "x"]}""", """{"a": [1, -2.5, true, null, "x"]}""")]
    [InlineData("""{'a': 'it\'s "b"'}""", """{"a": "it's \"b\""}""")]
    [InlineData("""["\u0041\ud83d\ude00\b\f\n\r\t\/\\"]""", """["A\uD83D\uDE00\b\f\n\r\t/\\"]""")]
    [InlineData("[9223372036854775807, 9223372036854775808, 1e3]", "[9223372036854775807, 9223372036854775808, 1000]")]
    [InlineData("{}", "{}")]
    [InlineData("[ ]", "[]")]
    public void Message_is_read_and_written(string text, string expected) =>
        Assert.Equal(expected, JsonMessageWriter.Write(Assert.Single(Read(text)).Message));

    [Theory]
    [InlineData("[\"\u00e9\"]", """["\u00E9"]""")]
    [InlineData("[\"\U0001F600\"]", """["\uD83D\uDE00"]""")]
    public void Text_beyond_ASCII_is_escaped(string text, string expected) =>
        Assert.Equal(expected, JsonMessageWriter.Write(Assert.Single(Read(text)).Message));

    [Fact]
    public void Pretty_has_a_line_for_each_member() =>
        Assert.Equal(
            "{\r\n    \"a\": [\r\n        1,\r\n        2\r\n    ],\r\n    \"b\": {}\r\n}",
            JsonMessageWriter.Write(JsonNode.Parse("""{"a":[1,2],"b":{}}"""), pretty: true));

    [Theory]
    [InlineData("x\n{}", "invalid keyword 'x'")]
    [InlineData("X{}", "stray 'X'")]
    [InlineData("\u00ff\u00ff {}", "stray")]
    [InlineData("\"abc\n{}", "stray")]
    [InlineData("[\"\\u12x4\"]{}", "invalid escape sequence")]
    [InlineData("1e400 {}", "number out of range")]
    [InlineData("{\"a\":1]{}", "expected separator in dict")]
    public void What_is_no_JSON_is_an_error_and_the_next_message_is_read(string text, string error)
    {
        List<(JsonNode? Message, JsonMessageException? Error)> read = Read(text, Encoding.Latin1);
        Assert.Contains(error, read[0].Error!.Message, StringComparison.Ordinal);
        Assert.IsType<JsonObject>(read[^1].Message);
    }

    [Fact]
    public void Invalid_UTF8_is_an_error() =>
        Assert.Equal("JSON parse error, invalid UTF-8 sequence in string",
            Assert.Single(Read("[\"\u00c3(\"]", Encoding.Latin1)).Error!.Message);

    [Fact]
    public void Pieces_of_any_size_make_the_same_messages()
    {
        byte[] text = Encoding.UTF8.GetBytes("""{"a":[1,2.5,"é"]} [true] "s" 12 {'b':null}""" + "\n");
        string whole = string.Join(';', Read(text, text.Length));
        for (int size = 1; size < text.Length; size++)
        {
            Assert.Equal(whole, string.Join(';', Read(text, size)));
        }
    }

    [Fact]
    public void Nesting_ends_at_its_limit()
    {
        int depth = JsonMessageReader.DeepestNesting;
        Assert.Null(Assert.Single(Read(new string('[', depth) + new string(']', depth))).Error);
        Assert.Equal("JSON nesting depth limit exceeded", Read(new string('[', depth + 1))[0].Error!.Message);
    }

    private static List<(JsonNode? Message, JsonMessageException? Error)> Read(string text, Encoding? encoding = null) =>
        [.. new JsonMessageReader().Feed((encoding ?? Encoding.UTF8).GetBytes(text))];

    private static List<string> Read(byte[] text, int size)
    {
        var reader = new JsonMessageReader();
        var read = new List<string>();
        for (int start = 0; start < text.Length; start += size)
        {
            foreach ((JsonNode? message,
                JsonMessageException? error) in reader.Feed(text.AsMemory(start, Math.Min(size, text.Length - start))))
            {
                read.Add(error?.Message ?? JsonMessageWriter.Write(message));
            }
        }

        return read;
    }
}
