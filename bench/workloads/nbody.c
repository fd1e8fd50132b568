// Five bodies under gravity, in doubles: add, multiply, divide, square root.
#include "bench.h"
#include <string.h>

enum { BODIES = 5, STEPS = 250000 };

struct body
{
    double position[3], velocity[3], mass;
};

WORKLOAD(nbody, "nbody")
{
    struct body all[BODIES];
    uint64_t random = 9, sum = 0;
    for (int i = 0; i < BODIES; i++)
    {
        for (int d = 0; d < 3; d++)
        {
            all[i].position[d] = (double)(next_random(&random) >> 12) * 0x1p-48;
            all[i].velocity[d] = (double)(next_random(&random) >> 12) * 0x1p-52 - 0.5;
        }
        all[i].mass = (i + 1) * 0.25;
    }
    for (int step = 0; step < STEPS; step++)
    {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++)
            {
                double delta[3], square = 0.01;
                for (int d = 0; d < 3; d++)
                {
                    delta[d] = all[i].position[d] - all[j].position[d];
                    square += delta[d] * delta[d];
                }
                double force = 0.001 / (square * __builtin_sqrt(square));
                for (int d = 0; d < 3; d++)
                {
                    all[i].velocity[d] -= delta[d] * all[j].mass * force;
                    all[j].velocity[d] += delta[d] * all[i].mass * force;
                }
            }
        for (int i = 0; i < BODIES; i++)
            for (int d = 0; d < 3; d++) all[i].position[d] += 0.001 * all[i].velocity[d];
    }
    for (int i = 0; i < BODIES; i++)
        for (int d = 0; d < 3; d++)
        {
            uint64_t word;
            memcpy(&word, &all[i].position[d], 8);
            sum = mix(sum, word);
        }
    return sum;
}
