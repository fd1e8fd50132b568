using Vmm.Emulation.Cpu.Interpreter;
using unsafe Handler = delegate*<Vmm.Emulation.Cpu.VcpuCore, Vmm.Emulation.Cpu.CpuState*, Vmm.Emulation.Cpu.Interpreter.Op*,
    Vmm.Emulation.Cpu.Interpreter.Op*>;
using unsafe Lane = delegate*<Vmm.Emulation.Cpu.CpuState*, ulong, ulong, ulong, int, ulong>;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>How the tables of SVE write their rows.</summary>
internal static unsafe class ScalableRows
{
    /// <param name="except">
    /// Values of fields that are not this encoding, such as <c>ss=00</c>: the letters of a field, and its bits; several with a comma.
    /// </param>
    public static EncodingRow Row(
        string pattern,
        string mnemonic,
        delegate*<Op*, void> form,
        Handler handler,
        Lane lane = null,
        Feature feature = Feature.Sve,
        Effects effects = Effects.Scalable,
        Operation operation = Operation.Scalable,
        params string[] except) =>
        new(pattern, mnemonic, operation, effects | Effects.Scalable, form, handler, feature | Feature.Sve,
            Array.ConvertAll(except, fields => With(pattern, fields))) { Lane = lane };

    // The pattern with fields replaced by bits.
    private static string With(string pattern, string fields)
    {
        foreach (string field in fields.Split(','))
        {
            string[] parts = field.Split('=');
            int next = 0;
            pattern = string.Concat(pattern.Select(c => c == parts[0][0] ? parts[1][next++] : c));
        }

        return pattern;
    }
}
