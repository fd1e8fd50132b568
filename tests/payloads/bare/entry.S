// A program that is not Linux: prints how it was entered, in hexadecimal, a line each, and powers off by PSCI. It is linked for any address.

    .equ    UART, 0x09000000
    .equ    RAM, 0x40000000

    .text
    .globl  _start
_start:
    mov     x20, x0
    orr     x21, x1, x2
    orr     x21, x21, x3

    adr     x0, _start
    bl      print
    mrs     x0, CurrentEL
    bl      print
    mrs     x0, DAIF
    bl      print
    mrs     x0, SCTLR_EL1
    and     x0, x0, #1
    bl      print
    mov     x0, x21                     // x1 to x3
    bl      print

    cbnz    x20, 1f                     // an ELF file under QEMU gets no x0: the device tree is at the start of RAM
    mov     x20, #RAM
1:  mov     x0, x20
    bl      print
    ldr     w0, [x20]                   // its magic
    rev     w0, w0
    bl      print
    adrp    x0, zeros
    ldr     x0, [x0, :lo12:zeros]
    bl      print

    mov     w0, #8                      // SYSTEM_OFF
    movk    w0, #0x8400, lsl #16
    hvc     #0
    b       .

print:
    mov     x9, #UART
    mov     x10, #16
2:  ror     x0, x0, #60
    and     x11, x0, #15
    add     x11, x11, #'0'
    cmp     x11, #'9'
    b.ls    3f
    add     x11, x11, #('a' - '9' - 1)
3:  strb    w11, [x9]
    subs    x10, x10, #1
    b.ne    2b
    mov     w11, #10
    strb    w11, [x9]
    ret

    .bss
    .balign 8
zeros:
    .skip   8
