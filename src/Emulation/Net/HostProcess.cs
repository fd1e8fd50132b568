using System.Collections;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.Net;

/// <summary>
/// A process of this host with some of our descriptors, in a session of its own. .NET's own class can hand over no descriptors but those of
/// its pipes.
/// </summary>
internal sealed unsafe partial class HostProcess : IDisposable
{
    private const int Kill = 9;
    private const int Interrupted = 4;
    private const short NewSession = 0x80;

    // Larger than glibc's and musl's types.
    private const int OpaqueSize = 512;

    // 0 when it has been waited for.
    private int _id;

    private HostProcess(int id) => _id = id;

    /// <param name="command">The program's path and its arguments.</param>
    /// <param name="environment">Beside our own.</param>
    /// <param name="descriptors">Which number each of our descriptors has there.</param>
    /// <exception cref="NetException">The host cannot start it.</exception>
    public static HostProcess Start(
        IReadOnlyList<string> command, IReadOnlyList<string> environment, IReadOnlyList<(SafeHandle Ours, int Theirs)> descriptors)
    {
        byte* actions = stackalloc byte[OpaqueSize];
        byte* attributes = stackalloc byte[OpaqueSize];
        byte*[] arguments = ToNative(command);
        byte*[] variables = ToNative([.. OurEnvironment(), .. environment]);
        _ = ActionsInit(actions);
        _ = AttributesInit(attributes);
        try
        {
            _ = AttributesSetFlags(attributes, NewSession);
            foreach ((SafeHandle ours, int theirs) in descriptors)
            {
                _ = ActionsAddDup2(actions, (int)ours.DangerousGetHandle(), theirs);
            }

            fixed (byte** argv = arguments)
            fixed (byte** envp = variables)
            {
                int error = Spawn(out int id, argv[0], actions, attributes, argv, envp);
                return error == 0 ? new HostProcess(id)
                    : throw new NetException($"cannot start {command[0]}: {Marshal.GetPInvokeErrorMessage(error)}");
            }
        }
        finally
        {
            _ = ActionsDestroy(actions);
            _ = AttributesDestroy(attributes);
            Free(arguments);
            Free(variables);
        }
    }

    /// <summary>Waits until it ends by itself.</summary>
    /// <returns>Its exit status; -1 where a signal ended it.</returns>
    public int AwaitEnd()
    {
        int status = 0;
        while (WaitFor(_id, &status, 0) < 0 && Marshal.GetLastPInvokeError() == Interrupted)
        {
        }

        _id = 0;
        return (status & 0x7F) == 0 ? (status >> 8) & 0xFF : -1;
    }

    /// <summary>Ends it, and returns when it has ended.</summary>
    public void Dispose()
    {
        if (_id != 0)
        {
            _ = KillProcess(_id, Kill);
            _ = WaitFor(_id, null, 0);
            _id = 0;
        }
    }

    private static IEnumerable<string> OurEnvironment() =>
        Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(e => $"{e.Key}={e.Value}");

    private static byte*[] ToNative(IReadOnlyList<string> texts)
    {
        byte*[] native = new byte*[texts.Count + 1];
        for (int i = 0; i < texts.Count; i++)
        {
            native[i] = (byte*)Marshal.StringToCoTaskMemUTF8(texts[i]);
        }

        return native;
    }

    private static void Free(byte*[] native)
    {
        foreach (byte* text in native)
        {
            Marshal.FreeCoTaskMem((nint)text);
        }
    }

    [LibraryImport("libc", EntryPoint = "posix_spawn")]
    private static partial int Spawn(out int id, byte* path, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    private static partial int ActionsInit(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_adddup2")]
    private static partial int ActionsAddDup2(byte* actions, int descriptor, int number);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    private static partial int ActionsDestroy(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_init")]
    private static partial int AttributesInit(byte* attributes);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_setflags")]
    private static partial int AttributesSetFlags(byte* attributes, short flags);

    [LibraryImport("libc", EntryPoint = "posix_spawnattr_destroy")]
    private static partial int AttributesDestroy(byte* attributes);

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int KillProcess(int id, int signal);

    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    private static partial int WaitFor(int id, int* status, int options);
}
