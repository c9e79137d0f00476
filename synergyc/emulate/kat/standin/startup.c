/*
 * From reset to main and out again.
 *
 * The vector table lies at the start of flash; MXC_NVIC_SetVector works on a copy in RAM, as the
 * hardware allows. Every exception without a handler ends the run with a status that tells its number.
 */
#include <stdint.h>
#include <stdio.h>

#include "chip.h"
#include "cortex.h"
#include "mxc.h"
#include "runtime.h"

#define SYSTEM_EXCEPTIONS 16u
#define SYSTEM_TICK 15u
#define VECTORS (SYSTEM_EXCEPTIONS + CHIP_INTERRUPTS)

extern uint32_t standin_stack_top[];
extern uint32_t standin_data_load[];
extern uint32_t standin_data_start[];
extern uint32_t standin_data_end[];
extern uint32_t standin_bss_start[];
extern uint32_t standin_bss_end[];

extern int main(void);

volatile int standin_status;

void standin_halt(void)
{
    mask_interrupts();
    for (uint32_t bank = 0; bank < (CHIP_INTERRUPTS + 31u) / 32u; bank++) {
        NVIC_ICER[bank] = UINT32_MAX;
    }
    for (;;) {
    }
}

static void unexpected_exception(void)
{
    uint32_t number;
    __asm volatile("mrs %0, ipsr" : "=r"(number));
    standin_status = STANDIN_STATUS_EXCEPTION + (int)number;
    for (;;) {
    }
}

/* The system timer only wakes MXC_Delay, which looks at the timer itself. */
static void system_tick(void)
{
}

__attribute__((noreturn)) void standin_reset(void);

typedef void (*vector_t)(void);

__attribute__((section(".vectors"), used)) static const vector_t flash_vectors[VECTORS] = {
    (vector_t)standin_stack_top,
    standin_reset,
    [2 ... SYSTEM_TICK - 1] = unexpected_exception,
    [SYSTEM_TICK] = system_tick,
    [SYSTEM_TICK + 1 ... VECTORS - 1] = unexpected_exception,
};

/* Aligned to the table's size rounded up to a power of two (Armv7-M ARM, B3.2.5). */
__attribute__((aligned(1024))) static vector_t ram_vectors[VECTORS];
_Static_assert(sizeof(ram_vectors) <= 1024, "the vector table outgrows its alignment");

static vector_t handlers[CHIP_INTERRUPTS];
volatile uint32_t standin_interrupts;

static void dispatch(void)
{
    uint32_t number;
    __asm volatile("mrs %0, ipsr" : "=r"(number));
    handlers[number - SYSTEM_EXCEPTIONS]();
    standin_interrupts++;
}

void MXC_NVIC_SetVector(IRQn_Type interrupt, void (*handler)(void))
{
    const uint32_t number = (uint32_t)interrupt;
    handlers[number] = handler;
    ram_vectors[SYSTEM_EXCEPTIONS + number] = dispatch;
    NVIC_ISER[number / 32u] = 1u << (number % 32u);
}

void standin_reset(void)
{
    const uint32_t *source = standin_data_load;
    for (uint32_t *word = standin_data_start; word < standin_data_end; word++) {
        *word = *source++;
    }
    for (uint32_t *word = standin_bss_start; word < standin_bss_end; word++) {
        *word = 0;
    }
    for (uint32_t i = 0; i < VECTORS; i++) {
        ram_vectors[i] = flash_vectors[i];
    }
    SCB_VTOR = (uint32_t)(uintptr_t)ram_vectors;
    SCB_CPACR |= SCB_CPACR_FPU;
    __asm volatile("dsb\n isb" ::: "memory");
    SystemCoreClockUpdate();
    standin_board_init();
    const int result = main();
    fflush(stdout);
    standin_console_drain();
    standin_status = result & 0xff;
    standin_halt();
    __builtin_unreachable();
}
