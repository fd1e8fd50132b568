using System.Runtime.InteropServices;

namespace Vmm.Emulation.Block;

/// <summary>The host's words.</summary>
public static class ErrnoText
{
    public static string Of(Errno error) => Marshal.GetPInvokeErrorMessage((int)error);
}

/// <summary>
/// How a request to a block node ended, in the host's numbers (errno(3), Linux). Those without a name here come from the host as they are.
/// </summary>
public enum Errno
{
    /// <summary>Done.</summary>
    None = 0,

    /// <summary>No such file.</summary>
    ENOENT = 2,

    /// <summary>Interrupted by a signal; never returned by a node.</summary>
    EINTR = 4,

    /// <summary>The medium failed, or what it holds makes no sense.</summary>
    EIO = 5,

    /// <summary>Another holds a lock.</summary>
    EAGAIN = 11,

    /// <summary>The caller may not.</summary>
    EACCES = 13,

    /// <summary>The request is outside the disk, or the host cannot do it in this form.</summary>
    EINVAL = 22,

    /// <summary>The file would be longer than its format or the host's file system allows.</summary>
    EFBIG = 27,

    /// <summary>The host's file system is full.</summary>
    ENOSPC = 28,

    /// <summary>The disk is read-only.</summary>
    EROFS = 30,

    /// <summary>The host's kernel has no such call.</summary>
    ENOSYS = 38,

    /// <summary>Not supported by this node.</summary>
    EOPNOTSUPP = 95,
}
