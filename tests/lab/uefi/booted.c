// A UEFI application that says it was booted and powers the machine off. The proof that firmware accepts a disk.
// Offsets are those of EFI_SYSTEM_TABLE, EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL and EFI_RUNTIME_SERVICES (UEFI 2.10, 4.3, 12.4, 4.5).
typedef unsigned long long Word;
typedef unsigned short Char;
typedef Word (*OutputString)(void* self, const Char* text);
typedef void (*ResetSystem)(int kind, Word status, Word size, void* data);

static void* member(void* table, Word offset) { return *(void**)((char*)table + offset); }

Word efi_main(void* image, void* system) {
  (void)image;
  void* console = member(system, 64);
  void* runtime = member(system, 88);
  ((OutputString)member(console, 8))(console, (const Char*)L"\r\nlab-disk-booted\r\n");
  ((ResetSystem)member(runtime, 104))(2 /* shutdown */, 0, 0, 0);
  return 0;
}
