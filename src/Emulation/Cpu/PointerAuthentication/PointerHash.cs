using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

namespace Vmm.Emulation.Cpu.PointerAuthentication;

/// <summary>
/// The implementation-defined algorithm of pointer authentication: two rounds of AES (FIPS 197, 5.1) of the pointer and the modifier with
/// the key, of which the low half is the code. Every host gives the same code, so a guest can move. It is no secret-keeper: whoever can run
/// code in the host process knows the keys anyway.
/// </summary>
internal static class PointerHash
{
    public static ulong Compute(ulong data, ulong modifier, ulong keyLow, ulong keyHigh)
    {
        Vector128<byte> key = Vector128.Create(keyLow, keyHigh).AsByte();
        Vector128<byte> state = Vector128.Create(data, modifier).AsByte() ^ key;
        return Round(Round(state, key), key).AsUInt64().ToScalar();
    }

    private static Vector128<byte> Round(Vector128<byte> state, Vector128<byte> key) =>
        Aes.IsSupported ? Aes.Encrypt(state, key) : SimdAes.EncryptRound(state) ^ key;
}
