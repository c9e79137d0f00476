#include "console.h"

#include "device.h"
#include "framing.h"
#include "port.h"

/* No line but one of results is longer. */
#define LINE_BYTES 128u
#define ROOM_TIMEOUT_TICKS (PORT_TICK_HZ / 2u)

static uint32_t line_crc;
static bool line_open;
static bool polled; /* after a fault: interrupts no longer send */

static void put(const char *text, size_t count)
{
    if (polled) {
        port_uart_write_polled(device.console_uart, (const uint8_t *)text, count);
    } else {
        port_uart_write(device.console_uart, (const uint8_t *)text, count);
    }
}

static void put_checked(const char *text, size_t count)
{
    line_crc = frame_crc32(line_crc, (const uint8_t *)text, count);
    put(text, count);
}

/* The C library's strlen is made for long texts, and ten times as large. */
static size_t length_of(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}

static void put_hex(char *to, uint32_t value, unsigned digits)
{
    for (unsigned i = 0; i < digits; i++) {
        to[i] = "0123456789abcdef"[value >> (4u * (digits - 1u - i)) & 15u];
    }
}

void console_open(void)
{
    port_uart_open(device.console_uart, device.console_rate_bd);
}

void console_begin(const char *kind)
{
    line_crc = 0;
    line_open = true;
    put("$", 1);
    put_checked(kind, length_of(kind));
}

void console_text(const char *field)
{
    put_checked(",", 1);
    put_checked(field, length_of(field));
}

/* Divides by ten and returns the remainder: in three steps of what the core's 32-bit division takes, as the
 * compiler's 64-bit division is larger than all the rest of this file. */
static uint32_t divide_by_ten(uint64_t *number)
{
    uint32_t high = (uint32_t)(*number >> 32), low = (uint32_t)*number;
    uint32_t middle = high % 10u << 16 | low >> 16;
    uint32_t last = middle % 10u << 16 | (low & 0xFFFFu);
    *number = (uint64_t)(high / 10u) << 32 | middle / 10u << 16 | last / 10u;
    return last % 10u;
}

void console_number(uint64_t field)
{
    char digits[20]; /* 2^64 has twenty decimal digits */
    unsigned first = sizeof digits;
    do {
        digits[--first] = (char)('0' + divide_by_ten(&field));
    } while (field != 0);
    put_checked(",", 1);
    put_checked(digits + first, sizeof digits - first);
}

void console_hex_field(uint32_t field)
{
    char text[9] = ",";
    put_hex(text + 1, field, 8);
    put_checked(text, sizeof text);
}

void console_open_words(void)
{
    put_checked(",", 1);
}

void console_words(const uint32_t *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char text[8];
        for (unsigned byte = 0; byte < 4u; byte++) {
            put_hex(text + 2u * byte, words[i] >> (8u * byte) & 0xFFu, 2);
        }
        put_checked(text, sizeof text);
    }
}

void console_digest(uint32_t crc)
{
    char text[10] = ",#";
    put_hex(text + 2, crc, 8);
    put_checked(text, sizeof text);
}

void console_end(void)
{
    char text[11] = "*";
    put_hex(text + 1, line_crc, 8);
    text[9] = '\r';
    text[10] = '\n';
    put(text, sizeof text);
    line_open = false;
}

bool console_has_room(uint32_t bytes)
{
    return port_uart_room(device.console_uart) >= bytes;
}

void console_wait_for_room(void)
{
    uint32_t began = port_ticks();
    while (!console_has_room(LINE_BYTES) && port_ticks() - began < ROOM_TIMEOUT_TICKS) {
        port_sleep();
    }
}

bool console_is_busy(void)
{
    return line_open;
}

void console_abandon(void)
{
    if (line_open) {
        console_wait_for_room();
        put("\r\n", 2);
        line_open = false;
    }
}

_Noreturn void console_fatal(const char *what, const char *where, uint32_t value)
{
    polled = true;
    put("\r\n", 2); /* a line may have been cut short */
    console_begin("F");
    console_text(what);
    console_text(where);
    console_hex_field(value);
    console_end();
    for (;;) {
        port_stop();
    }
}
