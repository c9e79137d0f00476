/* What ports share of the processor: sleep, sessions, use of memory. */
#include "chip.h"
#include "port.h"
#include "port_events.h"

/* For clocks, cache and timers to say that they are ready; they take microseconds. */
#define READY_ATTEMPTS 1000000u

extern uint32_t stack_limit[], stack_top[], ram_end[]; /* device.ld */

/* Not initialised, so that it outlives a reset. */
static uint32_t sessions __attribute__((section(".noinit")));

static volatile bool work_waiting;

void port_wait_until_set(const volatile uint32_t *address, uint32_t bits)
{
    for (uint32_t attempt = 0; (*address & bits) != bits && attempt < READY_ATTEMPTS; attempt++) {
    }
}

uint32_t port_new_session(void)
{
    return ++sessions;
}

void port_signal_work(void)
{
    work_waiting = true;
}

void port_sleep(void)
{
    bool waiting;
    do {
        /* With interrupts masked none is missed between the test and WFI, which they still end. */
        __asm__ volatile("cpsid i" ::: "memory");
        waiting = work_waiting;
        if (!waiting) {
            __asm__ volatile("dsb\n\twfi" ::: "memory");
        }
        __asm__ volatile("cpsie i\n\tisb" ::: "memory");
    } while (!waiting && !work_waiting); /* the wake timer ends this */
    work_waiting = false;
}

void port_stop(void)
{
    __asm__ volatile("cpsid i\n\tdsb\n\twfi" ::: "memory");
}

static uint32_t address_of(const uint32_t *symbol)
{
    return (uint32_t)(uintptr_t)symbol;
}

port_memory_t port_memory(void)
{
    uint32_t bottom = address_of(stack_limit), top = address_of(stack_top), deepest = bottom;
    while (deepest < top && REGISTER(deepest) == PORT_STACK_PAINT) {
        deepest += 4u;
    }
    return (port_memory_t){
        .stack_used_bytes = top - deepest,
        .stack_bytes = top - bottom,
        .ram_bytes = address_of(ram_end) - bottom,
    };
}
