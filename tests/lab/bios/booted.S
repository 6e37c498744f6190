// A boot sector's code that says it was booted, on the first serial line, and halts. The proof that a BIOS takes a disk by
// its MBR. At most 440 bytes: behind them lies the table.
  .code16
  .globl _start
_start:
  cli
  xorw %ax, %ax
  movw %ax, %ds
  movw $text, %si
next:
  lodsb
  testb %al, %al
  jz end
  movw $0x3f8, %dx
  outb %al, %dx
  jmp next
end:
  hlt
  jmp end
text:
  .asciz "\r\nlab-disk-booted\r\n"
