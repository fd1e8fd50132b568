using System.Globalization;
using System.Text;
using Iced.Intel;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>Translated code as text, for reports.</summary>
internal static unsafe class HostDisassembler
{
    /// <summary>A line for each instruction; what an exit says, behind the call that leaves, is one more.</summary>
    /// <param name="code">Whole instructions; bytes of the translation cache, where they run.</param>
    /// <param name="marked">The address of an instruction that gets a mark.</param>
    public static void Append(StringBuilder text, TranslationCache cache, ReadOnlySpan<byte> code, byte* marked = null)
    {
        var formatter = new NasmFormatter();
        var output = new StringOutput();
        fixed (byte* first = code)
        {
            byte* at = first;
            while (at < first + code.Length)
            {
                var decoder = Iced.Intel.Decoder.Create(64, new ByteArrayCodeReader(new ReadOnlySpan<byte>(at, (int)(first + code.Length - at)).ToArray()), (ulong)at);
                decoder.Decode(out Instruction instruction);
                formatter.Format(instruction, output);
                text.Append(CultureInfo.InvariantCulture, $"{(at == marked ? "=>" : "  ")}{(nuint)at:x12}  {output.ToStringAndReset()}\n");
                at += instruction.Length;
                if (instruction.Mnemonic == Iced.Intel.Mnemonic.Call && IsExit(cache, (byte*)instruction.NearBranchTarget - cache.ExecutableOffset))
                {
                    var exit = (ExitInfo*)at;
                    string op = exit->Op == null ? "" : Describe(exit->Op);
                    text.Append(CultureInfo.InvariantCulture, $"    {(nuint)at:x12}  ; exit at {op}, {exit->Count} to charge, place {(nuint)((byte*)&exit->Place + exit->Place):x12}\n");
                    at += sizeof(ExitInfo);
                }
            }
        }
    }

    private static bool IsExit(TranslationCache cache, byte* target) =>
        target == cache.Thunks.LeaveForInterpreter || target == cache.Thunks.LeaveForLink || target == cache.Thunks.LeaveForAttention;

    private static string Describe(Op* op) => string.Create(CultureInfo.InvariantCulture, $"+{op->Offset:x3} {op->Word:x8} {Mnemonic(op->Word)}");

    /// <summary>The title of a guest instruction's encoding.</summary>
    public static string Mnemonic(uint word) => EncodingTable.Find(word) is var row && row < 0 ? "UNDEFINED" : EncodingTable.Rows[row].Mnemonic;
}
