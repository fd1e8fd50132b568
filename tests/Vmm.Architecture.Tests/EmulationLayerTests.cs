using System.Reflection;
using System.Reflection.Emit;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;

namespace Vmm.Architecture.Tests;

/// <summary>
/// Which namespace of Emulation may refer to which: one way only (ARCHITECTURE.md). The instructions are read here because ArchUnitNET does
/// not load an assembly that has function pointers.
/// </summary>
public sealed class EmulationLayerTests
{
    private const string Root = "Vmm.Emulation.";

    private static readonly Assembly s_emulation = typeof(VirtMachine).Assembly;
    private static readonly OpCode[] s_short = new OpCode[256];
    private static readonly OpCode[] s_long = new OpCode[256];

    static EmulationLayerTests()
    {
        foreach (OpCode opcode in typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
            .Select(f => (OpCode)f.GetValue(null)!))
        {
            (opcode.Size == 1 ? s_short : s_long)[opcode.Value & 0xFF] = opcode;
        }
    }

    /// <summary>Boot, which knows no board, stands between boards in general and each of them.</summary>
    [Theory]
    [InlineData("Devices", "Boards,Boot")]
    [InlineData("Boot", "Boards.Virt")]
    [InlineData("Boards", "Snapshots")]
    [InlineData("Interrupts", "Cpu,Devices,Boards,Boot")]
    [InlineData("Memory", "Interrupts,Devices,Boards,Boot")]
    [InlineData("Cpu", "Devices,Boards,Boot")]
    [InlineData("Block", "Memory,Interrupts,Cpu,Devices,Boards,Boot,State,Snapshots,Migration")]
    [InlineData("State", "Memory,Interrupts,Cpu,Devices,Boards,Boot")]
    [InlineData("Cpu.Mmu", "Cpu.Engines,Cpu.Jit,Cpu.Lockstep")]
    [InlineData("Cpu.Jit.Plan", "Cpu.Jit.X64,Cpu.Engines")]
    public void Layers_refer_one_way(string layer, string above) => Assert.DoesNotContain(
        Uses(t => IsIn(t, Root + layer)),
        pair => above.Split(',').Any(prefix => IsIn(pair.Used, Root + prefix)));

    /// <summary>A device knows itself, the kind of device it is (the folder around its own), and PCI, by which it may be reached.</summary>
    [Fact]
    public void Devices_do_not_refer_to_each_other()
    {
        const string Devices = Root + "Devices.";
        bool IsDevice(Type t) => t.Namespace?.StartsWith(Devices, StringComparison.Ordinal) == true;
        Assert.DoesNotContain(
            Uses(IsDevice),
            pair => IsDevice(pair.Used) && !IsIn(pair.By, pair.Used.Namespace!) && pair.Used.Namespace != Devices + "Pci");
    }

    /// <summary>
    /// The back end for a host is a folder of its own: no type outside it names a register or an instruction of the host, but for the one
    /// that chooses the back end.
    /// </summary>
    [Fact]
    public void Only_the_choice_of_the_back_end_knows_its_host()
    {
        const string BackEnd = Root + "Cpu.Jit.X64";
        IEnumerable<Type> users = Uses(t => !IsIn(t, BackEnd)).Where(pair => IsIn(pair.Used, BackEnd) || IsIn(pair.Used, "Iced"))
            .Select(pair => pair.By);
        Assert.Equal([Root + "Cpu.Jit.HostBackends"], users.Select(t => t.FullName).Distinct());
    }

    [Fact]
    public void Types_that_code_alone_uses_are_found() => Assert.Contains(typeof(BootPlan), TypesUsedBy(typeof(VirtMachine)));

    private static IEnumerable<(Type By, Type Used)> Uses(Func<Type, bool> by) =>
        s_emulation.GetTypes().Where(by).SelectMany(t => TypesUsedBy(t).Select(used => (t, used)));

    private static bool IsIn(Type type, string prefix) =>
        type.Namespace == prefix || type.Namespace?.StartsWith(prefix + ".", StringComparison.Ordinal) == true;

    // What a type names in its signatures, its bases and its code.
    private static IEnumerable<Type> TypesUsedBy(Type type)
    {
        const BindingFlags All =
            BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
        MethodBase[] methods = [.. type.GetMethods(All), .. type.GetConstructors(All)];
        return type.GetFields(All).Select(f => f.FieldType)
            .Concat(type.GetInterfaces())
            .Concat(methods.SelectMany(m => m.GetParameters().Select(p => p.ParameterType)))
            .Concat(methods.OfType<MethodInfo>().Select(m => m.ReturnType))
            .Concat(methods.SelectMany(InCode))
            .Append(type.BaseType ?? typeof(object))
            .SelectMany(Parts)
            .Distinct();
    }

    private static IEnumerable<Type> Parts(Type type) =>
        type.HasElementType ? Parts(type.GetElementType()!) : type.IsGenericType ? type.GetGenericArguments().SelectMany(Parts).Append(type)
            : [type];

    // The types, and the types of the methods and fields, that instructions name (ECMA-335, III.1.9).
    private static IEnumerable<Type> InCode(MethodBase method)
    {
        byte[]? code = method.GetMethodBody()?.GetILAsByteArray();
        if (code == null)
        {
            yield break;
        }

        Type[] ofType = method.DeclaringType is { IsGenericType: true } declaring ? declaring.GetGenericArguments() : [];
        Type[] ofMethod = method.IsGenericMethod ? method.GetGenericArguments() : [];
        for (int at = 0; at < code.Length;)
        {
            OpCode opcode = code[at] == 0xFE ? s_long[code[at + 1]] : s_short[code[at]];
            at += opcode.Size;
            if (opcode.OperandType is OperandType.InlineType or OperandType.InlineMethod or OperandType.InlineField
                or OperandType.InlineTok)
            {
                MemberInfo? member = method.Module.ResolveMember(BitConverter.ToInt32(code, at), ofType, ofMethod);
                if ((member as Type ?? member?.DeclaringType) is { } used)
                {
                    yield return used;
                }
            }

            at += opcode.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, at)),
                _ => 4,
            };
        }
    }
}
