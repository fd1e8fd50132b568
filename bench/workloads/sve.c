// Loops that the compiler vectorizes for SVE2, of any vector length: pixels, samples, numbers and tables, as image, sound and text programs have them.
#include "bench.h"
#include <math.h>
#include <sys/auxv.h>

enum { SIZE = 1 << 14, WIDTH = 128, ROUNDS = 240, TAPS = 8 };

static uint8_t picture[4 * SIZE], layer[4 * SIZE], gray[SIZE], blurred[SIZE], mapped[SIZE];
static int16_t samples[SIZE + TAPS], taps[TAPS], filtered[SIZE];
static int32_t indices[SIZE], histogram[SIZE];
static float x[SIZE], y[SIZE], z[SIZE], palette[256];
static double a[SIZE], b[SIZE];

// Lays one picture over another, by the fourth byte of each of its pixels.
static __attribute__((noinline)) void blend(uint8_t *restrict under, const uint8_t *restrict over)
{
    for (int i = 0; i < SIZE; i++)
    {
        int alpha = over[4 * i + 3];
        uint8_t *pixel = under + 4 * i;
        pixel[0] = (uint8_t)((over[4 * i] * alpha + pixel[0] * (255 - alpha) + 128) >> 8);
        pixel[1] = (uint8_t)((over[4 * i + 1] * alpha + pixel[1] * (255 - alpha) + 128) >> 8);
        pixel[2] = (uint8_t)((over[4 * i + 2] * alpha + pixel[2] * (255 - alpha) + 128) >> 8);
        pixel[3] = (uint8_t)(alpha + pixel[3] - ((alpha * pixel[3] + 128) >> 8));
    }
}

static __attribute__((noinline)) void to_gray(uint8_t *restrict out, const uint8_t *restrict in)
{
    for (int i = 0; i < SIZE; i++) out[i] = (uint8_t)((77 * in[4 * i] + 150 * in[4 * i + 1] + 29 * in[4 * i + 2]) >> 8);
}

static __attribute__((noinline)) void blur(uint8_t *restrict out, const uint8_t *restrict in)
{
    for (int i = WIDTH + 1; i < SIZE - WIDTH - 1; i++)
        out[i] = (uint8_t)((in[i - WIDTH] + in[i - 1] + 4 * in[i] + in[i + 1] + in[i + WIDTH]) >> 3);
}

static __attribute__((noinline)) void filter(int16_t *restrict out, const int16_t *restrict in, const int16_t *restrict by)
{
    for (int i = 0; i < SIZE; i++)
    {
        int sum = 0;
        for (int t = 0; t < TAPS; t++) sum += in[i + t] * by[t];
        out[i] = (int16_t)(sum >> 15);
    }
}

// Numbers within limits, and how many of them were beyond.
static __attribute__((noinline)) int clamp(float *restrict out, const float *restrict in, float low, float high)
{
    int beyond = 0;
    for (int i = 0; i < SIZE; i++)
    {
        beyond += (in[i] < low) | (in[i] > high);
        out[i] = fminf(fmaxf(in[i], low), high);
    }
    return beyond;
}

static __attribute__((noinline)) void polynomial(double *restrict out, const double *restrict in)
{
    for (int i = 0; i < SIZE; i++)
    {
        double v = in[i];
        out[i] = ((((v * 0.0083 - 0.041) * v + 0.1667) * v - 0.5) * v + 1.0) * v / (1.0 + v * v);
    }
}

static __attribute__((noinline)) void colour(float *restrict out, const uint8_t *restrict in, const float *restrict colours)
{
    for (int i = 0; i < SIZE; i++) out[i] = colours[in[i]] * 0.5f + (float)indices[i];
}

static __attribute__((noinline)) int largest(const int32_t *in)
{
    int most = in[0];
    for (int i = 0; i < SIZE; i++) most = in[i] > most ? in[i] : most;
    return most;
}

static __attribute__((noinline)) int64_t total(const int32_t *in)
{
    int64_t sum = 0;
    for (int i = 0; i < SIZE; i++) sum += in[i];
    return sum;
}

static __attribute__((noinline)) void steps(int32_t *restrict out, const int32_t *restrict in, const float *restrict scale)
{
    for (int i = 0; i < SIZE; i++)
        if (in[i] & 3) out[i] += (int)(scale[i] * 16.0f) + (in[i] >> 2) + i;
}

static __attribute__((noinline)) void map(uint8_t *restrict out, const uint8_t *restrict in)
{
    for (int i = 0; i < SIZE; i++) out[i] = in[i] >= 'a' && in[i] <= 'z' ? in[i] - 32 : in[i] ^ (in[i] >> 4);
}

static uint64_t sum_bytes(uint64_t sum, const void *data, int size)
{
    const uint64_t *words = data;
    for (int i = 0; i < size / 8; i++) sum = mix(sum, words[i]);
    return sum;
}

WORKLOAD_WITH(sve, "sve", getauxval(AT_HWCAP2) & HWCAP2_SVE2)
{
    uint64_t random = 11, sum = 0;
    for (int i = 0; i < 4 * SIZE; i++)
    {
        picture[i] = (uint8_t)next_random(&random);
        layer[i] = (uint8_t)next_random(&random);
    }
    for (int i = 0; i < SIZE + TAPS; i++) samples[i] = (int16_t)next_random(&random);
    for (int i = 0; i < TAPS; i++) taps[i] = (int16_t)(4096 - 700 * i);
    for (int i = 0; i < 256; i++) palette[i] = (float)i * 0.25f + 1.0f;
    for (int i = 0; i < SIZE; i++)
    {
        indices[i] = (int32_t)(next_random(&random) >> 44);
        x[i] = (float)(int)(next_random(&random) & 0xFFFF) * 0.0625f + 0.5f;
        a[i] = (double)(next_random(&random) & 0xFFFF) * 0.0001 + 0.25;
    }
    for (int round = 0; round < ROUNDS; round++)
    {
        blend(picture, layer);
        to_gray(gray, picture);
        blur(blurred, gray);
        filter(filtered, samples, taps);
        sum = mix(sum, (uint64_t)clamp(y, x, 100.0f + (float)round, 3000.0f));
        polynomial(b, a);
        colour(z, blurred, palette);
        sum = mix(sum, (uint64_t)largest(indices));
        sum = mix(sum, (uint64_t)total(indices));
        steps(histogram, indices, x);
        map(mapped, blurred);
        layer[round] ^= mapped[WIDTH + 1 + round];
    }
    sum = sum_bytes(sum, picture, sizeof picture);
    sum = sum_bytes(sum, mapped, sizeof mapped);
    sum = sum_bytes(sum, filtered, sizeof filtered);
    sum = sum_bytes(sum, histogram, sizeof histogram);
    sum = sum_bytes(sum, y, sizeof y);
    sum = sum_bytes(sum, z, sizeof z);
    return sum_bytes(sum, b, sizeof b);
}
