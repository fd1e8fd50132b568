// Bytes in vectors of sixteen: adding, comparing, widening, table look-up, as image and text code does.
#include "bench.h"
#include <arm_neon.h>

enum { SIZE = 1 << 16, ROUNDS = 2500 };

static uint8_t data[SIZE], out[SIZE];

WORKLOAD(simd, "simd")
{
    uint64_t random = 10, sum = 0, matches = 0;
    for (int i = 0; i < SIZE; i++) data[i] = (uint8_t)next_random(&random);
    uint8x16_t table = vld1q_u8(data), threshold = vdupq_n_u8(200), low = vdupq_n_u8(15);
    for (int round = 0; round < ROUNDS; round++)
    {
        uint8x16_t bias = vdupq_n_u8((uint8_t)round);
        uint16x8_t wide = vdupq_n_u16(0);
        for (int i = 0; i < SIZE; i += 16)
        {
            uint8x16_t v = vaddq_u8(vld1q_u8(data + i), bias);
            uint8x16_t above = vcgtq_u8(v, threshold);
            uint8x16_t mapped = vqtbl1q_u8(table, vandq_u8(v, low));
            wide = vpadalq_u8(wide, vandq_u8(above, vdupq_n_u8(1)));
            vst1q_u8(out + i, vbslq_u8(above, mapped, veorq_u8(vshrq_n_u8(v, 3), v)));
        }
        matches += vaddlvq_u16(wide);
    }
    for (int i = 0; i < SIZE; i++) sum = mix(sum, out[i]);
    return mix(sum, matches);
}
