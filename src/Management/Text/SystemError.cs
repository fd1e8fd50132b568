using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Vmm.Management.Text;

/// <summary>
/// The reason why the operating system has refused something, in the words of strerror(3), which every other program uses. .NET's own words
/// repeat the path, name types and parameters, and call a folder that is opened as a file "denied".
/// </summary>
public static class SystemError
{
    // Values of errno(3) on Linux, which are the same on every architecture that .NET supports.
    private const int NoSuchFile = 2;
    private const int TryAgain = 11;
    private const int PermissionDenied = 13;
    private const int NotADirectory = 20;
    private const int IsADirectory = 21;
    private const int NameTooLong = 36;
    private const int Last = 4095;

    /// <param name="error">The exception of opening, reading, writing, binding or connecting.</param>
    /// <param name="path">The file, folder or Unix socket in question; null if it was none.</param>
    public static string Describe(Exception error, string? path = null) => error switch
    {
        // .NET keeps the error number of none of the following four.
        _ when path is { Length: 0 } => Words(NoSuchFile),
        FileNotFoundException or DirectoryNotFoundException => Words(IsBelowFile(path) ? NotADirectory : NoSuchFile),
        PathTooLongException => Words(NameTooLong),
        UnauthorizedAccessException when Directory.Exists(path) => Words(IsADirectory),
        UnauthorizedAccessException =>
            Words(error.InnerException is IOException { HResult: > 0 and <= Last } inner ? inner.HResult : PermissionDenied),

        // .NET says "address not available" for a Unix socket that does not exist, and also for one in a folder that does not exist.
        SocketException when IsBelowFile(path) => Words(NotADirectory),
        SocketException { SocketErrorCode: SocketError.AddressNotAvailable } when path != null => Words(NoSuchFile),

        // A name that does not resolve has no error number.
        SocketException { NativeErrorCode: > 0 and <= Last } socket => Words(socket.NativeErrorCode),

        // A program that cannot be started.
        Win32Exception { NativeErrorCode: > 0 and <= Last } start => Words(start.NativeErrorCode),

        // .NET locks each file that it opens, and so does another Vmm.
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
