/* The console on the host: what it writes is collected. */
#include "console.h"
#include "device.h"
#include "port.h"

#define ROOM_BYTES 1024u

static uint8_t written[ROOM_BYTES];
static size_t count;

const device_t device = {.name = "host"};

uint32_t port_ticks(void)
{
    return 0;
}

void port_sleep(void)
{
}

void port_stop(void)
{
}

void port_uart_open(uint8_t uart, uint32_t rate_bd)
{
    (void)uart;
    (void)rate_bd;
}

size_t port_uart_room(uint8_t uart)
{
    (void)uart;
    return ROOM_BYTES - count;
}

bool port_uart_write(uint8_t uart, const uint8_t *bytes, size_t size)
{
    (void)uart;
    for (size_t i = 0; i < size && count < ROOM_BYTES; i++) {
        written[count++] = bytes[i];
    }
    return true;
}

void port_uart_write_polled(uint8_t uart, const uint8_t *bytes, size_t size)
{
    port_uart_write(uart, bytes, size);
}

/* Writes a line with a text, a number and a word in hexadecimal; returns it and its length. */
const uint8_t *test_line(const char *text, uint64_t number, uint32_t word, size_t *size)
{
    count = 0;
    console_begin("T");
    console_text(text);
    console_number(number);
    console_hex_field(word);
    console_end();
    *size = count;
    return written;
}
