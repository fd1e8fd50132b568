using Microsoft.AspNetCore.Http;

namespace Vmm.Fleet.Rest;

/// <summary>
/// The page for people: files beside the program, in the folder <c>page</c>. Those of others come from npm when the program is built; the
/// page does without them what it can. Everybody may read the files: whoever wants to see or do anything gives the page a token.
/// </summary>
internal static class PageFiles
{
    private const string Script = "text/javascript; charset=utf-8";
    private const string Style = "text/css; charset=utf-8";

    // Nothing comes from elsewhere, no script stands in the page, and nobody frames it. The terminal writes styles of its own into it.
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static readonly string s_folder = Path.Combine(AppContext.BaseDirectory, "page");

    private static readonly (string Address, string File, string Media)[] s_files =
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/ui/page.css", "page.css", Style),
        ("/ui/icon.svg", "icon.svg", "image/svg+xml"),
        .. Array.ConvertAll<string, (string, string, string)>(
            ["api.js", "charts.js", "console.js", "dialogs.js", "dom.js", "fleet.js", "main.js", "vm.js"],
            name => ($"/ui/{name}", name, Script)),
        ("/ui/npm/xterm.mjs", "node_modules/@xterm/xterm/lib/xterm.mjs", Script),
        ("/ui/npm/xterm.css", "node_modules/@xterm/xterm/css/xterm.css", Style),
        ("/ui/npm/uplot.mjs", "node_modules/uplot/dist/uPlot.esm.js", Script),
        ("/ui/npm/uplot.css", "node_modules/uplot/dist/uPlot.min.css", Style),
    ];

    /// <summary>The addresses.</summary>
    public static RestEndpoint[] Endpoints => Array.ConvertAll(s_files, file => new RestEndpoint(
        "GET", file.Address, null, "A file of the page", context => TellAsync(context, Path.Combine(s_folder, file.File), file.Media)));

    private static async Task TellAsync(HttpContext context, string path, string media)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers.CacheControl = "no-cache";
        if (!File.Exists(path))
        {
            await context.RejectAsync(StatusCodes.Status404NotFound, $"install npm and run: npm ci --prefix {s_folder}")
                .ConfigureAwait(false);
            return;
        }

        context.Response.ContentType = media;
        await context.Response.SendFileAsync(path, context.RequestAborted).ConfigureAwait(false);
    }
}
