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
                ExitKind kind = KindOf(cache.Thunks, Target(cache, instruction));
                write(at, Describe((ExitInfo*)at, kind));
                at += kind is ExitKind.Link or ExitKind.Apart ? sizeof(ExitInfo) : ExitInfo.CommonSize;
            }
        }
    }

    /// <summary>The title of a guest instruction's encoding.</summary>
    public static string Mnemonic(uint word) =>
        EncodingTable.Find(word) is var row && row < 0 ? "UNDEFINED" : EncodingTable.Rows[row].Mnemonic;

    private static string Describe(ExitInfo* exit, ExitKind kind)
    {
        var left = (Op*)((byte*)&exit->Where + exit->Where);
        string op = kind == ExitKind.Interpret
            ? string.Create(CultureInfo.InvariantCulture, $"+{left->Offset:x3} {left->Word:x8} {Mnemonic(left->Word)}")
            : string.Create(CultureInfo.InvariantCulture, $"+{exit->Where:x3}");
        return string.Create(
            CultureInfo.InvariantCulture,
            $".exit at {op}, {exit->Count} to charge, place 0x{(nuint)((byte*)&exit->Place + exit->Place):x}");
    }

    private static string NameOfThunk(TranslationCache cache, in Instruction instruction)
    {
        if (instruction.FlowControl is not (FlowControl.Call or FlowControl.UnconditionalBranch or FlowControl.ConditionalBranch))
        {
            return "";
        }

        byte* target = Target(cache, instruction);
        Thunks thunks = cache.Thunks;
        return target == thunks.LookUpSecond || target == thunks.LeaveForLookup ? " ; look up" : KindOf(thunks, target) switch
        {
            ExitKind.Interpret => " ; interpret",
            ExitKind.Link => " ; link",
            ExitKind.Attention => " ; attention",
            ExitKind.Apart => " ; apart",
            _ => "",
        };
    }

    private static byte* Target(TranslationCache cache, in Instruction instruction) =>
        (byte*)((nint)instruction.NearBranchTarget - cache.ExecutableOffset);

    // Of the thunks that are called; Lookup for what is none.
    private static ExitKind KindOf(in Thunks thunks, byte* target) =>
        target == thunks.LeaveForInterpreter ? ExitKind.Interpret
        : target == thunks.LeaveForLink ? ExitKind.Link
        : target == thunks.LeaveForAttention ? ExitKind.Attention
        : target == thunks.LeaveForApart ? ExitKind.Apart
        : ExitKind.Lookup;

    private sealed class HostCode(byte* end) : CodeReader
    {
        public byte* Position { get; set; }

        public override int ReadByte() => Position < end ? *Position++ : -1;
    }
}
