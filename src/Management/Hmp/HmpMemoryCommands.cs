using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Management.Commands;

namespace Vmm.Management.Hmp;

/// <summary>Commands that dump memory and print values, in QEMU's layout.</summary>
internal static class HmpMemoryCommands
{
    private const int Physical = -1;

    public static void Register(HmpCommandTable table, MonitorCommands commands)
    {
        HmpParameter[] dump = [new("fmt", HmpParameterKind.Format), new("addr", HmpParameterKind.Expression)];
        table.Add("x", "/fmt addr", "virtual memory dump starting at 'addr', as the default CPU translates it", dump,
            (arguments, context) => Dump(commands.Vm, context.Cpu, (ulong)arguments.Number("addr"), arguments.Format));
        table.Add("xp", "/fmt addr", "physical memory dump starting at 'addr'; devices are not read", dump,
            (arguments, _) => Dump(commands.Vm, Physical, (ulong)arguments.Number("addr"), arguments.Format));
        table.Add("print|p", "/fmt expr", "print expression value (use $reg for CPU register access)",
            [new("fmt", HmpParameterKind.Format), new("val", HmpParameterKind.Expression)],
            (arguments, _) => Task.FromResult(arguments.Format.Print(arguments.Number("val"))));
        HmpParameter[] save =
            [new("val", HmpParameterKind.Expression), new("size", HmpParameterKind.Expression), new("filename", HmpParameterKind.Text)];
        table.Add("memsave", "addr size file", "save to disk virtual memory dump starting at 'addr' of size 'size'", save,
            (arguments, context) => HmpCommands.Silently(
            commands.Memory.Memsave(new MemsaveArguments((ulong)arguments.Number("val"), (ulong)arguments.Number("size"),
                arguments.Text("filename"), context.Cpu))));
        table.Add("pmemsave", "addr size file", "save to disk physical memory dump starting at 'addr' of size 'size'", save,
            (arguments, _) => HmpCommands.Silently(
            commands.Memory.Pmemsave(
                new PmemsaveArguments((ulong)arguments.Number("val"), (ulong)arguments.Number("size"), arguments.Text("filename")))));
    }

    private static async Task<string> Dump(MonitorVm vm, int cpu, ulong address, HmpFormat format)
    {
        int length = Math.Min(format.Count * format.Size, ReadGuestMemory.Longest);
        byte[] bytes = await vm.ReadMemory(cpu, address, length).ConfigureAwait(false);
        var text = new StringBuilder();
        int perLine = format.Letter == 'i' ? 4 : format.Size == 1 ? 8 : 16;
        for (int line = 0; line < length; line += perLine)
        {
            int count = Math.Min(perLine, length - line);
            text.Append(line == 0 ? "" : "\n").Append(CultureInfo.InvariantCulture, $"{address + (ulong)line:x16}:");
            if (line + count > bytes.Length)
            {
                throw new HmpException(text.Append(" Cannot access memory").ToString());
            }

            int step = format.Letter == 'c' ? 1 : format.Size;
            for (int i = line; i < line + count; i += step)
            {
                ulong value = ValueAt(bytes.AsSpan(i), step);
                text.Append(format.Letter == 'i' ? Instruction((uint)value) : $" {format.PrintMemory(value)}");
            }
        }

        return text.ToString();
    }

    private static ulong ValueAt(ReadOnlySpan<byte> bytes, int size) => size switch
    {
        1 => bytes[0],
        2 => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        4 => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        _ => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
    };

    // Shows the word and its mnemonic. There is no disassembler for operands.
    private static string Instruction(uint word)
    {
        int row = EncodingTable.Find(word);
        return $"  {word:x8}  {(row < 0 ? ".inst" : EncodingTable.Rows[row].Mnemonic.ToLowerInvariant())}";
    }
}
