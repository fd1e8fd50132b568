using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;
using Vmm.Fleet.Cluster;
using Vmm.Management.Text;

namespace Vmm.Fleet.Isolation;

/// <summary>The user that processes of VMs run as, where the node runs as root.</summary>
/// <param name="Id">Not root's.</param>
[SuppressMessage("Interoperability", "CA1416", Justification = "Vmm runs on Linux alone.")]
internal sealed record HostUser(uint Id, uint Group)
{
    // passwd(5): NAME:PASSWORD:ID:GROUP and more.
    private const string Users = "/etc/passwd";
    private const uint Same = uint.MaxValue;

    private static readonly bool s_arm64 = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    /// <summary>Reads the member <c>vmUser</c> of a node's file.</summary>
    /// <param name="text">A name of /etc/passwd, or UID:GID.</param>
    /// <exception cref="NodeConfigException">There is no such user, or VMs cannot run as it: one line.</exception>
    public static HostUser Parse(string text, IsolationUse landlock)
    {
        string[]? fields = text.Split(':') is [var id, var group] ? ["", "", id, group]
            : File.ReadLines(Users).Select(line => line.Split(':')).FirstOrDefault(f => f.Length > 3 && f[0] == text);
        return fields == null || !TryRead(fields[2], out uint user) || !TryRead(fields[3], out uint of)
                ? throw new NodeConfigException($"vmUser: '{UserText.Legible(text)}' is no user of {Users}, and not UID:GID")
            : user == 0 ? throw new NodeConfigException("vmUser: give another user than root")
            : !Environment.IsPrivilegedProcess
                ? throw new NodeConfigException("vmUser: only a node that is root starts VMs as another user")

            // The node, which is root, reads in a folder that this user owns: without links of its making.
            : VmConfinement.FindGap(landlock) is { } gap ? throw new NodeConfigException($"vmUser: needs Landlock, but {gap}")
            : new HostUser(user, of);
    }

    /// <summary>The calling thread, and what it starts, is this user's from here on. No other thread is.</summary>
    /// <exception cref="IOException">The kernel refuses it.</exception>
    public void Become()
    {
        // The C library's functions would change all threads. setgroups, setresgid and setresuid of syscalls(2).
        Require(SystemCall(s_arm64 ? 159 : 116, 0, 0, 0), "groups");
        Require(SystemCall(s_arm64 ? 149 : 119, Group, Group, Group), "group");
        Require(SystemCall(s_arm64 ? 147 : 117, Id, Id, Id), "user");
    }

    /// <summary>Gives this user a file, or a folder without what is in it.</summary>
    /// <exception cref="IOException">It is not there, or cannot be given.</exception>
    public void Own(string path) => Require(ChangeOwner(path, Id, Group), path);

    /// <summary>Gives this user a folder and all that is in it.</summary>
    /// <exception cref="IOException">It is not there, or cannot be given.</exception>
    public void OwnAll(string folder)
    {
        Own(folder);
        var all = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint };
        foreach (string path in Directory.EnumerateFileSystemEntries(folder, "*", all))
        {
            Own(path);
        }
    }

    /// <summary>Lets this user's group read a file, or look for names that it knows in a folder, and others not.</summary>
    /// <exception cref="IOException">It is not there, or cannot be given.</exception>
    public void Share(string path)
    {
        Require(ChangeOwner(path, Same, Group), path);
        const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        File.SetUnixFileMode(path, Directory.Exists(path)
            ? Owner | UnixFileMode.UserExecute | UnixFileMode.GroupExecute : Owner | UnixFileMode.GroupRead);
    }

    private static bool TryRead(string text, out uint id) =>
        uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out id) && id != Same;

    private static void Require(long result, string what)
    {
        if (result < 0)
        {
            throw new IOException($"vmUser: {what}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
        }
    }

    [DllImport("libc", EntryPoint = "syscall", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern long SystemCall(long number, nuint first, nuint second, nuint third);

    [DllImport("libc", EntryPoint = "lchown", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true,
        SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int ChangeOwner([MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint user, uint group);
}
