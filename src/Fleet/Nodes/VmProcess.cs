using System.Diagnostics;
using Vmm.Actors.Journals;
using Vmm.Fleet.Isolation;
using Vmm.Management.Text;

namespace Vmm.Fleet.Nodes;

/// <summary>
/// The process of a VM. It is in a session of its own, with its output in a file, so that the end of the node or of its terminal is none of
/// its. A later run of the node finds it again by what was noted in its folder.
/// </summary>
internal sealed class VmProcess
{
    /// <summary>The exit code of a process whose parent is not this one: nobody knows it.</summary>
    public const int UnknownExit = -1;

    // A process that is no child of ours does not tell of its end.
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(500);

    // The .NET runtime compiles a method anew once it was called so often, and once no other was new for so many ms (hexadecimal). What
    // `vmm run` has by itself is for one guest that boots. Here many start on the same cores, and most will do little: these two save two
    // fifths of the CPU time of a start, and a guest that works has what it needs within seconds. The third saves a twentieth: without it
    // the runtime maps its own code twice, so that no page is both writable and executable, but the guest's translated code has such
    // pages anyway, unless `-accel` says `dual=on`.
    private static readonly (string Name, string Value)[] s_runtime =
    [
        ("DOTNET_TC_CallCountThreshold", "2710"), ("DOTNET_TC_CallCountingDelayMs", "1388"), ("DOTNET_EnableWriteXorExecute", "0"),
    ];

    private VmProcess(ProcessIdentity identity, Task<int> ended) => (Identity, Ended) = (identity, ended);

    public ProcessIdentity Identity { get; }

    /// <summary>Completes with the exit code when the process has ended; of one that a signal ended it is 128 and its number.</summary>
    public Task<int> Ended { get; }

    /// <summary>Starts a program with the VM's folder as its current one, and notes which process it is.</summary>
    /// <param name="confinement">What it may reach.</param>
    /// <exception cref="IOException">It cannot be started, or not be noted; then it does not run.</exception>
    public static VmProcess Launch(VmFolder folder, IReadOnlyList<string> command, VmConfinement confinement)
    {
        // The process may write these two, and make no others.
        DurableFolder.Make(folder.State);
        File.WriteAllText(folder.Log, "");

        // The shell waits until it has its limits and is noted, and ends if the node ends before. Then it becomes setsid(1), and that the
        // program: all of them are the same process.
        var start = new ProcessStartInfo("/bin/sh") { WorkingDirectory = folder.Root, RedirectStandardInput = true };
        foreach (string argument in (string[])["-c", """read -r go && exec setsid -- "$@" >log 2>&1 </dev/null""", "sh", .. command])
        {
            start.ArgumentList.Add(argument);
        }

        foreach ((string name, string value) in s_runtime)
        {
            start.Environment[name] = value;
        }

        Process child;
        try
        {
            child = confinement.Start(start);
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or InvalidOperationException)
        {
            throw new IOException($"the VM's process cannot be started: {SystemError.Describe(e)}", e);
        }

        // One that has ended already is found so by whoever connects to it.
        var process = new VmProcess(
            ProcessIdentity.Of(child.Id) ?? new ProcessIdentity("", child.Id, 0), WaitAsync(child));
        try
        {
            folder.WriteProcess(process.Identity);
            LetGo(child);
            return process;
        }
        catch
        {
            process.Kill();
            throw;
        }
    }

    /// <summary>The process that was noted in a VM's folder, if it is still there.</summary>
    public static VmProcess? Find(VmFolder folder) =>
        folder.ReadProcess() is { IsAlive: true } identity ? Of(identity) : null;

    /// <summary>A process that a VM has told of; null if it has ended.</summary>
    public static VmProcess? Find(int id) => ProcessIdentity.Of(id) is { } identity ? Of(identity) : null;

    /// <summary>Ends it at once (SIGKILL), if it is still there.</summary>
    public void Kill()
    {
        if (!Identity.IsAlive)
        {
            return;
        }

        try
        {
            using var process = Process.GetProcessById(Identity.Id);
            process.Kill();
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            // It has ended meanwhile.
        }
    }

    private static void LetGo(Process child)
    {
        try
        {
            child.StandardInput.Write('\n');
            child.StandardInput.Close();
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            // It has ended already, which is found by whoever connects to it.
        }
    }

    private static VmProcess Of(ProcessIdentity identity) => new(identity, LookAsync(identity));

    private static async Task<int> WaitAsync(Process child)
    {
        using (child)
        {
            await child.WaitForExitAsync().ConfigureAwait(false);
            return child.ExitCode;
        }
    }

    private static async Task<int> LookAsync(ProcessIdentity identity)
    {
        while (identity.IsAlive)
        {
            await Task.Delay(s_look).ConfigureAwait(false);
        }

        return UnknownExit;
    }
}
