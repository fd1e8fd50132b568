using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Vmm.Fleet.Rest;

/// <summary>One address and method of REST: what it answers, who may ask, and what the reference says of it.</summary>
/// <param name="Method">Of HTTP.</param>
/// <param name="Path">With parameters in braces.</param>
/// <param name="Role">The least role of whoever asks; null for everybody, without a token.</param>
/// <param name="Summary">One line for people.</param>
/// <param name="Answer">Null for one that a library maps.</param>
internal sealed record RestEndpoint(string Method, string Path, RestRole? Role, string Summary, RequestDelegate? Answer)
{
    /// <summary>The type of the body of a request, of the members of <see cref="RestJson"/>; null for none.</summary>
    public Type? Body { get; init; }

    /// <summary>The type of the answer, of the members of <see cref="RestJson"/>; null for text.</summary>
    public Type? Result { get; init; }

    /// <summary>The media types of the answer.</summary>
    public string[] Media { get; init; } = ["application/json"];

    /// <summary>The status of an answer that is no problem.</summary>
    public int Status { get; init; } = StatusCodes.Status200OK;

    /// <summary>Parameters behind the question mark.</summary>
    public RestParameter[] Query { get; init; } = [];

    /// <summary>Headers of a request.</summary>
    public RestParameter[] Headers { get; init; } = [];

    public void Map(IEndpointRouteBuilder app)
    {
        if (Answer != null)
        {
            app.MapMethods(Path, [Method], Answer).WithMetadata(this);
        }
    }
}

/// <summary>A parameter that may be left out.</summary>
/// <param name="Type">Of JSON schema.</param>
internal sealed record RestParameter(string Name, string Type, string Summary);
