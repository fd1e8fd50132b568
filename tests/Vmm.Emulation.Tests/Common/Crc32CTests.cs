namespace Vmm.Emulation.Tests.Common;

public class Crc32CTests
{
    // x^32 + x^28 + x^27 + ..., reflected (RFC 3720, section 12.1).
    private const uint Polynomial = 0x82F63B78;

    [Fact]
    public void Checksum_is_that_of_RFC_3720()
    {
        Assert.Equal(0xE3069283u, Crc32C.Of("123456789"u8));
        Assert.Equal(0x8A9136AAu, Crc32C.Of(new byte[32]));
        Assert.Equal(Crc32C.Of("123456789"u8), Crc32C.Append(Crc32C.Of("1234"u8), "56789"u8));
    }

    [Theory]
    [InlineData(4031)]
    [InlineData(4032)]
    [InlineData(4033)]
    [InlineData(4096)]
    [InlineData(8064)]
    [InlineData(20000)]
    public void Checksum_of_any_length_is_that_of_its_bits(int length)
    {
        byte[] bytes = new byte[length + 1];
        new Random(length).NextBytes(bytes);
        Assert.Equal(OfBits(bytes.AsSpan(1)), Crc32C.Of(bytes.AsSpan(1)));
        Assert.Equal(OfBits(bytes), Crc32C.Append(Crc32C.Of(bytes.AsSpan(0, 4033 / 3)), bytes.AsSpan(4033 / 3)));
    }

    private static uint OfBits(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ Polynomial : crc >> 1;
            }
        }

        return ~crc;
    }
}
