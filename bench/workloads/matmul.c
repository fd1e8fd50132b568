// A product of matrices of doubles.
#include "bench.h"
#include <string.h>

enum { N = 160, ROUNDS = 15 };

static double a[N][N], b[N][N], c[N][N];

WORKLOAD(matmul, "matmul")
{
    uint64_t random = 8, sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
        {
            a[i][j] = (double)(next_random(&random) >> 12) * 0x1p-52;
            b[i][j] = (double)(next_random(&random) >> 12) * 0x1p-52;
        }
    for (int round = 0; round < ROUNDS; round++)
    {
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
            {
                double s = 0;
                for (int k = 0; k < N; k++) s += a[i][k] * b[k][j];
                c[i][j] = s;
            }
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) a[i][j] = c[i][j] / (c[(i + 1) % N][j] + 1);
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
        {
            uint64_t word;
            memcpy(&word, &c[i][j], 8);
            sum = mix(sum, word);
        }
    return sum;
}
