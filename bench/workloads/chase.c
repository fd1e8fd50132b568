// Pointer chasing: one random cycle through 16 MiB, each load's address being the result of the one before. More pages than a TLB of either engine holds.
#include "bench.h"

enum { COUNT = 1 << 18, STEPS = 6000000 };

struct node
{
    struct node *next;
    uint64_t value;
    uint64_t rest[6];
};

static struct node nodes[COUNT];
static uint32_t order[COUNT];

WORKLOAD(chase, "chase")
{
    uint64_t random = 3, sum = 0;
    for (uint32_t i = 0; i < COUNT; i++) order[i] = i;
    for (uint32_t i = COUNT - 1; i > 0; i--)
    {
        uint32_t j = (uint32_t)(next_random(&random) % (i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (uint32_t i = 0; i < COUNT; i++)
    {
        nodes[order[i]].next = &nodes[order[(i + 1) % COUNT]];
        nodes[order[i]].value = i;
    }
    struct node *n = &nodes[0];
    for (int i = 0; i < STEPS; i++)
    {
        sum += n->value ^ (uint64_t)i;
        n = n->next;
    }
    return sum;
}
