// Functions that sign their return addresses: a parser of sums by recursive descent, which makes a tree of each and computes it. Built with -mbranch-protection=standard.
#include "bench.h"

enum { SUMS = 400, NODES = 4096, TEXT = 1 << 16, ROUNDS = 300 };

struct node
{
    char operation;
    uint64_t value;
    const struct node *left, *right;
};

static char text[TEXT];
static const char *at;
static struct node nodes[NODES];
static int used;
static uint64_t seed = 12;

static const struct node *sum(void);

static __attribute__((noinline)) const struct node *make(char operation, uint64_t value, const struct node *left, const struct node *right)
{
    struct node *node = &nodes[used++ % NODES];
    *node = (struct node){ operation, value, left, right };
    return node;
}

static __attribute__((noinline)) const struct node *factor(void)
{
    if (*at == '(')
    {
        at++;
        const struct node *inner = sum();
        at++;
        return inner;
    }
    uint64_t value = 0;
    while (*at >= '0' && *at <= '9') value = value * 10 + (uint64_t)(*at++ - '0');
    return make('n', value, 0, 0);
}

static __attribute__((noinline)) const struct node *product(void)
{
    const struct node *left = factor();
    while (*at == '*' || *at == '^')
    {
        char operation = *at++;
        left = make(operation, 0, left, factor());
    }
    return left;
}

static __attribute__((noinline)) const struct node *sum(void)
{
    const struct node *left = product();
    while (*at == '+' || *at == '-')
    {
        char operation = *at++;
        left = make(operation, 0, left, product());
    }
    return left;
}

static __attribute__((noinline)) uint64_t compute(const struct node *node)
{
    if (node->operation == 'n') return node->value;
    uint64_t left = compute(node->left), right = compute(node->right);
    switch (node->operation)
    {
        case '+': return left + right;
        case '-': return left - right;
        case '*': return left * right;
        default: return left ^ right;
    }
}

// Writes a random sum.
static __attribute__((noinline)) char *write_sum(char *to, int depth)
{
    uint64_t random = next_random(&seed);
    if (depth == 0 || random % 8 == 0)
    {
        for (uint64_t digits = random >> 32 & 0xFFFF; digits != 0; digits /= 10) *to++ = (char)('0' + digits % 10);
        *to++ = '1';
        return to;
    }
    *to++ = '(';
    to = write_sum(to, depth - 1);
    *to++ = "+-*^"[random >> 16 & 3];
    to = write_sum(to, depth - 1);
    *to++ = ')';
    return to;
}

WORKLOAD(pauth, "pauth")
{
    char *end = text;
    for (int i = 0; i < SUMS && end < text + TEXT - 2048; i++)
    {
        end = write_sum(end, 6);
        *end++ = '\n';
    }
    *end = 0;
    uint64_t total = 0;
    for (int round = 0; round < ROUNDS; round++)
    {
        for (at = text; *at != 0; at++)
        {
            used = 0;
            total = mix(total, compute(sum()));
        }
    }
    return total;
}
