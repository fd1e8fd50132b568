using System.Runtime.InteropServices;

namespace Vmm.Emulation.Boot.Efi;

/// <summary>
/// The assembled code of <c>RuntimeServices.s</c>, in the lines that <c>aarch64-linux-gnu-as</c> and <c>objdump -d</c> print. A test
/// assembles the file and compares.
/// </summary>
internal static class RuntimeServicesCode
{
    // The offsets of the procedures in bytes.
    public const ulong Unsupported = 0x000;
    public const ulong GetTime = 0x014;
    public const ulong SetTime = 0x110;
    public const ulong ResetSystem = 0x250;

    /// <summary>The code as little-endian bytes, for the beginning of a page.</summary>
    public static byte[] ToArray() => MemoryMarshal.AsBytes(s_words).ToArray();

    private static ReadOnlySpan<uint> s_words =>
    [
        // unsupported:
        0xB2410BE0, // mov x0, #0x8000000000000003
        0xD65F03C0, // ret
        // invalid:
        0xD2800040, // mov x0, #0x2
        0xF2F00000, // movk x0, #0x8000, lsl #48
        0xD65F03C0, // ret
        // get_time:
        0xB4FFFFA0, // cbz x0, invalid
        0x58001282, // ldr x2, rtc
        0xB9400043, // ldr w3, [x2]
        0x528A3004, // mov w4, #0x5180
        0x72A00024, // movk w4, #0x1, lsl #16
        0x1AC40865, // udiv w5, w3, w4
        0x1B048CA3, // msub w3, w5, w4, w3
        0x5281C204, // mov w4, #0xe10
        0x1AC40866, // udiv w6, w3, w4
        0x1B048CC3, // msub w3, w6, w4, w3
        0x52800784, // mov w4, #0x3c
        0x1AC40867, // udiv w7, w3, w4
        0x1B048CE8, // msub w8, w7, w4, w3
        0x110A7CA5, // add w5, w5, #0x29f
        0x52978A84, // mov w4, #0xbc54
        0x6B0400BF, // cmp w5, w4
        0x1A8534A5, // cinc w5, w5, cs
        0x5280B6A4, // mov w4, #0x5b5
        0x1AC408A9, // udiv w9, w5, w4
        0x1B049525, // msub w5, w9, w4, w5
        0x5280F60A, // mov w10, #0x7b0
        0x0B090949, // add w9, w10, w9, lsl #2
        0x7116D0BF, // cmp w5, #0x5b4
        0x1A9F17EA, // cset w10, eq
        0x4B0A00AA, // sub w10, w5, w10
        0x52802DA4, // mov w4, #0x16d
        0x1AC4094A, // udiv w10, w10, w4
        0x0B0A0129, // add w9, w9, w10
        0x1B049545, // msub w5, w10, w4, w5
        0x0B0508AA, // add w10, w5, w5, lsl #2
        0x1100094A, // add w10, w10, #0x2
        0x52801324, // mov w4, #0x99
        0x1AC4094A, // udiv w10, w10, w4
        0x5280004B, // mov w11, #0x2
        0x1B042D44, // madd w4, w10, w4, w11
        0x528000AB, // mov w11, #0x5
        0x1ACB0884, // udiv w4, w4, w11
        0x4B0400A5, // sub w5, w5, w4
        0x110004A5, // add w5, w5, #0x1
        0x11000D4A, // add w10, w10, #0x3
        0x7100315F, // cmp w10, #0xc
        0x54000069, // b.ls get_time+0xb0
        0x5100314A, // sub w10, w10, #0xc
        0x11000529, // add w9, w9, #0x1
        0x79000009, // strh w9, [x0]
        0x3900080A, // strb w10, [x0, #2]
        0x39000C05, // strb w5, [x0, #3]
        0x39001006, // strb w6, [x0, #4]
        0x39001407, // strb w7, [x0, #5]
        0x39001808, // strb w8, [x0, #6]
        0x39001C1F, // strb wzr, [x0, #7]
        0xB900081F, // str wzr, [x0, #8]
        0x5280FFE4, // mov w4, #0x7ff
        0xB9000C04, // str w4, [x0, #12]
        0xB40000E1, // cbz x1, success
        0x52800024, // mov w4, #0x1
        0xB9000024, // str w4, [x1]
        0x529E1004, // mov w4, #0xf080
        0x72A05F44, // movk w4, #0x2fa, lsl #16
        0xB9000424, // str w4, [x1, #4]
        0x3900203F, // strb wzr, [x1, #8]
        // success:
        0xD2800000, // mov x0, #0x0
        0xD65F03C0, // ret
        // set_time:
        0xB4FFF7C0, // cbz x0, invalid
        0x79400002, // ldrh w2, [x0]
        0x5280F648, // mov w8, #0x7b2
        0x4B080049, // sub w9, w2, w8
        0x7102213F, // cmp w9, #0x88
        0x54FFF728, // b.hi invalid
        0x39400803, // ldrb w3, [x0, #2]
        0x51000469, // sub w9, w3, #0x1
        0x71002D3F, // cmp w9, #0xb
        0x54FFF6A8, // b.hi invalid
        0x39401005, // ldrb w5, [x0, #4]
        0x71005CBF, // cmp w5, #0x17
        0x54FFF648, // b.hi invalid
        0x39401406, // ldrb w6, [x0, #5]
        0x7100ECDF, // cmp w6, #0x3b
        0x54FFF5E8, // b.hi invalid
        0x39401807, // ldrb w7, [x0, #6]
        0x7100ECFF, // cmp w7, #0x3b
        0x54FFF588, // b.hi invalid
        0xB9400808, // ldr w8, [x0, #8]
        0x52993FE9, // mov w9, #0xc9ff
        0x72A77349, // movk w9, #0x3b9a, lsl #16
        0x6B09011F, // cmp w8, w9
        0x54FFF4E8, // b.hi invalid
        0x39403808, // ldrb w8, [x0, #14]
        0x71000D1F, // cmp w8, #0x3
        0x54FFF488, // b.hi invalid
        0x79C01808, // ldrsh w8, [x0, #12]
        0x711FFD1F, // cmp w8, #0x7ff
        0x54000080, // b.eq set_time+0x84
        0x11168108, // add w8, w8, #0x5a0
        0x712D011F, // cmp w8, #0xb40
        0x54FFF3C8, // b.hi invalid
        0x0B430C68, // add w8, w3, w3, lsr #3
        0x12000108, // and w8, w8, #0x1
        0x11007908, // add w8, w8, #0x1e
        0x7100087F, // cmp w3, #0x2
        0x540000E1, // b.ne set_time+0xb0
        0x52800388, // mov w8, #0x1c
        0x7200045F, // tst w2, #0x3
        0x54000081, // b.ne set_time+0xb0
        0x52810689, // mov w9, #0x834
        0x6B09005F, // cmp w2, w9
        0x1A880508, // cinc w8, w8, ne
        0x39400C04, // ldrb w4, [x0, #3]
        0x51000489, // sub w9, w4, #0x1
        0x6B08013F, // cmp w9, w8
        0x54FFF1E2, // b.cs invalid
        0x51000C63, // sub w3, w3, #0x3
        0x7100007F, // cmp w3, #0x0
        0x5400006A, // b.ge set_time+0xd4
        0x11003063, // add w3, w3, #0xc
        0x51000442, // sub w2, w2, #0x1
        0x511EC042, // sub w2, w2, #0x7b0
        0x52801328, // mov w8, #0x99
        0x52800049, // mov w9, #0x2
        0x1B082463, // madd w3, w3, w8, w9
        0x528000A8, // mov w8, #0x5
        0x1AC80863, // udiv w3, w3, w8
        0x0B040063, // add w3, w3, w4
        0x52802DA8, // mov w8, #0x16d
        0x1B080C43, // madd w3, w2, w8, w3
        0x0B420863, // add w3, w3, w2, lsr #2
        0x7102105F, // cmp w2, #0x84
        0x1A9FB7E8, // cset w8, ge
        0x4B080063, // sub w3, w3, w8
        0x510A8063, // sub w3, w3, #0x2a0
        0x528A3008, // mov w8, #0x5180
        0x72A00028, // movk w8, #0x1, lsl #16
        0x9BA87C63, // umull x3, w3, w8
        0x5281C208, // mov w8, #0xe10
        0x9BA80CA3, // umaddl x3, w5, w8, x3
        0x52800788, // mov w8, #0x3c
        0x9BA80CC3, // umaddl x3, w6, w8, x3
        0x8B070063, // add x3, x3, x7
        0xD360FC68, // lsr x8, x3, #32
        0xB5FFEE48, // cbnz x8, invalid
        0x58000122, // ldr x2, rtc
        0xB9000843, // str w3, [x2, #8]
        0x17FFFFAF, // b success
        // reset_system:
        0x7100081F, // cmp w0, #0x2
        0x52800100, // mov w0, #0x8
        0x72B08000, // movk w0, #0x8400, lsl #16
        0x1A800400, // cinc w0, w0, ne
        0xD4000002, // hvc #0x0
        0x14000000, // b reset_system+0x14

        // rtc:
        0x09010000, 0x00000000,
    ];
}
