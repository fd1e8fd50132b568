using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// Names of translated code for Linux's <c>perf</c>: lines <c>start size name</c> in /tmp/perf-PID.map, numbers in hexadecimal. Owner:
/// whoever holds the lock of the translation cache.
/// <para>The .NET runtime keeps a file of that name open, when DOTNET_PerfMapEnabled=1, and writes at its own place in it. So lines go
/// through the runtime's descriptor where there is one: both then write at the same place.</para>
/// <para>When all translated code was given up, its addresses are used again: perf then takes either name.</para>
/// </summary>
internal sealed unsafe partial class PerfMap : IDisposable
{
    private const int WriteOnly = 1;
    private const int Create = 0x40;
    private const int Truncate = 0x200;
    private const int CloseOnExec = 0x80000;
    private const int Mode = 0x1B4; // 0664

    private readonly int _file;
    private readonly bool _owned;

    private PerfMap(int file, bool owned)
    {
        _file = file;
        _owned = owned;
    }

    /// <summary>Why a line could not be written; after that none is. Null while all could.</summary>
    public string? Failure { get; private set; }

    /// <exception cref="IOException">The file cannot be written; the message is one line.</exception>
    public static PerfMap Open()
    {
        string path = $"/tmp/perf-{Environment.ProcessId}.map";
        if (FindOpen(path) is { } shared)
        {
            return new PerfMap(shared, owned: false);
        }

        int file = OpenFile(path, WriteOnly | Create | Truncate | CloseOnExec, Mode);
        return file >= 0
            ? new PerfMap(file, owned: true)
            : throw new IOException($"cannot write {path}: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    /// <summary>Names the thunks.</summary>
    public void AddThunks(IReadOnlyList<NamedCode> thunks, nint executableOffset)
    {
        foreach (NamedCode thunk in thunks)
        {
            Add((byte*)thunk.Start + executableOffset, (byte*)thunk.End + executableOffset, thunk.Name);
        }
    }

    /// <summary>Names a block <c>guest:ADDRESS+INSTRUCTIONS</c>, and its ways out <c>guest:ADDRESS:out</c>.</summary>
    /// <param name="address">The virtual address of its first instruction, for whoever it was translated for.</param>
    /// <param name="instructions">How many instructions it has.</param>
    public void AddBlock(BlockCode block, nint executableOffset, ulong address, int instructions)
    {
        Add(block.Hot + executableOffset, block.HotEnd + executableOffset, $"guest:{address:x16}+{instructions}");
        Add(block.Cold + executableOffset, block.ColdEnd + executableOffset, $"guest:{address:x16}:out");
    }

    private void Add(byte* start, byte* end, string name)
    {
        if (Failure != null)
        {
            return;
        }

        byte[] line = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{(nint)start:x} {end - start:x} {name}\n"));
        if (Write(_file, line, (nuint)line.Length) != line.Length)
        {
            Failure = Marshal.GetLastPInvokeErrorMessage();
        }
    }

    public void Dispose()
    {
        if (_owned)
        {
            _ = Close(_file);
        }
    }

    // The descriptor under which this process has a file open for writing.
    private static int? FindOpen(string path)
    {
        foreach (string entry in Directory.EnumerateFiles("/proc/self/fd"))
        {
            if (new FileInfo(entry).LinkTarget == path)
            {
                return int.Parse(Path.GetFileName(entry), CultureInfo.InvariantCulture);
            }
        }

        return null;
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int file, ReadOnlySpan<byte> bytes, nuint count);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
