// The EFI runtime services of a boot without firmware (UEFI 2.10, chapter 8): the time from the PL031, reset and power-off by PSCI.
//
// RuntimeServicesCode.cs holds what this assembles to; a test compares the two. Procedures are AAPCS64 leaf functions: they keep no state,
// use no stack, and change x0 to x11 and the flags alone. The code runs at its physical address and at any other.

        .text

// EFI_STATUS: what is not in the RT properties table.
unsupported:
        mov     x0, #0x8000000000000003         // EFI_UNSUPPORTED
        ret

invalid:
        mov     x0, #2
        movk    x0, #0x8000, lsl #48            // EFI_INVALID_PARAMETER
        ret

// EFI_STATUS get_time(EFI_TIME *x0, EFI_TIME_CAPABILITIES *x1)
get_time:
        cbz     x0, invalid
        ldr     x2, rtc
        ldr     w3, [x2]                        // RTCDR: seconds since 1970

        mov     w4, #20864
        movk    w4, #1, lsl #16                 // 86,400
        udiv    w5, w3, w4                      // w5: days since 1970
        msub    w3, w5, w4, w3
        mov     w4, #3600
        udiv    w6, w3, w4                      // w6: hour
        msub    w3, w6, w4, w3
        mov     w4, #60
        udiv    w7, w3, w4                      // w7: minute
        msub    w8, w7, w4, w3                  // w8: second

        // Days since 1 March 1968, as if 2100 were a leap year: four years have 1,461 days, and a leap day is the last of them.
        add     w5, w5, #671
        mov     w4, #48212                      // 1 March 2100
        cmp     w5, w4
        cinc    w5, w5, hs
        mov     w4, #1461
        udiv    w9, w5, w4
        msub    w5, w9, w4, w5                  // w5: day of the four years
        mov     w10, #1968
        add     w9, w10, w9, lsl #2             // w9: the first of the four years
        cmp     w5, #1460
        cset    w10, eq
        sub     w10, w5, w10
        mov     w4, #365
        udiv    w10, w10, w4
        add     w9, w9, w10                     // w9: year, from March to February
        msub    w5, w10, w4, w5                 // w5: day of that year

        // Months since March: five of them have 153 days.
        add     w10, w5, w5, lsl #2
        add     w10, w10, #2
        mov     w4, #153
        udiv    w10, w10, w4                    // w10: months since March
        mov     w11, #2
        madd    w4, w10, w4, w11
        mov     w11, #5
        udiv    w4, w4, w11
        sub     w5, w5, w4
        add     w5, w5, #1                      // w5: day of the month
        add     w10, w10, #3
        cmp     w10, #12
        b.ls    1f
        sub     w10, w10, #12                   // w10: month
        add     w9, w9, #1

1:      strh    w9, [x0]                        // EFI_TIME (8.3.1)
        strb    w10, [x0, #2]
        strb    w5, [x0, #3]
        strb    w6, [x0, #4]
        strb    w7, [x0, #5]
        strb    w8, [x0, #6]
        strb    wzr, [x0, #7]
        str     wzr, [x0, #8]                   // Nanosecond
        mov     w4, #0x7ff                      // EFI_UNSPECIFIED_TIMEZONE; no daylight saving
        str     w4, [x0, #12]
        cbz     x1, success
        mov     w4, #1                          // EFI_TIME_CAPABILITIES: one count a second,
        str     w4, [x1]
        mov     w4, #0xf080                     // 50,000,000: 50 parts in a million
        movk    w4, #0x2fa, lsl #16
        str     w4, [x1, #4]
        strb    wzr, [x1, #8]                   // SetsToZero: what is below a second goes on
success:
        mov     x0, #0                          // EFI_SUCCESS
        ret

// EFI_STATUS set_time(EFI_TIME *x0)
set_time:
        cbz     x0, invalid
        ldrh    w2, [x0]                        // w2: year
        mov     w8, #1970
        sub     w9, w2, w8
        cmp     w9, #136
        b.hi    invalid
        ldrb    w3, [x0, #2]                    // w3: month
        sub     w9, w3, #1
        cmp     w9, #11
        b.hi    invalid
        ldrb    w5, [x0, #4]                    // w5: hour
        cmp     w5, #23
        b.hi    invalid
        ldrb    w6, [x0, #5]                    // w6: minute
        cmp     w6, #59
        b.hi    invalid
        ldrb    w7, [x0, #6]                    // w7: second
        cmp     w7, #59
        b.hi    invalid
        ldr     w8, [x0, #8]                    // Nanosecond
        mov     w9, #0xc9ff
        movk    w9, #0x3b9a, lsl #16            // 999,999,999
        cmp     w8, w9
        b.hi    invalid
        ldrb    w8, [x0, #14]                   // Daylight
        cmp     w8, #3
        b.hi    invalid
        ldrsh   w8, [x0, #12]                   // TimeZone: unspecified, or minutes
        cmp     w8, #0x7ff
        b.eq    2f
        add     w8, w8, #1440
        cmp     w8, #2880
        b.hi    invalid

        // The last day of the month: 30 or 31; of February 28 or 29.
2:      add     w8, w3, w3, lsr #3
        and     w8, w8, #1
        add     w8, w8, #30
        cmp     w3, #2
        b.ne    3f
        mov     w8, #28
        tst     w2, #3
        b.ne    3f
        mov     w9, #2100
        cmp     w2, w9
        cinc    w8, w8, ne
3:      ldrb    w4, [x0, #3]                    // w4: day
        sub     w9, w4, #1
        cmp     w9, w8
        b.hs    invalid

        // Years and months from March, in which a leap day is the last one.
        sub     w3, w3, #3
        cmp     w3, #0
        b.ge    4f
        add     w3, w3, #12                     // w3: months since March
        sub     w2, w2, #1
4:      sub     w2, w2, #1968                   // w2: years since March 1968
        mov     w8, #153
        mov     w9, #2
        madd    w3, w3, w8, w9
        mov     w8, #5
        udiv    w3, w3, w8                      // w3: days since 1 March
        add     w3, w3, w4
        mov     w8, #365
        madd    w3, w2, w8, w3
        add     w3, w3, w2, lsr #2
        cmp     w2, #132                        // from March 2100 on: that year had no leap day
        cset    w8, ge
        sub     w3, w3, w8
        sub     w3, w3, #672                    // w3: days since 1970; the first of a month is its day 1

        mov     w8, #20864
        movk    w8, #1, lsl #16                 // 86,400
        umull   x3, w3, w8
        mov     w8, #3600
        umaddl  x3, w5, w8, x3
        mov     w8, #60
        umaddl  x3, w6, w8, x3
        add     x3, x3, x7
        lsr     x8, x3, #32
        cbnz    x8, invalid                     // after 7 February 2106
        ldr     x2, rtc
        str     w3, [x2, #8]                    // RTCLR
        b       success

// void reset_system(EFI_RESET_TYPE w0, ...): EfiResetShutdown is 2, and all others reset.
reset_system:
        cmp     w0, #2
        mov     w0, #8
        movk    w0, #0x8400, lsl #16            // PSCI SYSTEM_OFF
        cinc    w0, w0, ne                      // SYSTEM_RESET
        hvc     #0
        b       .

        .balign 8
rtc:    .quad   0x09010000                      // the PL031
