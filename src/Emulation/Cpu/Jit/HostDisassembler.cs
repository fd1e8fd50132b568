using System.Globalization;
using Iced.Intel;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>Translated code as text, for the trace and for reports.</summary>
internal static unsafe class HostDisassembler
{
    private static readonly FormatterOptions s_options = new() { HexPrefix = "0x", HexSuffix = "", SpaceAfterOperandSeparator = true };

    /// <summary>Takes an instruction, or what an exit says, which is behind the call that leaves.</summary>
    public delegate void Line(byte* at, string text);

    /// <param name="start">Whole instructions in the translation cache, where they are executed.</param>
    public static void Disassemble(TranslationCache cache, byte* start, byte* end, Line write)
    {
        var formatter = new IntelFormatter(s_options);
        var output = new StringOutput();
        var reader = new HostCode(end);
        Decoder decoder = Decoder.Create(64, reader);
        for (byte* at = start; at < end;)
        {
            reader.Position = at;
            decoder.IP = (ulong)at;
            decoder.Decode(out Instruction instruction);
            formatter.Format(instruction, output);
            string thunk = NameOfThunk(cache, instruction);
            write(at, output.ToStringAndReset() + thunk);
            at += Math.Max(instruction.Length, 1);
            if (thunk.Length > 0 && instruction.Mnemonic == Iced.Intel.Mnemonic.Call)
            {
                write(at, Describe((ExitInfo*)at));
                at += sizeof(ExitInfo);
            }
        }
    }

    /// <summary>The title of a guest instruction's encoding.</summary>
    public static string Mnemonic(uint word) => EncodingTable.Find(word) is var row && row < 0 ? "UNDEFINED" : EncodingTable.Rows[row].Mnemonic;

    private static string Describe(ExitInfo* exit)
    {
        string op = exit->Op == null ? "" : string.Create(CultureInfo.InvariantCulture, $"+{exit->Op->Offset:x3} {exit->Op->Word:x8} {Mnemonic(exit->Op->Word)}");
        return string.Create(CultureInfo.InvariantCulture, $".exit at {op}, {exit->Count} to charge, place 0x{(nuint)((byte*)&exit->Place + exit->Place):x}");
    }

    private static string NameOfThunk(TranslationCache cache, in Instruction instruction)
    {
        if (instruction.FlowControl is not (FlowControl.Call or FlowControl.UnconditionalBranch or FlowControl.ConditionalBranch))
        {
            return "";
        }

        var target = (byte*)((nint)instruction.NearBranchTarget - cache.ExecutableOffset);
        Thunks thunks = cache.Thunks;
        return target == thunks.LeaveForInterpreter ? " ; interpret"
            : target == thunks.LookUpSecond || target == thunks.LeaveForLookup ? " ; look up"
            : target == thunks.LeaveForLink ? " ; link"
            : target == thunks.LeaveForAttention ? " ; attention"
            : "";
    }

    private sealed class HostCode(byte* end) : CodeReader
    {
        public byte* Position { get; set; }

        public override int ReadByte() => Position < end ? *Position++ : -1;
    }
}
