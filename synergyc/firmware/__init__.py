"""From plan and programs to firmware: what each device does, its C sources, its ELF file."""
