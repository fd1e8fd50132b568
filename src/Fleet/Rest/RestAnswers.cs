using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Rest;

/// <summary>Reads requests and writes answers: JSON, and problem details (RFC 9457) for what is wrong.</summary>
internal static class RestAnswers
{
    /// <summary>The media type of problem details.</summary>
    public const string ProblemMedia = "application/problem+json";

    /// <summary>The item of a request's context that has the detail of a problem, once it is told.</summary>
    public const string Detail = "detail";

    /// <summary>Whoever asks.</summary>
    public static Asker Asker(this HttpContext context) => (Asker)context.Items[typeof(Asker)]!;

    /// <summary>Says who asks.</summary>
    public static void SetAsker(this HttpContext context, Asker asker) => context.Items[typeof(Asker)] = asker;

    /// <summary>A parameter of the path.</summary>
    public static string Value(this HttpContext context, string name) => (string)context.Request.RouteValues[name]!;

    /// <summary>Reads the body.</summary>
    /// <exception cref="BadHttpRequestException">It is no such thing: one line.</exception>
    public static async Task<T> ReadAsync<T>(this HttpContext context, JsonTypeInfo<T> type)
    {
        if (!context.Request.HasJsonContentType())
        {
            throw new BadHttpRequestException("give a body of application/json", StatusCodes.Status415UnsupportedMediaType);
        }

        try
        {
            return await context.Request.ReadFromJsonAsync(type, context.RequestAborted).ConfigureAwait(false)
                ?? throw new BadHttpRequestException("the body is null");
        }
        catch (JsonException e)
        {
            throw new BadHttpRequestException($"the body: {e.Message}");
        }
    }

    /// <summary>Answers with a value.</summary>
    public static Task WriteAsync<T>(this HttpContext context, T value, JsonTypeInfo<T> type) =>
        context.Response.WriteAsJsonAsync(value, type, cancellationToken: context.RequestAborted);

    /// <summary>Answers with what a record or an account has refused.</summary>
    public static Task RejectAsync(this HttpContext context, IFleetMessage answer) => answer is VmRejected rejected
        ? context.RejectAsync(
            rejected.Code switch
            {
                VmRejectionCode.NotFound => StatusCodes.Status404NotFound,
                VmRejectionCode.Exists => StatusCodes.Status409Conflict,
                VmRejectionCode.Changed => StatusCodes.Status412PreconditionFailed,
                VmRejectionCode.Invalid => StatusCodes.Status422UnprocessableEntity,
                _ => StatusCodes.Status503ServiceUnavailable,
            },
            rejected.Reason)
        : throw new InvalidOperationException($"a record answered with {answer.GetType().Name}");

    /// <summary>Answers with a problem. A connection whose answer has begun is ended.</summary>
    public static Task RejectAsync(this HttpContext context, int status, string detail)
    {
        context.Items[Detail] = detail;
        if (context.Response.HasStarted)
        {
            context.Abort();
            return Task.CompletedTask;
        }

        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(
            new ProblemDetails { Status = status, Detail = detail }, RestJson.Default.ProblemDetails, ProblemMedia);
    }
}
