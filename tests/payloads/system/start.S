// Entry of the boot CPU and of those started by PSCI, the exception vectors, and the way to EL0 and back.

    .section .image, "ax"
    .globl image
image:                              // arm64 Image header (Linux, Documentation/arch/arm64/booting.rst)
    b       start
    .long   0
    .quad   0x80000                 // text_offset
    .quad   image_end - image       // image_size
    .quad   0xA                     // little-endian, 4K pages, anywhere
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

start:
    adrp    x0, boot_stack_top
    add     sp, x0, :lo12:boot_stack_top
    adrp    x0, bss_start
    add     x0, x0, :lo12:bss_start
    adrp    x1, bss_end
    add     x1, x1, :lo12:bss_end
1:  cmp     x0, x1
    b.hs    2f
    stp     xzr, xzr, [x0], #16
    b       1b
2:  bl      cpu_init
    bl      payload_main
    bl      power_off
    b       .

// Where PSCI CPU_ON sends a CPU, with its number in x0.
    .globl secondary_start
secondary_start:
    adrp    x1, cpu_stacks
    add     x1, x1, :lo12:cpu_stacks
    add     x2, x0, #1
    add     x1, x1, x2, lsl #13
    mov     sp, x1
    mov     x19, x0
    bl      cpu_init
    mov     x0, x19
    bl      secondary_main
    mov     w0, #0x0002             // CPU_OFF
    movk    w0, #0x8400, lsl #16
    hvc     #0
    b       .

// SCTLR_EL1 to its reserved-one bits with SPAN, the MMU off, no stack alignment check; FP on.
cpu_init:
    adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     vbar_el1, x0
    ldr     x0, =0x30D00800
    msr     sctlr_el1, x0
    mov     x0, #(3 << 20)
    msr     cpacr_el1, x0
    isb
    ret

// Each vector pushes a frame (struct frame in payload.h) and calls on_exception.
    .macro vector offset
    .balign 0x80
    sub     sp, sp, #288
    stp     x0, x1, [sp]
    mov     x0, #\offset
    b       enter
    .endm

    .text
    .balign 0x800
vectors:
    .irp    offset, 0x000, 0x080, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0x400, 0x480, 0x500, 0x580, 0x600, 0x680, 0x700, 0x780
    vector  \offset
    .endr

    .balign 0x80
enter:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x1, elr_el1
    stp     x30, x1, [sp, #240]
    mrs     x1, spsr_el1
    stp     x1, x0, [sp, #256]
    mov     x0, sp
    bl      on_exception
    ldr     x1, [sp, #256]
    msr     spsr_el1, x1
    ldp     x30, x1, [sp, #240]
    msr     elr_el1, x1
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldp     x0, x1, [sp]
    add     sp, sp, #288
    eret

// u64 enter_with(u64 pc, u64 spsr, u64 x0, u64 x1): ERET to a PC and PSTATE; SVC #0x7FFF there comes back here with its x0.
    .globl enter_with
enter_with:
    stp     x29, x30, [sp, #-96]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    adrp    x4, return_sp
    mov     x5, sp
    str     x5, [x4, :lo12:return_sp]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    mov     x0, x2
    mov     x1, x3
    eret

    .globl left_el0
left_el0:
    adrp    x4, return_sp
    ldr     x5, [x4, :lo12:return_sp]
    mov     sp, x5
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    ret

    .section .el0, "ax"
    .globl el0_load, el0_store, el0_return, el0_jump
el0_load:
    ldr     w0, [x0]
    svc     #0x7FFF
el0_store:
    str     w1, [x0]
    svc     #0x7FFF
el0_jump:
    br      x0
el0_return:
    svc     #0x7FFF

    .bss
    .balign 16
    .skip   16384
boot_stack_top:
    .globl return_sp
return_sp:
    .skip   16
    .balign 16
cpu_stacks:
    .skip   8 * 8192
