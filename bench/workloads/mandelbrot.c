// The Mandelbrot set in single precision: short dependent chains of floats, a comparison in each step.
#include "bench.h"

enum { SIZE = 256, LIMIT = 1000 };

WORKLOAD(mandelbrot, "mandelbrot")
{
    uint64_t sum = 0;
    for (int row = 0; row < SIZE; row++)
        for (int column = 0; column < SIZE; column++)
        {
            float cr = -2.0f + 3.0f * (float)column / SIZE, ci = -1.5f + 3.0f * (float)row / SIZE, r = 0, i = 0;
            int n = 0;
            while (n < LIMIT && r * r + i * i < 4.0f)
            {
                float t = r * r - i * i + cr;
                i = 2.0f * r * i + ci;
                r = t;
                n++;
            }
            sum = mix(sum, (uint64_t)n);
        }
    return sum;
}
