using static Vmm.Acpi.Aml.Asl;

namespace Vmm.Acpi.Tests.Aml;

/// <summary>Each term's ASL beside the bytes that iasl makes of it.</summary>
public sealed class AslTests
{
    public static TheoryData<string, byte[], string> Terms => new()
    {
        { "0", Integer(0), "00" },
        { "1", Integer(1), "01" },
        { "0x0F", Integer(0x0F), "0A0F" },
        { "0x1234", Integer(0x1234), "0B3412" },
        { "0x12345678", Integer(0x12345678), "0C78563412" },
        { "0x123456789", Integer(0x1_2345_6789), "0E8967452301000000" },
        { "\"AB\"", Text("AB"), "0D414200" },
        { "EisaId (\"PNP0A06\")", EisaId("PNP0A06"), "0C41D00A06" },
        { "\\_SB.GED", Path(@"\_SB.GED"), "5C2E5F53425F4745445F" },
        { "A.B.C", Path("A.B.C"), "2F03415F5F5F425F5F5F435F5F5F" },
        { "Name (_UID, Zero)", Name("_UID", Zero), "085F55494400" },
        { "Device (DEV) { Name (_UID, One) }", Device("DEV", Name("_UID", One)), "5B820B4445565F085F55494401" },
        { "Method (M, 1, Serialized) { Return (Arg0) }", Method("M", 1, true, Return(Arg(0))), "14084D5F5F5F09A468" },
        { "Mutex (MTX, 0)", Mutex("MTX"), "5B014D54585F00" },
        { "OperationRegion (R, SystemMemory, 0x1000, 4)", OperationRegion("R", 0x1000, 4), "5B80525F5F5F000B00100A04" },
        {
            "Field (R, ByteAcc, NoLock, WriteAsZeros) { Offset (4), F, 1 }",
            Field("R", Access.Byte, Update.WriteAsZeros, new FieldUnit(null, 32), new FieldUnit("F", 1)),
            "5B810D525F5F5F41" + "0020" + "465F5F5F01"
        },
        { "If (Local0 == One) { Break }", If(LEqual(Local(0), One), Break), "A005936001A5" },
        { "Else { Break }", Else(Break), "A102A5" },
        { "While (One) { Break }", While(One, Break), "A20301A5" },
        { "Store (One, Local1)", Store(One, Local(1)), "700161" },
        { "Notify (DEV, 3)", Notify(Path("DEV"), Integer(3)), "864445565F0A03" },
        { "Acquire (MTX, 0xFFFF)", Acquire("MTX"), "5B234D54585FFFFF" },
        { "Release (MTX)", Release("MTX"), "5B274D54585F" },
        { "Buffer (2) { 1, 2 }", Buffer(1, 2), "11050A020102" },
        {
            "ResourceTemplate () { Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 41 } }",
            ResourceTemplate(Interrupt(41, edge: true)),
            "110E0A0B" + "890600030129000000" + "7900"
        },
    };

    [Theory]
    [MemberData(nameof(Terms))]
    public void Asl_term_has_the_bytes_of_its_asl(string asl, byte[] aml, string expected) =>
        Assert.True(expected == Convert.ToHexString(aml), $"{asl}: {Convert.ToHexString(aml)}, expected {expected}");

    [Theory]
    [InlineData(50, 1)]
    [InlineData(70, 2)]
    [InlineData(5000, 3)]
    public void Asl_package_length_takes_the_bytes_it_needs(int size, int lengthBytes)
    {
        byte[] scope = Scope("S", new byte[size]);
        Assert.Equal(1 + lengthBytes + 4 + size, scope.Length);
        int encoded = lengthBytes == 1 ? scope[1] : (scope[1] & 0xF) | (scope[2] << 4) | (lengthBytes > 2 ? scope[3] << 12 : 0);
        Assert.Equal(scope.Length - 1, encoded);
        Assert.Equal(lengthBytes - 1, scope[1] >> 6);
    }
}
