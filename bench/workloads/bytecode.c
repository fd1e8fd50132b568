// An interpreter of a little stack-free byte code: a switch in a loop, running a sieve of Eratosthenes.
#include "bench.h"
#include <string.h>

enum { SET, ADD, MUL, LOAD, STORE, LESS, JUMP_IF, JUMP_IF_NOT, JUMP, HALT };
enum { LIMIT = 30000, ROUNDS = 125 };

static uint8_t flags[LIMIT];

// Four bytes an instruction: operation, target register, two sources or a jump's target.
static const uint8_t program[][4] = {
    { SET, 0, 2, 0 },           //  0: i = 2
    { LOAD, 3, 0, 0 },          //  1: composite = flags[i]
    { JUMP_IF, 3, 11, 0 },      //  2
    { ADD, 4, 4, 6 },           //  3: count += 1
    { ADD, 5, 5, 0 },           //  4: sum += i
    { MUL, 1, 0, 0 },           //  5: j = i * i
    { LESS, 3, 1, 7 },          //  6: j < LIMIT
    { JUMP_IF_NOT, 3, 11, 0 },  //  7
    { STORE, 6, 1, 0 },         //  8: flags[j] = 1
    { ADD, 1, 1, 0 },           //  9: j += i
    { JUMP, 0, 6, 0 },          // 10
    { ADD, 0, 0, 6 },           // 11: i += 1
    { LESS, 3, 0, 7 },          // 12: i < LIMIT
    { JUMP_IF, 3, 1, 0 },       // 13
    { HALT, 0, 0, 0 },          // 14
};

WORKLOAD(bytecode, "bytecode")
{
    uint64_t r[8] = { 0 };
    r[6] = 1;
    r[7] = LIMIT;
    for (int round = 0; round < ROUNDS; round++)
    {
        memset(flags, 0, sizeof flags);
        for (unsigned pc = 0;;)
        {
            const uint8_t *op = program[pc++];
            switch (op[0])
            {
                case SET: r[op[1]] = op[2]; continue;
                case ADD: r[op[1]] = r[op[2]] + r[op[3]]; continue;
                case MUL: r[op[1]] = r[op[2]] * r[op[3]]; continue;
                case LOAD: r[op[1]] = flags[r[op[2]]]; continue;
                case STORE: flags[r[op[2]]] = (uint8_t)r[op[1]]; continue;
                case LESS: r[op[1]] = r[op[2]] < r[op[3]]; continue;
                case JUMP_IF: if (r[op[1]]) pc = op[2]; continue;
                case JUMP_IF_NOT: if (!r[op[1]]) pc = op[2]; continue;
                case JUMP: pc = op[2]; continue;
            }
            break;
        }
    }
    return mix(r[4], r[5]);
}
