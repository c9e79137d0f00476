/* Clocks, delays, sleep, timers, pins: the SDK calls of generated projects, on the real registers. */
#include <stdint.h>

#include "chip.h"
#include "cortex.h"
#include "mxc.h"
#include "runtime.h"

#define SUCCESS 0
#define BAD_PARAMETER (-3)

/* ---- Clocks ----------------------------------------------------------------------------------- */

#define CLKCTRL_DIVIDER(value) (((value) >> 6) & 7u)
#define CLKCTRL_SELECT_SHIFT 9
#define CLKCTRL_SELECT (7u << CLKCTRL_SELECT_SHIFT)
#define CLKCTRL_SYSCLK_READY (1u << 13)
#define CLKCTRL_READY_SHIFT 8 /* each oscillator's ready bit lies so far above its enable bit */

#define LPGCR_PCLKDIS (*(volatile uint32_t *)(CHIP_BASE_LPGCR + 0x0c))

uint32_t SystemCoreClock;

/* Enable bit of an oscillator in clkctrl; 0 for one that always runs. */
static uint32_t oscillator_enable(mxc_sys_system_clock_t clock)
{
    switch (clock) {
    case MXC_SYS_CLOCK_ERTCO:
        return 1u << 17;
    case MXC_SYS_CLOCK_ISO:
        return 1u << 18;
    case MXC_SYS_CLOCK_IPO:
        return 1u << 19;
    case MXC_SYS_CLOCK_IBRO:
        return 1u << 20;
    default:
        return 0;
    }
}

static uint32_t oscillator_hz(mxc_sys_system_clock_t clock)
{
    switch (clock) {
    case MXC_SYS_CLOCK_ISO:
        return CHIP_ISO_HZ;
    case MXC_SYS_CLOCK_INRO:
        return CHIP_INRO_HZ;
    case MXC_SYS_CLOCK_IBRO:
        return CHIP_IBRO_HZ;
    case MXC_SYS_CLOCK_ERTCO:
        return CHIP_ERTCO_HZ;
    default:
        return CHIP_IPO_HZ;
    }
}

void SystemCoreClockUpdate(void)
{
    const uint32_t control = MXC_GCR->clkctrl;
    const uint32_t select = (control & CLKCTRL_SELECT) >> CLKCTRL_SELECT_SHIFT;
    SystemCoreClock = oscillator_hz((mxc_sys_system_clock_t)select) >> CLKCTRL_DIVIDER(control);
}

int MXC_SYS_ClockSourceEnable(mxc_sys_system_clock_t clock)
{
    const uint32_t enable = oscillator_enable(clock);
    MXC_GCR->clkctrl |= enable;
    while ((MXC_GCR->clkctrl & (enable << CLKCTRL_READY_SHIFT)) != enable << CLKCTRL_READY_SHIFT) {
    }
    return SUCCESS;
}

int MXC_SYS_Clock_Select(mxc_sys_system_clock_t clock)
{
    MXC_SYS_ClockSourceEnable(clock);
    MXC_GCR->clkctrl = (MXC_GCR->clkctrl & ~CLKCTRL_SELECT) | ((uint32_t)clock << CLKCTRL_SELECT_SHIFT);
    while (!(MXC_GCR->clkctrl & CLKCTRL_SYSCLK_READY)) {
    }
    SystemCoreClockUpdate();
    return SUCCESS;
}

static volatile uint32_t *clock_gate(mxc_sys_periph_clock_t clock)
{
    if ((uint32_t)clock >= 64u) {
        return &LPGCR_PCLKDIS;
    }
    return (uint32_t)clock >= 32u ? &MXC_GCR->pclkdis1 : &MXC_GCR->pclkdis0;
}

void MXC_SYS_ClockEnable(mxc_sys_periph_clock_t clock)
{
    *clock_gate(clock) &= ~(1u << ((uint32_t)clock % 32u));
}

void MXC_SYS_ClockDisable(mxc_sys_periph_clock_t clock)
{
    *clock_gate(clock) |= 1u << ((uint32_t)clock % 32u);
}

/* ---- Cache, sleep, delays --------------------------------------------------------------------- */

#define ICC_ENABLE (1u << 0)
#define ICC_READY (1u << 16)

void MXC_ICC_Enable(mxc_icc_regs_t *icc)
{
    icc->invalidate = 1;
    while (!(icc->ctrl & ICC_READY)) {
    }
    icc->ctrl |= ICC_ENABLE;
}

/*
 * Sleep until an interrupt has been served, be it before the call. Projects test a flag that CNN_ISR sets and
 * then call this: with WFI alone, a network that is done between the two would never be noticed.
 */
void MXC_LP_EnterSleepMode(void)
{
    static uint32_t seen;
    SCB_SCR &= ~SCB_SCR_SLEEPDEEP;
    mask_interrupts();
    if (standin_interrupts == seen) {
        wait_for_interrupt();
    }
    unmask_interrupts();
    seen = standin_interrupts;
}

/* Sleep for `cycles` (2 to SYST_MAXIMUM) of the core; other interrupts are served meanwhile. */
static void sleep_cycles(uint32_t cycles)
{
    SYST_RVR = cycles - 1u;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_CLKSOURCE | SYST_CSR_TICKINT | SYST_CSR_ENABLE;
    for (;;) {
        mask_interrupts();
        if (SYST_CSR & SYST_CSR_COUNTFLAG) {
            break;
        }
        wait_for_interrupt();
        if (SYST_CSR & SYST_CSR_COUNTFLAG) {
            break;
        }
        unmask_interrupts();
    }
    SYST_CSR = 0;
    SCB_ICSR = SCB_ICSR_PENDSTCLR;
    unmask_interrupts();
}

int MXC_Delay(uint32_t microseconds)
{
    uint64_t cycles = (uint64_t)microseconds * SystemCoreClock / 1000000u;
    while (cycles > 1) {
        const uint32_t part = cycles < SYST_MAXIMUM ? (uint32_t)cycles : SYST_MAXIMUM;
        sleep_cycles(part);
        cycles -= part;
    }
    return SUCCESS;
}

/* ---- Timers ----------------------------------------------------------------------------------- */

#define TIMER_CONTINUOUS (1u << 0)
#define TIMER_CLOCK_ENABLE (1u << 14)
#define TIMER_ENABLE (1u << 15)
#define TIMER_CLOCK_READY (1u << 3)
#define TIMER_32_BITS (1u << 31)

void MXC_TMR_SW_Start(mxc_tmr_regs_t *timer)
{
    MXC_SYS_ClockEnable(timer == MXC_TMR0 ? MXC_SYS_PERIPH_CLOCK_TMR0 : MXC_SYS_PERIPH_CLOCK_TMR1);
    timer->ctrl0 = 0;
    timer->ctrl1 = TIMER_32_BITS;
    timer->ctrl0 = TIMER_CLOCK_ENABLE;
    while (!(timer->ctrl1 & TIMER_CLOCK_READY)) {
    }
    timer->cnt = 0;
    timer->cmp = UINT32_MAX;
    timer->ctrl0 = TIMER_CLOCK_ENABLE | TIMER_CONTINUOUS | TIMER_ENABLE;
}

/* Return the microseconds since the start. The timers count the peripheral clock, half the core's. */
unsigned int MXC_TMR_SW_Stop(mxc_tmr_regs_t *timer)
{
    const uint32_t ticks = timer->cnt;
    timer->ctrl0 &= ~TIMER_ENABLE;
    return (unsigned int)((uint64_t)ticks * 1000000u / (SystemCoreClock / 2u));
}

void MXC_TMR_Delay(mxc_tmr_regs_t *timer, unsigned long microseconds)
{
    (void)timer;
    MXC_Delay(microseconds);
}

/* ---- Pins and LEDs ---------------------------------------------------------------------------- */

int MXC_GPIO_Config(const mxc_gpio_cfg_t *pins)
{
    mxc_gpio_regs_t *const port = pins->port;
    switch (pins->func) {
    case MXC_GPIO_FUNC_IN:
        port->outen_clr = pins->mask;
        port->en0_set = pins->mask;
        return SUCCESS;
    case MXC_GPIO_FUNC_OUT:
        port->outen_set = pins->mask;
        port->en0_set = pins->mask;
        return SUCCESS;
    case MXC_GPIO_FUNC_ALT1:
        port->en2_clr = pins->mask;
        port->en1_clr = pins->mask;
        port->en0_clr = pins->mask;
        return SUCCESS;
    }
    return BAD_PARAMETER;
}

void MXC_GPIO_OutSet(mxc_gpio_regs_t *port, uint32_t mask)
{
    port->out_set = mask;
}

void MXC_GPIO_OutClr(mxc_gpio_regs_t *port, uint32_t mask)
{
    port->out_clr = mask;
}

/* As on the MAX78000FTHR: LED n is pin n of port 2, and lights when the pin is low. */
#define LEDS 3u

void LED_On(unsigned int index)
{
    MXC_GPIO_OutClr(MXC_GPIO2, 1u << index);
}

void LED_Off(unsigned int index)
{
    MXC_GPIO_OutSet(MXC_GPIO2, 1u << index);
}

void standin_board_init(void)
{
    const mxc_gpio_cfg_t leds = {MXC_GPIO2, (1u << LEDS) - 1u, MXC_GPIO_FUNC_OUT, MXC_GPIO_PAD_NONE};
    MXC_SYS_ClockEnable(MXC_SYS_PERIPH_CLOCK_GPIO0);
    MXC_SYS_ClockEnable(MXC_SYS_PERIPH_CLOCK_GPIO1);
    MXC_SYS_ClockEnable(MXC_SYS_PERIPH_CLOCK_GPIO2);
    MXC_GPIO_Config(&leds);
    for (unsigned int i = 0; i < LEDS; i++) {
        LED_Off(i);
    }
    standin_console_init();
}
