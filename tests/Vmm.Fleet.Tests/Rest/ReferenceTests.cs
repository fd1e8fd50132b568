using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using Microsoft.OpenApi.Reader;
using Vmm.Emulation.Tests.Jit;

namespace Vmm.Fleet.Tests.Rest;

/// <summary>The OpenAPI document: others can read it, and it is true of clients of every kind.</summary>
public sealed class ReferenceTests : RestTestKit
{
    private static readonly string[] s_words = ["vm1", "vm2", "ada", "a", "", "..", "%00", "x y", "Ü", "null", "2026-11-29", "* * * * *"];

    private async Task<JsonObject> ReadAsync() => JsonNode.Parse(await Client.GetStringAsync("/openapi.json"))!.AsObject();

    [Fact]
    public async Task Document_is_one_that_another_reader_understands()
    {
        ReadResult read = OpenApiDocument.Parse(await Client.GetStringAsync("/openapi.json"), "json");
        Assert.Empty(read.Diagnostic!.Errors);
        Assert.Empty(read.Diagnostic.Warnings);
        Assert.Equal(OpenApiSpecVersion.OpenApi3_1, read.Diagnostic.SpecificationVersion);
        IOpenApiPathItem vms = read.Document!.Paths["/v1/vms"];
        Assert.Equal([HttpMethod.Get, HttpMethod.Post], vms.Operations!.Keys.OrderBy(m => m.Method));
        IOpenApiSchema body = vms.Operations[HttpMethod.Post].RequestBody!.Content!["application/json"].Schema!;
        Assert.Equal(["name", "spec"], body.Required!.Order());
        Assert.Equal(JsonSchemaType.Object, body.Properties!["spec"].Type);
    }

    [Fact]
    public async Task Page_has_each_address_and_fetches_nothing()
    {
        string page = await Client.GetStringAsync("/docs");
        Assert.All((await ReadAsync())["paths"]!.AsObject(), p => Assert.Contains(p.Key, page, StringComparison.Ordinal));
        Assert.DoesNotContain("src=", page, StringComparison.Ordinal);
        Assert.DoesNotContain("http:", page, StringComparison.Ordinal);
        Assert.DoesNotContain("https:", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<link", page, StringComparison.Ordinal);
    }

    /// <summary>
    /// Requests that the document describes, with bodies that are right or nearly so, of every role and of none; and connections that
    /// send a part of one and wait, or go. Each answer is one that the document has, and the node goes on.
    /// </summary>
    [Fact]
    public async Task Fuzz_REST_by_its_document()
    {
        JsonObject document = await ReadAsync();
        var operations = document["paths"]!.AsObject().SelectMany(path => path.Value!.AsObject().Select(o => (
            Path: path.Key, Method: o.Key, Operation: o.Value!))).ToArray();
        var slow = new List<TcpClient>();
        var run = new FuzzRun(300);
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));
            var (path, method, operation) = operations[random.Next(operations.Length)];
            string address = Uri.EscapeDataString(s_words[random.Next(s_words.Length)]) is var word
                ? path.Replace("{id}", word, StringComparison.Ordinal)
                    .Replace("{vm}", random.Next(2) == 0 ? "vm1" : word, StringComparison.Ordinal)
                    .Replace("{node}", word, StringComparison.Ordinal)
                    .Replace("{owner}", random.Next(2) == 0 ? "ada" : word, StringComparison.Ordinal) : "";
            string[] query = [.. operation["parameters"]!.AsArray().Where(p => (string?)p!["in"] == "query" && random.Next(2) == 0)
                .Select(p => $"{p!["name"]}={(random.Next(2) == 0 ? "0" : Uri.EscapeDataString(s_words[random.Next(s_words.Length)]))}")];
            address += query.Length > 0 ? $"?{string.Join('&', query)}" : "";
            JsonNode? schema = operation["requestBody"]?["content"]!["application/json"]!["schema"];
            string? body = schema == null ? null : Value(document, schema, random)?.ToJsonString() ?? "null";
            (string role, string? token) = random.Next(6) switch
            {
                0 => ("", null),
                1 => ("", "garbage"),
                2 => ("viewer", Viewer),
                3 => ("operator", Operator),
                _ => ("admin", Admin),
            };
            if (random.Next(8) == 0)
            {
                var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, Client.BaseAddress!.Port);
                string text = $"{method.ToUpperInvariant()} {address} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"
                    + $"Content-Type: application/json\r\nContent-Length: {body?.Length ?? 0}\r\n\r\n{body}";
                await client.GetStream().WriteAsync(Encoding.UTF8.GetBytes(text[..random.Next(text.Length)]));
                slow.Add(client);
                if (slow.Count > 20)
                {
                    slow[0].Dispose();
                    slow.RemoveAt(0);
                }

                continue;
            }

            using var request = new HttpRequestMessage(new HttpMethod(method.ToUpperInvariant()), address);
            request.Headers.Authorization = token == null ? null : new AuthenticationHeaderValue("Bearer", token);
            request.Content = body == null ? null : new StringContent(body, Encoding.UTF8, "application/json");
            using HttpResponseMessage response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            int status = (int)response.StatusCode;
            string name = $"{run.Name(program)}: {role} {method} {address} {body}: {status}";
            string? media = response.Content.Headers.ContentType?.MediaType;
            bool isPublic = operation["security"]?.AsArray().Count == 0;
            if (status < 400)
            {
                Assert.True(isPublic || role.Length > 0, name);
                JsonNode? answer = operation["responses"]![$"{status}"];
                Assert.True(media != null && answer?["content"]![media] != null, $"{name} {media}");
            }
            else
            {
                Assert.True(status < 500, name);
                Assert.Equal("application/problem+json", media);
                Assert.Equal(!isPublic && role.Length == 0, status == 401);
            }
        }

        slow.ForEach(client => client.Dispose());
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(HttpMethod.Get, "/health/ready", null)).Status);
        System.Console.WriteLine(run.Figure("REST by its document", $"{run.Next} requests"));
    }

    // A value of a schema; now and then one that is not.
    private static JsonNode? Value(JsonObject document, JsonNode schema, Random random)
    {
        if (schema["$ref"] is { } reference)
        {
            return Value(document, document["components"]!["schemas"]![((string)reference!).Split('/')[^1]]!, random);
        }

        if (random.Next(25) == 0)
        {
            return random.Next(5) switch
            {
                0 => null,
                1 => new JsonObject { ["color"] = "red" },
                2 => new JsonArray(1, "a"),
                3 => JsonValue.Create(new string('x', random.Next(3000))),
                _ => JsonValue.Create(-1e300),
            };
        }

        if (schema["enum"] is JsonArray values)
        {
            return values[random.Next(values.Count)]?.DeepClone();
        }

        string[] types = schema["type"] switch
        {
            JsonArray several => [.. several.Select(t => (string)t!)],
            { } one => [(string)one!],
            _ => ["string"],
        };
        switch (types[random.Next(types.Length)])
        {
            case "object":
                var result = new JsonObject();
                string[] required = [.. (schema["required"] as JsonArray ?? []).Select(r => (string)r!)];
                foreach ((string member, JsonNode? type) in schema["properties"]!.AsObject())
                {
                    if (required.Contains(member) ? random.Next(30) != 0 : random.Next(3) == 0)
                    {
                        result[member] = Value(document, type!, random);
                    }
                }

                return result;
            case "array":
                return new JsonArray([.. Enumerable.Range(0, random.Next(3)).Select(_ => Value(document, schema["items"]!, random))]);
            case "integer":
                return JsonValue.Create(random.Next(4) == 0 ? random.NextInt64(-10, 1L << 40) : random.Next(1, 5));
            case "number":
                return JsonValue.Create(random.Next(4) == 0 ? (random.NextDouble() * 1e7) - 10 : random.NextDouble());
            case "null":
                return null;
            default:
                return JsonValue.Create(random.Next(3) == 0 ? "/k" : s_words[random.Next(s_words.Length)]);
        }
    }
}
