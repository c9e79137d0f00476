/* All that the firmware asks of the chip. port_baremetal.c implements it for the MAX78000 family. */
#ifndef PORT_H
#define PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Byte that wakes the main loop when a UART receives it; other bytes only fill the buffer. What it ends is a
 * multiple of PORT_GROUP_BYTES long: a UART interrupts once for so many bytes, and not before. */
#define PORT_WAKE_BYTE 0u
#define PORT_GROUP_BYTES 4u

/* Clocks, caches, timers, interrupts. Called once, before anything else. */
void port_init(void);

/* Time since port_init in ticks of PORT_TICK_HZ (device.h). Wraps; differences are right. */
uint32_t port_ticks(void);

/* A number that was not returned before, by this boot or an earlier one. */
uint32_t port_new_session(void);

/* Random bytes of the chip's generator, for keys; false if there are none. `count` is a multiple of 4. */
bool port_random(uint8_t *bytes, size_t count);

/* The main loop goes round; without this for a second the watchdog resets the chip. */
void port_alive(void);

/* Sleeps until an interrupt handler has work for the main loop, at most two milliseconds. */
void port_sleep(void);

/* Sleeps without ever doing anything again. */
void port_stop(void);

/* Opens UART `uart` (0..3): 8 data bits, no parity, one stop bit. */
void port_uart_open(uint8_t uart, uint32_t rate_bd);

/* Bytes that port_uart_write takes at the moment. */
size_t port_uart_room(uint8_t uart);

/* Queues all bytes for sending, or none: true if they were taken. */
bool port_uart_write(uint8_t uart, const uint8_t *bytes, size_t count);

/* Takes up to `count` received bytes; returns how many there were. */
size_t port_uart_read(uint8_t uart, uint8_t *bytes, size_t count);

/* Received bytes that were lost because nobody fetched them in time. */
uint32_t port_uart_overruns(uint8_t uart);

/* Sends without interrupts, for reports after a fault. */
void port_uart_write_polled(uint8_t uart, const uint8_t *bytes, size_t count);

/* Powers the accelerator's quadrants in `mask` and starts its clock. Its memories are undefined then. */
void port_cnn_power_up(uint32_t quadrant_mask);

/* Removes power and clock. */
void port_cnn_power_down(void);

/* Sets the accelerator's clock for inference or for access to its memories. */
void port_cnn_clock(bool inference);

/* Calls cnn_done_interrupt (cnn.h) when the accelerator has finished. */
void port_cnn_interrupt_enable(void);

/* Deepest use of the stack so far, what is reserved for it, and all RAM in use, stack included. */
typedef struct {
    uint32_t stack_used_bytes, stack_bytes, ram_bytes;
} port_memory_t;
port_memory_t port_memory(void);

#endif
