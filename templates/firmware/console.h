/* The console: checked text lines, `$<kind>,<field>,...*<CRC-32 of what is between $ and *>`.
 * The kinds of lines are described in docs/firmware.md. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

void console_open(void);

/* A line is begun, gets fields, and is ended. Nothing waits: see console_has_room. */
void console_begin(const char *kind);
void console_text(const char *field);
void console_number(uint64_t field);
void console_hex_field(uint32_t field);
void console_end(void);

/* A field of many words, in pieces: the bytes of each word in order of address, two digits each. */
void console_open_words(void);
void console_words(const uint32_t *words, uint32_t count);

/* A field for what is too long to be written: `#` and its CRC-32. */
void console_digest(uint32_t crc);

/* True if a piece of `bytes` characters can be written without loss. */
bool console_has_room(uint32_t bytes);

/* Waits until everything that was written has room to follow; for start-up and final reports. */
void console_wait_for_room(void);

/* True between console_begin and console_end. */
bool console_is_busy(void);

/* Ends a line that is open and will not be completed; no host takes it for a right one. */
void console_abandon(void);

/* Writes a last line and stops the device. */
_Noreturn void console_fatal(const char *what, const char *where, uint32_t value);

#endif
