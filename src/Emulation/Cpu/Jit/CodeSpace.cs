using Vmm.Emulation.Cpu.Jit.Plan;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>Where the code of a block goes, and where it has gone. Owner: whoever holds the lock of the translation cache.</summary>
internal sealed unsafe class CodeSpace
{
    /// <summary>Where the code goes that mostly runs.</summary>
    public byte* Hot { get; private set; }

    /// <summary>Where room for the <see cref="CodeBlock"/> and the ways out go; a multiple of 8.</summary>
    public byte* Cold { get; private set; }

    // What follows is the back end's to set.

    public byte* HotEnd { get; set; }

    /// <summary>Where the ways out begin, behind copies of ops.</summary>
    public byte* Ways { get; set; }

    /// <summary>The end of the ways out; a multiple of 8.</summary>
    public byte* ColdEnd { get; set; }

    /// <summary>Where the code of each instruction begins that is a label of the block; null where there is none yet.</summary>
    public byte*[] Labels { get; } = new byte*[BlockPlan.MaxLength];

    /// <summary>Jumps to code that was there before, and that code as <see cref="Interpreter.CodePage.Entry"/> has it.</summary>
    public Sequence<(nint Jump, int Entry)> Links { get; } = new();

    /// <summary>Begins a block.</summary>
    /// <param name="length">Instructions of the block.</param>
    public void Open(byte* hot, byte* cold, int length)
    {
        Hot = hot;
        Cold = cold;
        Links.Clear();
        for (int i = 0; i < length; i++)
        {
            Labels[i] = null;
        }
    }
}
