// Executes single instructions on given register and memory contents: the reference side of SimdInstructionTests.
// Reads records from standard input and writes them back as they are after the instruction.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

struct record {
    uint32_t word, undefined;
    uint64_t fpsr, sp;
    uint64_t x[16];
    uint64_t v[64];
    uint8_t memory[1024];
};

#define MEMORY ((uint8_t *)0x50000000)

static struct record r;
static uint32_t *code;

static void undefined_instruction(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ((ucontext_t *)context)->uc_mcontext.pc += 4;
    r.undefined = 1;
}

// Loads the state of the record at x0, calls the code at x1, stores the state back. X16 and up are the runner's.
void run(struct record *state, uint32_t *instruction);
__asm__(
    ".text\n.global run\nrun:\n"
    "stp x29, x30, [sp, #-176]!\n stp x19, x20, [sp, #16]\n stp x21, x22, [sp, #32]\n stp x23, x24, [sp, #48]\n"
    "stp x25, x26, [sp, #64]\n stp x27, x28, [sp, #80]\n stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n"
    "stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
    "mov x28, x0\n mov x27, x1\n mov x26, sp\n"
    "ldr x16, [x28, #8]\n msr fpsr, x16\n"
    "add x16, x28, #152\n"
    "ldp q0, q1, [x16], #32\n ldp q2, q3, [x16], #32\n ldp q4, q5, [x16], #32\n ldp q6, q7, [x16], #32\n"
    "ldp q8, q9, [x16], #32\n ldp q10, q11, [x16], #32\n ldp q12, q13, [x16], #32\n ldp q14, q15, [x16], #32\n"
    "ldp q16, q17, [x16], #32\n ldp q18, q19, [x16], #32\n ldp q20, q21, [x16], #32\n ldp q22, q23, [x16], #32\n"
    "ldp q24, q25, [x16], #32\n ldp q26, q27, [x16], #32\n ldp q28, q29, [x16], #32\n ldp q30, q31, [x16], #32\n"
    "ldr x16, [x28, #16]\n mov sp, x16\n add x16, x28, #24\n"
    "ldp x0, x1, [x16], #16\n ldp x2, x3, [x16], #16\n ldp x4, x5, [x16], #16\n ldp x6, x7, [x16], #16\n"
    "ldp x8, x9, [x16], #16\n ldp x10, x11, [x16], #16\n ldp x12, x13, [x16], #16\n ldp x14, x15, [x16], #16\n"
    "blr x27\n"
    "add x16, x28, #24\n"
    "stp x0, x1, [x16], #16\n stp x2, x3, [x16], #16\n stp x4, x5, [x16], #16\n stp x6, x7, [x16], #16\n"
    "stp x8, x9, [x16], #16\n stp x10, x11, [x16], #16\n stp x12, x13, [x16], #16\n stp x14, x15, [x16], #16\n"
    "mov x17, sp\n str x17, [x28, #16]\n mov sp, x26\n"
    "stp q0, q1, [x16], #32\n stp q2, q3, [x16], #32\n stp q4, q5, [x16], #32\n stp q6, q7, [x16], #32\n"
    "stp q8, q9, [x16], #32\n stp q10, q11, [x16], #32\n stp q12, q13, [x16], #32\n stp q14, q15, [x16], #32\n"
    "stp q16, q17, [x16], #32\n stp q18, q19, [x16], #32\n stp q20, q21, [x16], #32\n stp q22, q23, [x16], #32\n"
    "stp q24, q25, [x16], #32\n stp q26, q27, [x16], #32\n stp q28, q29, [x16], #32\n stp q30, q31, [x16], #32\n"
    "mrs x16, fpsr\n str x16, [x28, #8]\n"
    "ldp x19, x20, [sp, #16]\n ldp x21, x22, [sp, #32]\n ldp x23, x24, [sp, #48]\n ldp x25, x26, [sp, #64]\n"
    "ldp x27, x28, [sp, #80]\n ldp d8, d9, [sp, #96]\n ldp d10, d11, [sp, #112]\n ldp d12, d13, [sp, #128]\n"
    "ldp d14, d15, [sp, #144]\n ldp x29, x30, [sp], #176\n ret\n");

int main(void) {
    static uint8_t stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = undefined_instruction, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&alternate, 0);
    sigaction(SIGILL, &action, 0);
    code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mmap(MEMORY, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MEMORY)
        return 1;
    while (fread(&r, sizeof r, 1, stdin) == 1) {
        code[0] = r.word;
        code[1] = 0xD65F03C0; // RET
        __builtin___clear_cache((char *)code, (char *)(code + 2));
        memcpy(MEMORY, r.memory, sizeof r.memory);
        run(&r, code);
        memcpy(r.memory, MEMORY, sizeof r.memory);
        fwrite(&r, sizeof r, 1, stdout);
    }
    return 0;
}
