// SHA-256 (FIPS 180-4) in plain C, of 32 MiB.
#include "bench.h"

static uint32_t k[64];

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

// The first 32 bits of the fractional part of the cube root (or square root) of a prime, by bisection in integers.
static uint32_t root_fraction(uint32_t prime, int cube)
{
    unsigned __int128 low = 0, high = (unsigned __int128)1 << 37;
    while (high - low > 1)
    {
        unsigned __int128 mid = (low + high) / 2;
        int below = cube ? mid * mid * mid <= (unsigned __int128)prime << 96 : mid * mid <= (unsigned __int128)prime << 64;
        if (below) low = mid; else high = mid;
    }
    return (uint32_t)low;
}

static void block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64];
    for (int i = 0; i < 16; i++) w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++)
    {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], x = h[7];
    for (int i = 0; i < 64; i++)
    {
        uint32_t t1 = x + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i];
        uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        x = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += x;
}

WORKLOAD(sha256, "sha256")
{
    uint32_t h[8];
    int primes = 0;
    for (uint32_t n = 2; primes < 64; n++)
    {
        int prime = 1;
        for (uint32_t d = 2; d * d <= n; d++) prime &= n % d != 0;
        if (!prime) continue;
        if (primes < 8) h[primes] = root_fraction(n, 0);
        k[primes++] = root_fraction(n, 1);
    }
    static uint8_t message[1 << 16];
    uint64_t random = 2;
    for (unsigned i = 0; i < sizeof message; i++) message[i] = (uint8_t)next_random(&random);
    for (int round = 0; round < 512; round++)
        for (unsigned i = 0; i < sizeof message; i += 64) block(h, message + i);
    uint64_t sum = 0;
    for (int i = 0; i < 8; i++) sum = mix(sum, h[i]);
    return sum;
}
