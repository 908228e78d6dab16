# Entries of the hostile guest: the first processor's by the 64-bit boot protocol (Linux Documentation/arch/x86/boot.rst), the
# second's from real mode, where the first has copied it to (Intel SDM vol. 3A §9.4, the universal start-up).
    .section .entry, "ax"
    .code64
    .globl start
start:
    leaq stack_of_first(%rip), %rsp
    movq %rsi, %rdi
    call first
1:  hlt
    jmp 1b

    .globl second_real, second_real_end
    .code16
second_real:
    cli
    # Relative to the segment that the start-up message has set.
    lgdtl %cs:(descriptors - second_real)
    movl $0x20, %eax            # PAE
    movl %eax, %cr4
    movl $0x9000, %eax          # the tables that the monitor has made
    movl %eax, %cr3
    movl $0xc0000080, %ecx      # EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl $0x80000011, %eax      # paging and protection at once
    movl %eax, %cr0
    ljmpl $0x10, $second_long
descriptors:
    .word 0x2f
    .long 0x500
second_real_end:

    .code64
second_long:
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    leaq stack_of_second(%rip), %rsp
    call second
2:  hlt
    jmp 2b

    .bss
    .align 16
    .skip 16384
stack_of_first:
    .skip 16384
stack_of_second:
    .section .note.GNU-stack, "", @progbits
