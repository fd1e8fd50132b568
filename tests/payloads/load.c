// A load for a Linux guest that checks itself, in the manner of a build: many short processes, pipes, threads, memory taken and given back.
//     load compile SEED          compiles and runs a random program; prints a checksum
//     load children COUNT SEED   so many processes of "compile", eight at a time, each with a pipe; prints the checksum of theirs
//     load threads COUNT ROUNDS  atomics, locks and conditions; prints "right" or what is wrong
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t seed;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void fail(const char *what)
{
    printf("failed: %s\n", what);
    exit(1);
}

// ---- A source text of assignments, its parser, a pass that folds constants, code for a stack machine, and that machine ----

enum { VARIABLES = 26, STATEMENTS = 300 };

struct node {
    char kind;              // 'n' number, 'v' variable, or an operator
    uint64_t value;
    struct node *left, *right;
};

static char *text, *at;
static size_t length, room;

static void put(char c)
{
    if (length + 1 >= room && !(text = realloc(text, room = room * 2 + 64)))
        fail("memory");
    text[length++] = c;
    text[length] = 0;
}

static void put_expression(int depth)
{
    uint64_t r = next_random();
    if (depth == 0 || r % 5 == 0) {
        if (r & 32) {
            put('a' + (r >> 8) % VARIABLES);
        } else {
            for (int n = 1 + (r >> 8) % 6; n > 0; n--)
                put('1' + next_random() % 9);
        }
        return;
    }
    put('(');
    put_expression(depth - 1);
    put("+-*/^&|"[(r >> 8) % 7]);
    put_expression(depth - 1);
    put(')');
}

static struct node *node(char kind, uint64_t value, struct node *left, struct node *right)
{
    struct node *n = malloc(sizeof *n);
    if (!n)
        fail("memory");
    *n = (struct node){ kind, value, left, right };
    return n;
}

static struct node *parse(void)
{
    if (*at >= 'a' && *at <= 'z')
        return node('v', *at++ - 'a', 0, 0);
    if (*at != '(') {
        uint64_t value = 0;
        while (*at >= '0' && *at <= '9')
            value = value * 10 + (*at++ - '0');
        return node('n', value, 0, 0);
    }
    at++;
    struct node *left = parse();
    char operator = *at++;
    struct node *right = parse();
    if (*at++ != ')')
        fail("the parser");
    return node(operator, 0, left, right);
}

static uint64_t apply(char operator, uint64_t a, uint64_t b)
{
    switch (operator) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '/': return b ? a / b : a;
    case '^': return a ^ b;
    case '&': return a & b;
    default: return a | b;
    }
}

static struct node *fold(struct node *n)
{
    if (n->kind == 'n' || n->kind == 'v')
        return n;
    n->left = fold(n->left);
    n->right = fold(n->right);
    if (n->left->kind != 'n' || n->right->kind != 'n')
        return n;
    struct node *constant = node('n', apply(n->kind, n->left->value, n->right->value), 0, 0);
    free(n->left);
    free(n->right);
    free(n);
    return constant;
}

static struct { char kind; uint64_t value; } *code;
static size_t code_length, code_room;

static void emit(char kind, uint64_t value)
{
    if (code_length == code_room && !(code = realloc(code, (code_room = code_room * 2 + 64) * sizeof *code)))
        fail("memory");
    code[code_length].kind = kind;
    code[code_length++].value = value;
}

static void generate(struct node *n)
{
    if (n->left) {
        generate(n->left);
        generate(n->right);
    }
    emit(n->kind, n->value);
    free(n);
}

static uint64_t execute(void)
{
    uint64_t variables[VARIABLES] = { 0 }, stack[64], sum = 0;
    int depth = 0;
    for (size_t i = 0; i < code_length; i++) {
        switch (code[i].kind) {
        case 'n': stack[depth++] = code[i].value; break;
        case 'v': stack[depth++] = variables[code[i].value]; break;
        case '=': variables[code[i].value] = stack[--depth]; sum = (sum << 5 | sum >> 59) ^ stack[depth]; break;
        default: depth--; stack[depth - 1] = apply(code[i].kind, stack[depth - 1], stack[depth]); break;
        }
    }
    if (depth != 0)
        fail("the stack machine");
    return sum;
}

static uint64_t compile(uint64_t start)
{
    seed = start * 0x9E3779B97F4A7C15u | 1;
    length = code_length = 0;
    for (int i = 0; i < STATEMENTS; i++) {
        put('a' + next_random() % VARIABLES);
        put('=');
        put_expression(6);
        put(';');
    }
    for (at = text; *at; at++) {
        uint64_t target = *at - 'a';
        at += 2;
        generate(fold(parse()));
        emit('=', target);
    }
    uint64_t sum = execute();
    for (int i = 0; i < 20; i++)
        if (execute() != sum)
            fail("the same program gave another result");
    return sum;
}

// ---- Processes ----

static uint64_t children(int count, uint64_t start)
{
    enum { AT_ONCE = 8 };
    int pipes[AT_ONCE];
    uint64_t sum = 0;
    for (int first = 0; first < count; first += AT_ONCE) {
        int n = count - first < AT_ONCE ? count - first : AT_ONCE;
        for (int i = 0; i < n; i++) {
            int ends[2];
            if (pipe(ends))
                fail("pipe");
            pid_t child = fork();
            if (child < 0)
                fail("fork");
            if (child == 0) {
                char argument[32];
                snprintf(argument, sizeof argument, "%llu", (unsigned long long)(start + first + i));
                dup2(ends[1], 1);
                close(ends[0]);
                close(ends[1]);
                execl("/proc/self/exe", "load", "compile", argument, (char *)0);
                _exit(127);
            }
            close(ends[1]);
            pipes[i] = ends[0];
        }
        for (int i = 0; i < n; i++) {
            FILE *from = fdopen(pipes[i], "r");
            unsigned long long value;
            if (!from || fscanf(from, "%llx", &value) != 1)
                fail("a child said nothing");
            fclose(from);
            sum = sum * 31 + value;
        }
        for (int i = 0; i < n; i++) {
            int status;
            if (wait(&status) < 0 || status != 0)
                fail("a child's status");
        }
    }
    return sum;
}

// ---- Threads ----

static atomic_ulong atomic_sum;
static atomic_uint bits;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static pthread_spinlock_t spin;
static uint64_t locked_sum, spun_sum, turn, rounds, faults;
static int threads;

static void *part(void *argument)
{
    uint64_t me = (uint64_t)argument, wrong = 0;
    unsigned bit = 1u << me;
    char *kept[16] = { 0 };
    size_t sizes[16] = { 0 };
    for (uint64_t i = 0; i < rounds; i++) {
        atomic_fetch_add(&atomic_sum, me + i);
        wrong += (atomic_fetch_or(&bits, bit) & bit) != 0;
        pthread_mutex_lock(&lock);
        locked_sum += me + i;
        pthread_mutex_unlock(&lock);
        wrong += (atomic_fetch_and(&bits, ~bit) & bit) == 0;
        pthread_spin_lock(&spin);
        spun_sum += me + i;
        pthread_spin_unlock(&spin);
        size_t slot = i % 16;
        for (size_t n = 0; n < sizes[slot]; n += 61)
            wrong += kept[slot][n] != (char)(me + slot);
        free(kept[slot]);
        kept[slot] = malloc(sizes[slot] = 16 + (i * 7919 + me * 104729) % 20000);
        if (!kept[slot])
            fail("memory");
        memset(kept[slot], (int)(me + slot), sizes[slot]);
        if (i % 64 == 0) {
            // All in turn.
            pthread_mutex_lock(&lock);
            while (turn % threads != me)
                pthread_cond_wait(&turned, &lock);
            turn++;
            pthread_cond_broadcast(&turned);
            pthread_mutex_unlock(&lock);
        }
    }
    pthread_mutex_lock(&lock);
    faults += wrong;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 16; i++)
        free(kept[i]);
    return 0;
}

static void run_threads(void)
{
    pthread_t all[32];
    uint64_t expected = threads * (rounds * (rounds - 1) / 2) + rounds * (threads * (threads - 1) / 2);
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    for (uint64_t i = 0; i < threads; i++)
        if (pthread_create(&all[i], 0, part, (void *)i))
            fail("pthread_create");
    for (int i = 0; i < threads; i++)
        pthread_join(all[i], 0);
    if (atomic_sum != expected)
        fail("the atomic sum");
    if (locked_sum != expected)
        fail("the sum under the mutex");
    if (spun_sum != expected)
        fail("the sum under the spin lock");
    if (turn != threads * ((rounds + 63) / 64))
        fail("turns");
    if (faults || bits)
        fail("what a thread saw");
    printf("right\n");
}

int main(int count, char **arguments)
{
    if (count == 3 && !strcmp(arguments[1], "compile")) {
        printf("%llx\n", (unsigned long long)compile(strtoull(arguments[2], 0, 10)));
    } else if (count == 4 && !strcmp(arguments[1], "children")) {
        printf("%llx\n", (unsigned long long)children(atoi(arguments[2]), strtoull(arguments[3], 0, 10)));
    } else if (count == 4 && !strcmp(arguments[1], "threads")) {
        threads = atoi(arguments[2]);
        rounds = strtoull(arguments[3], 0, 10);
        if (threads < 1 || threads > 32)
            fail("1 to 32 threads");
        run_threads();
    } else {
        fail("usage");
    }
    return 0;
}
