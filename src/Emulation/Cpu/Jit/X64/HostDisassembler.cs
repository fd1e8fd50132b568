using System.Globalization;
using Iced.Intel;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>Translated code as text, for the trace and for reports.</summary>
internal static unsafe class HostDisassembler
{
    private static readonly FormatterOptions s_options = new() { HexPrefix = "0x", HexSuffix = "", SpaceAfterOperandSeparator = true };

    /// <summary>See <see cref="IHostBackend.Disassemble"/>.</summary>
    public static void Disassemble(Thunks thunks, byte* start, byte* end, nint executableOffset, CodeLine write)
    {
        var formatter = new IntelFormatter(s_options);
        var output = new StringOutput();
        var reader = new HostCode(end);
        Decoder decoder = Decoder.Create(64, reader);
        for (byte* at = start; at < end;)
        {
            reader.Position = at;
            decoder.IP = (ulong)(at + executableOffset);
            decoder.Decode(out Instruction instruction);
            formatter.Format(instruction, output);
            bool leaves = IsJumpOrCall(instruction);
            var target = (byte*)((nint)instruction.NearBranchTarget - executableOffset);
            string thunk = leaves ? NameOf(thunks, target) : "";
            write(at + executableOffset, output.ToStringAndReset() + thunk);
            at += Math.Max(instruction.Length, 1);
            if (thunk.Length > 0 && instruction.Mnemonic == Mnemonic.Call)
            {
                ExitKind kind = KindOf(thunks, target);
                write(at + executableOffset, Describe((ExitInfo*)at, kind, executableOffset));
                at += kind is ExitKind.Link or ExitKind.Apart ? sizeof(ExitInfo) : ExitInfo.CommonSize;
            }
        }
    }

    private static bool IsJumpOrCall(in Instruction instruction) =>
        instruction.FlowControl is FlowControl.Call or FlowControl.UnconditionalBranch or FlowControl.ConditionalBranch;

    private static string Describe(ExitInfo* exit, ExitKind kind, nint executableOffset)
    {
        var left = (Op*)((byte*)&exit->Where + exit->Where);
        string op = kind == ExitKind.Interpret
            ? string.Create(CultureInfo.InvariantCulture, $"+{left->Offset:x3} {left->Word:x8} {EncodingTable.MnemonicOf(left->Word)}")
            : string.Create(CultureInfo.InvariantCulture, $"+{exit->Where:x3}");
        byte* place = (byte*)&exit->Place + exit->Place + executableOffset;
        return string.Create(
            CultureInfo.InvariantCulture, $".exit at {op}, {exit->Count} to charge, place 0x{(nuint)place:x}");
    }

    private static string NameOf(Thunks thunks, byte* target) =>
        target == thunks.LookUpSecond || target == thunks.LeaveForLookup ? " ; look up" : KindOf(thunks, target) switch
        {
            ExitKind.Interpret => " ; interpret",
            ExitKind.Link => " ; link",
            ExitKind.Attention => " ; attention",
            ExitKind.Apart => " ; apart",
            _ => "",
        };

    // The exit of a thunk that is called to leave; Lookup for what is no such thunk.
    private static ExitKind KindOf(Thunks thunks, byte* target) =>
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
