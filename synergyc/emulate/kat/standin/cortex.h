/* The parts of the Cortex-M4 that the runtime uses (Armv7-M Architecture Reference Manual, B3). */
#ifndef SYNERGYC_STANDIN_CORTEX_H
#define SYNERGYC_STANDIN_CORTEX_H

#include <stdint.h>

#define SYST_CSR (*(volatile uint32_t *)0xe000e010u)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014u)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018u)
#define SYST_CSR_ENABLE (1u << 0)
#define SYST_CSR_TICKINT (1u << 1)
#define SYST_CSR_CLKSOURCE (1u << 2) /* processor clock */
#define SYST_CSR_COUNTFLAG (1u << 16)
#define SYST_MAXIMUM 0xffffffu

#define NVIC_ISER ((volatile uint32_t *)0xe000e100u)
#define NVIC_ICER ((volatile uint32_t *)0xe000e180u)
#define NVIC_ICPR ((volatile uint32_t *)0xe000e280u)

#define SCB_VTOR (*(volatile uint32_t *)0xe000ed08u)
#define SCB_ICSR (*(volatile uint32_t *)0xe000ed04u)
#define SCB_ICSR_PENDSTCLR (1u << 25)
#define SCB_SCR (*(volatile uint32_t *)0xe000ed10u)
#define SCB_SCR_SLEEPDEEP (1u << 2)
#define SCB_CPACR (*(volatile uint32_t *)0xe000ed88u)
#define SCB_CPACR_FPU (0xfu << 20)

static inline void mask_interrupts(void)
{
    __asm volatile("cpsid i" ::: "memory");
}

static inline void unmask_interrupts(void)
{
    __asm volatile("cpsie i\n isb" ::: "memory");
}

/* Sleep until an enabled interrupt is pending, masked or not. */
static inline void wait_for_interrupt(void)
{
    __asm volatile("dsb\n wfi" ::: "memory");
}

#endif
