/* Power, clock and interrupt of the accelerator. */
#include "chip.h"
#include "cnn.h"
#include "device.h"
#include "port.h"
#include "port_events.h"

void cnn_handler(void)
{
    cnn_done_interrupt();
    port_signal_work();
}

static void delay_ms(uint32_t milliseconds)
{
    uint32_t began = port_ticks();
    while (port_ticks() - began < milliseconds * (PORT_TICK_HZ / 1000u)) {
    }
}

void port_cnn_power_up(uint32_t quadrant_mask)
{
    GCFR_RESET = GCFR_ALL_QUADRANTS;
    GCFR_MEMORY = quadrant_mask;
    GCFR_POWER = quadrant_mask;
    delay_ms(CNN_SWITCH_DELAY_MS);
    GCFR_ISOLATION = ~quadrant_mask & GCFR_ALL_QUADRANTS;
    GCFR_RESET = 0;
#if CNN_CLOCK_NEEDS_PLL
    GCR_IPLLCTRL |= IPLLCTRL_EN;
    port_wait_until_set(&GCR_IPLLCTRL, IPLLCTRL_RDY);
#endif
    port_cnn_clock(false);
    CNN_CLOCK_GATE &= ~CNN_CLOCK_GATE_BIT;
}

void port_cnn_power_down(void)
{
    CNN_CLOCK_GATE |= CNN_CLOCK_GATE_BIT;
    GCFR_RESET = GCFR_ALL_QUADRANTS;
    GCFR_ISOLATION |= GCFR_ALL_QUADRANTS;
    GCFR_POWER = 0;
    GCFR_MEMORY = 0;
    GCFR_RESET = 0;
}

void port_cnn_clock(bool inference)
{
    uint32_t clock = PCLKDIV_CNN_ACCESS;
    if (inference) {
        clock = PCLKDIV_CNN_INFERENCE;
    }
    GCR_PCLKDIV = (GCR_PCLKDIV & ~PCLKDIV_CNN_MASK) | clock;
}

void port_cnn_interrupt_enable(void)
{
    port_irq_enable(CNN_IRQ);
}
