using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Vmm.Management.Text;

/// <summary>
/// Why the system has refused something, in the words of strerror(3), as every other program on the host says it. .NET's own words repeat
/// the path, name types and parameters, and call a folder that is opened as a file "denied".
/// </summary>
public static class SystemError
{
    // errno(3) of Linux, on every architecture that there is .NET for.
    private const int NoSuchFile = 2;
    private const int TryAgain = 11;
    private const int PermissionDenied = 13;
    private const int NotADirectory = 20;
    private const int IsADirectory = 21;
    private const int NameTooLong = 36;
    private const int Last = 4095;

    /// <param name="error">What opening, reading, writing, binding or connecting has thrown.</param>
    /// <param name="path">What it was about, where that is a file, a folder or a Unix socket.</param>
    public static string Describe(Exception error, string? path = null) => error switch
    {
        // .NET keeps the number of none of these.
        _ when path is { Length: 0 } => Words(NoSuchFile),
        FileNotFoundException or DirectoryNotFoundException => Words(IsBelowFile(path) ? NotADirectory : NoSuchFile),
        PathTooLongException => Words(NameTooLong),
        UnauthorizedAccessException when Directory.Exists(path) => Words(IsADirectory),
        UnauthorizedAccessException =>
            Words(error.InnerException is IOException { HResult: > 0 and <= Last } inner ? inner.HResult : PermissionDenied),

        // A Unix socket in a folder that is not there, and one that is not there itself, are "address not available" to .NET.
        SocketException when IsBelowFile(path) => Words(NotADirectory),
        SocketException { SocketErrorCode: SocketError.AddressNotAvailable } when path != null => Words(NoSuchFile),

        // Of names that do not resolve there is no number.
        SocketException { NativeErrorCode: > 0 and <= Last } socket => Words(socket.NativeErrorCode),

        // .NET locks what it opens, and so does another Vmm.
        IOException { HResult: TryAgain } => "another process uses it",
        IOException { HResult: > 0 and <= Last } => Words(error.HResult),
        ArgumentException argument when argument.ParamName != null =>
            argument.Message.Replace($" (Parameter '{argument.ParamName}')", "", StringComparison.Ordinal),
        _ => error.Message,
    };

    private static bool IsBelowFile(string? path)
    {
        for (string? folder = Path.GetDirectoryName(path); !string.IsNullOrEmpty(folder); folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(folder))
            {
                return true;
            }
        }

        return false;
    }

    private static string Words(int number) => Marshal.GetPInvokeErrorMessage(number);
}
