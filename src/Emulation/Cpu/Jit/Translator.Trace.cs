using System.Globalization;
using Iced.Intel;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>What the block that was translated last is made of, for the trace: the instructions (in_asm), what each became (op), the host's code (out_asm).</content>
internal sealed unsafe partial class Translator
{
    /// <summary>The categories that are written here.</summary>
    public const TraceCategories Traced = TraceCategories.InAsm | TraceCategories.Op | TraceCategories.OutAsm;

    private static readonly IntelFormatter s_formatter = new(new FormatterOptions { HexPrefix = "0x", HexSuffix = "", SpaceAfterOperandSeparator = true });

    // Of each instruction of the block, and of its end: where its code begins, how many stubs there were, whether it is emitted.
    private readonly (nint Position, int Stubs, bool Emitted)[] _became = new (nint, int, bool)[MaxBlock + 1];

    // Where what exits say is, in ascending order.
    private readonly List<nint> _exitInfos = [];

    /// <summary>Writes the lines of the block that was translated last.</summary>
    /// <param name="address">The virtual address of its first instruction, for whoever it was translated for.</param>
    /// <param name="start">Where its code is.</param>
    /// <param name="end">The end of its code.</param>
    /// <param name="executableOffset">From there to where it is executed.</param>
    public void Trace(TraceLog trace, ulong address, byte* start, byte* end, nint executableOffset)
    {
        for (int i = 0; i < _length; i++)
        {
            string line = string.Create(CultureInfo.InvariantCulture, $"0x{address + (ulong)(i * 4):x16} {OpAt(i)->Word:x8} {NameOf(OpAt(i))}");
            Write(trace, TraceCategories.InAsm, line);
            if (trace.Traces(TraceCategories.Op))
            {
                Write(trace, TraceCategories.Op, $"{line}: {Describe(i)}");
            }
        }

        if (trace.Traces(TraceCategories.OutAsm))
        {
            TraceHostCode(trace, address, start, end, executableOffset);
        }
    }

    private static void Write(TraceLog trace, TraceCategories category, string line)
    {
        if (trace.Traces(category))
        {
            trace.Write(category, line);
        }
    }

    private static string NameOf(Op* op) => op->IsAllocated ? EncodingTable.Rows[op->Row].Mnemonic : "UNDEFINED";

    private string Describe(int index)
    {
        Op* op = OpAt(index);
        var said = new List<string> { _became[index].Emitted ? "emitted" : "interpreted", $"{_became[index + 1].Position - _became[index].Position} bytes" };
        if (_isEntry[index])
        {
            said.Add("entry");
        }
        else if (_isLabel[index])
        {
            said.Add("label");
        }

        if (op->IsAllocated && FlagEffects.OfRow(op->Row) == FlagEffect.Sets)
        {
            said.Add(_wanted[index + 1] ? "flags wanted" : "flags dead");
        }

        int probes = 0;
        int rare = 0;
        for (int i = _became[index].Stubs; i < _became[index + 1].Stubs; i++)
        {
            Stub stub = _stubs[i];
            probes += stub.Kind == ExitKind.Interpret && stub.Reason == ExitReason.TlbMiss ? 1 : 0;
            rare += stub.Kind == ExitKind.Interpret && stub.Reason == ExitReason.RareCase ? 1 : 0;
            if (stub.Kind == ExitKind.Link)
            {
                said.Add("jump to be linked");
            }
        }

        if (probes > 0)
        {
            said.Add("TLB probe");
        }

        if (rare > 0)
        {
            said.Add(rare == 1 ? "a rare case interpreted" : $"{rare} rare cases interpreted");
        }

        return string.Join(", ", said);
    }

    private void TraceHostCode(TraceLog trace, ulong address, byte* start, byte* end, nint executableOffset)
    {
        var output = new StringOutput();
        var reader = new HostCode(start, end);
        Decoder decoder = Decoder.Create(64, reader);
        int instruction = 0;
        int info = 0;
        for (byte* at = start; at < end;)
        {
            while (instruction < _length && _became[instruction].Position <= (nint)at)
            {
                trace.Write(TraceCategories.OutAsm, string.Create(CultureInfo.InvariantCulture, $"0x{address + (ulong)(instruction * 4):x16} {NameOf(OpAt(instruction++))}"));
            }

            ulong ip = (ulong)(nint)at + (ulong)executableOffset;
            if (info < _exitInfos.Count && _exitInfos[info] == (nint)at)
            {
                var exit = (ExitInfo*)at;
                trace.Write(TraceCategories.OutAsm, string.Create(
                    CultureInfo.InvariantCulture, $"  0x{ip:x} .exit at 0x{address + (ulong)((exit->Op - OpAt(0)) * 4):x16}, {exit->Count} to charge"));
                at += sizeof(ExitInfo);
                info++;
                continue;
            }

            reader.Position = at;
            decoder.IP = ip;
            decoder.Decode(out Instruction decoded);
            s_formatter.Format(decoded, output);
            trace.Write(TraceCategories.OutAsm, string.Create(CultureInfo.InvariantCulture, $"  0x{ip:x} {output.ToStringAndReset()}{NameOfThunk(decoded, executableOffset)}"));
            at += Math.Max(decoded.Length, 1);
        }
    }

    private string NameOfThunk(in Instruction decoded, nint executableOffset)
    {
        if (decoded.FlowControl is not (FlowControl.Call or FlowControl.UnconditionalBranch or FlowControl.ConditionalBranch))
        {
            return "";
        }

        var target = (byte*)((nint)decoded.NearBranchTarget - executableOffset);
        Thunks thunks = cache.Thunks;
        return target == thunks.LeaveForInterpreter ? " ; interpret"
            : target == thunks.LeaveForLookup ? " ; look up"
            : target == thunks.LeaveForLink ? " ; link"
            : target == thunks.LeaveForAttention ? " ; attention"
            : "";
    }

    private sealed class HostCode(byte* start, byte* end) : CodeReader
    {
        public byte* Position { get; set; } = start;

        public override int ReadByte() => Position < end ? *Position++ : -1;
    }
}
