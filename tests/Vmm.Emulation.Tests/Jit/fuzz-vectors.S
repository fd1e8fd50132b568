// The exception vectors of the system fuzzer, at 0x40000000: they log ESR, FAR, ELR and SPSR (without NZCV, which translated code may leave out), and then
//  - make a page of code executable, or an odd page of data accessible, and return to the instruction;
//  - enable FP, SIMD and SVE, and return to the instruction: one that sets flags is never skipped, since translated code may have left out those that it overwrites;
//  - skip any other instruction that faulted;
//  - stop (WFI) at what leads nowhere, or after 100 exceptions.
// The log, at 0x40002000: the count, the attributes for pages of data, four words for saved registers, the attributes for pages of code; entries from +0x60.
    .macro vector target
    .balign 0x80
    b \target
    .endm

    .rept 4
    vector stop
    .endr
    vector synchronous
    .rept 3
    vector stop
    .endr
    vector synchronous
    .rept 7
    vector stop
    .endr

    .balign 0x80
stop:
    wfi
    b stop

synchronous:
    msr tpidr_el1, x0
    mov x0, #0x40000000
    movk x0, #0x2000
    stp x1, x2, [x0, #16]
    stp x3, x4, [x0, #32]
    ldr x1, [x0]
    add x2, x0, x1, lsl #5
    add x1, x1, #1
    str x1, [x0]
    mrs x3, esr_el1
    mrs x4, far_el1
    stp x3, x4, [x2, #0x60]
    mrs x4, spsr_el1
    and x4, x4, #0x0fffffff
    cmp x1, #100
    mrs x1, elr_el1
    stp x1, x4, [x2, #0x70]
    b.hs stop
    lsr x4, x3, #26
    cmp x4, #0x15
    b.eq return
    cmp x4, #0x22
    b.eq stop
    cmp x4, #0x07
    b.eq enable
    cmp x4, #0x19
    b.eq enable
    orr x4, x4, #1
    cmp x4, #0x21
    b.eq code
    cmp x4, #0x25
    b.ne skip

    and x4, x3, #0x3f
    cmp x4, #0x10
    b.hs skip
    mrs x2, far_el1
    lsr x4, x2, #12
    sub x4, x4, #0x40, lsl #12
    sub x4, x4, #0x200
    cmp x4, #16
    b.hs skip
    tbz x2, #12, skip
    ldr x3, [x0, #8]
    mov x1, #0x40100000
    add x3, x3, x1
    add x3, x3, x4, lsl #12
    mov x1, #0x40010000
    movk x1, #0x2000
    b map

code:
    mrs x2, far_el1
    lsr x4, x2, #12
    sub x4, x4, #0x40, lsl #12
    sub x4, x4, #0x400
    cmp x4, #2
    b.hs stop
    ldr x3, [x0, #48]
    mov x1, #0x40180000
    add x3, x3, x1
    add x3, x3, x4, lsl #12
    mov x1, #0x40010000
    movk x1, #0x3000

map:
    str x3, [x1, x4, lsl #3]
    dsb ishst
    lsr x2, x2, #12
    tlbi vaae1, x2
    dsb ish
    isb
    b return

enable:
    mov x4, #0x330000
    msr cpacr_el1, x4
    isb
    b return

skip:
    add x1, x1, #4
    msr elr_el1, x1

return:
    ldp x1, x2, [x0, #16]
    ldp x3, x4, [x0, #32]
    mrs x0, tpidr_el1
    eret
