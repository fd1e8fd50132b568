using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;

namespace Vmm.Fleet.Rest;

/// <summary>
/// The reference of REST, made of the addresses themselves: an OpenAPI 3.1 document (OpenAPI Specification 3.1.1), and the same as a page
/// that fetches nothing else.
/// </summary>
internal static partial class ReferenceApi
{
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    /// <summary>The two addresses of the reference, which everybody may read.</summary>
    public static RestEndpoint[] Of(IReadOnlyList<RestEndpoint> endpoints)
    {
        var text = new Lazy<(string Json, string Page)>(() =>
        {
            JsonObject document = Document(endpoints);
            return (document.ToJsonString(s_indented), Page(endpoints, document));
        });
        return
        [
            new("GET", "/openapi.json", null, "The OpenAPI document", context => TellAsync(context, "application/json", text.Value.Json)),
            new("GET", "/docs", null, "The reference as a page", context => TellAsync(context, "text/html; charset=utf-8", text.Value.Page))
            {
                Media = ["text/html"],
            },
        ];
    }

    private static Task TellAsync(HttpContext context, string type, string text)
    {
        context.Response.ContentType = type;
        return context.Response.WriteAsync(text, context.RequestAborted);
    }

    private static JsonObject Document(IReadOnlyList<RestEndpoint> endpoints)
    {
        var paths = new JsonObject();
        foreach (IGrouping<string, RestEndpoint> path in endpoints.GroupBy(e => e.Path))
        {
            paths[path.Key] = new JsonObject(path.Select(e => KeyValuePair.Create<string, JsonNode?>(Lower(e.Method), Operation(e))));
        }

        IEnumerable<Type> types = endpoints.SelectMany(e => new[] { e.Body, e.Result }).OfType<Type>()
            .Select(t => t.GetElementType() ?? t).Append(typeof(ProblemDetails)).Distinct().OrderBy(t => t.Name, StringComparer.Ordinal);
        return new JsonObject
        {
            ["openapi"] = "3.1.1",
            ["info"] = new JsonObject { ["title"] = "Vmm fleet", ["version"] = "1" },
            ["security"] = new JsonArray(new JsonObject { ["token"] = new JsonArray() }),
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["securitySchemes"] = new JsonObject { ["token"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer" } },
                ["schemas"] = new JsonObject(types.Select(t => KeyValuePair.Create<string, JsonNode?>(
                    t.Name, RestJson.Default.GetTypeInfo(t)!.GetJsonSchemaAsNode(
                        new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true })))),
            },
        };
    }

    private static JsonObject Operation(RestEndpoint endpoint)
    {
        IEnumerable<JsonNode?> parameters =
        [
            .. PathParameter().Matches(endpoint.Path).Select(m => Parameter(m.Groups[1].Value, "path", "string", null)),
            .. endpoint.Query.Select(p => Parameter(p.Name, "query", p.Type, p.Summary)),
            .. endpoint.Headers.Select(p => Parameter(p.Name, "header", p.Type, p.Summary)),
        ];
        var operation = new JsonObject
        {
            ["summary"] = endpoint.Summary,
            ["description"] = endpoint.Role is { } role ? $"It takes the token of a {Lower(role.ToString())}." : "It takes no token.",
            ["parameters"] = new JsonArray([.. parameters]),
            ["responses"] = new JsonObject
            {
                [endpoint.Status.ToString(CultureInfo.InvariantCulture)] = new JsonObject
                {
                    ["description"] = "What was asked for",
                    ["content"] = new JsonObject(endpoint.Media.Select(m => KeyValuePair.Create<string, JsonNode?>(
                        m, new JsonObject { ["schema"] = endpoint.Result == null ? new JsonObject() : Reference(endpoint.Result) }))),
                },
                ["default"] = new JsonObject
                {
                    ["description"] = "What is wrong, in one line",
                    ["content"] = new JsonObject
                    {
                        [RestAnswers.ProblemMedia] = new JsonObject { ["schema"] = Reference(typeof(ProblemDetails)) },
                    },
                },
            },
        };
        if (endpoint.Role == null)
        {
            operation["security"] = new JsonArray();
        }

        if (endpoint.Body != null)
        {
            operation["requestBody"] = new JsonObject
            {
                ["required"] = true,
                ["content"] = new JsonObject { ["application/json"] = new JsonObject { ["schema"] = Reference(endpoint.Body) } },
            };
        }

        return operation;
    }

    private static JsonObject Parameter(string name, string place, string type, string? summary)
    {
        var parameter = new JsonObject
        {
            ["name"] = name, ["in"] = place, ["required"] = place == "path", ["schema"] = new JsonObject { ["type"] = type },
        };
        if (summary != null)
        {
            parameter["description"] = summary;
        }

        return parameter;
    }

    private static JsonObject Reference(Type type) => type.GetElementType() is { } element
        ? new JsonObject { ["type"] = "array", ["items"] = Reference(element) }
        : new JsonObject { ["$ref"] = $"#/components/schemas/{type.Name}" };

    private static string Page(IReadOnlyList<RestEndpoint> endpoints, JsonObject document)
    {
        var page = new StringBuilder(
            """
            <!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
            <title>REST of a Vmm fleet</title><style>
            :root { color-scheme: light dark } body { font: 1rem/1.5 sans-serif; max-width: 60rem; margin: auto; padding: 1rem }
            h2 { font-size: 1.1rem; margin: 2rem 0 0 } pre { overflow: auto; padding: .5rem; border: 1px solid }
            </style></head><body><main><h1>REST of a Vmm fleet</h1>
            <p>The same as a document for programs: <a href="openapi.json">OpenAPI 3.1</a>.</p>

            """);
        foreach (RestEndpoint endpoint in endpoints)
        {
            page.Append(CultureInfo.InvariantCulture, $"<h2><code>{endpoint.Method} {Html(endpoint.Path)}</code></h2>\n");
            string who = endpoint.Role is { } role ? $"Role: {Lower(role.ToString())}" : "No token";
            page.Append(CultureInfo.InvariantCulture, $"<p>{Html(endpoint.Summary)}. {who}.</p>\n");
            foreach (RestParameter parameter in endpoint.Query.Concat(endpoint.Headers))
            {
                page.Append(CultureInfo.InvariantCulture, $"<p><code>{parameter.Name}</code>: {Html(parameter.Summary)}</p>\n");
            }

            foreach ((string what, Type? type) in new[] { ("Body", endpoint.Body), ("Answer", endpoint.Result) })
            {
                if (type != null)
                {
                    string name = (type.GetElementType() ?? type).Name;
                    page.Append(CultureInfo.InvariantCulture,
                        $"<p>{what}: <a href=\"#{name}\">{name}</a>{(type.IsArray ? ", any number" : "")}</p>\n");
                }
            }
        }

        foreach ((string name, JsonNode? schema) in document["components"]!["schemas"]!.AsObject())
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<h2 id=\"{name}\">{name}</h2><pre tabindex=\"0\">{Html(schema!.ToJsonString(s_indented))}</pre>\n");
        }

        return page.Append("</main></body></html>\n").ToString();
    }

    private static string Html(string text) => WebUtility.HtmlEncode(text);

    private static string Lower(string word) => word.ToLowerInvariant();

    [GeneratedRegex(@"\{(\w+)\}")]
    private static partial Regex PathParameter();
}
