// Runs a program on a host that refuses executable memory, as SELinux's execmem or a seccomp profile does:
//   refuse-executable both|all|large PROGRAM [ARGUMENT...]
// both: mmap of memory that may be written and executed; all: also what Vmm maps twice (executable and MAP_NORESERVE, which nothing else here asks for);
// large: of that, 32 MiB and more, as when memory is short.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARGUMENT(n) ((unsigned)(offsetof(struct seccomp_data, args) + 8 * (n)))
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int install(struct sock_filter *code, unsigned short length)
{
    struct sock_fprog program = { length, code };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0;
}

int main(int argc, char **argv)
{
    struct sock_filter writable[] = {
        LOAD(offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 4),
        LOAD(ARGUMENT(2)),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_WRITE | PROT_EXEC, 0, 1),
        REFUSE(EACCES),
        ALLOW,
    };
    struct sock_filter executable[] = {
        LOAD(offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 7),
        LOAD(ARGUMENT(2)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 5),
        LOAD(ARGUMENT(3)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_NORESERVE, 0, 3),
        LOAD(ARGUMENT(1)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, argc > 1 && strcmp(argv[1], "large") == 0 ? 32 << 20 : 0, 0, 1),
        REFUSE(ENOMEM),
        ALLOW,
    };
    int both = argc > 2 && strcmp(argv[1], "both") == 0;
    if (argc < 3 || (both ? install(writable, sizeof writable / sizeof *writable) : install(executable, sizeof executable / sizeof *executable)))
    {
        fprintf(stderr, "usage: refuse-executable both|all|large PROGRAM [ARGUMENT...]\n");
        return 1;
    }

    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
