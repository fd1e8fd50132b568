namespace Vmm.Host.Commands;

/// <summary>The exit codes of the program.</summary>
public static class ExitCode
{
    /// <summary>The guest powered off, or the user quit.</summary>
    public const int Success = 0;

    /// <summary>The command line or a file is wrong; nothing ran.</summary>
    public const int BadInput = 1;

    /// <summary>The VM stopped with an internal error; a crash report is on stderr.</summary>
    public const int InternalError = 2;

    /// <summary><c>vmm demo</c>: the guest printed something else than expected.</summary>
    public const int DemoFailed = 3;

    /// <summary><c>vmm remote</c>: the guest refused the request.</summary>
    public const int Refused = 4;

    /// <summary><c>vmm remote</c>: the guest has not answered; the request is still pending.</summary>
    public const int TimedOut = 5;

    /// <summary><c>vmm remote</c>: a reset, or another request, came first.</summary>
    public const int Cancelled = 6;

    /// <summary><c>vmm demo</c> was ended by Ctrl-C, as a shell tells of it.</summary>
    public const int Interrupted = 130;
}
