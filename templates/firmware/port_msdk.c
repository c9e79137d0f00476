/* Clocks, cache, timers and watchdog by the drivers of the vendor's SDK. The UARTs are in uart_msdk.c. */
#include "icc.h"
#include "mxc_device.h"
#include "mxc_sys.h"
#include "tmr.h"
#include "trng.h"
#include "wdt.h"

#include "device.h"
#include "port.h"
#include "port_events.h"

/* How often the main loop wakes when nothing happens: what is due waits no longer. */
#define WAKE_HZ 500u

/* One timer of 32 bits, counting the peripheral clock. */
static void start_timer(mxc_tmr_regs_t *timer, mxc_tmr_mode_t mode, uint32_t compare)
{
    mxc_tmr_cfg_t settings = {
        .pres = TMR_PRES_1,
        .mode = mode,
        .bitMode = TMR_BIT_MODE_32,
        .clock = MXC_TMR_APB_CLK,
        .cmp_cnt = compare,
    };
    (void)MXC_TMR_Init(timer, &settings, false);
    MXC_TMR_Start(timer);
}

/* Resets after 2^26 ticks of the peripheral clock, more than a second. */
static void start_watchdog(void)
{
    mxc_wdt_cfg_t settings = {.mode = MXC_WDT_COMPATIBILITY, .upperResetPeriod = MXC_WDT_PERIOD_2_26};
    (void)MXC_WDT_Init(MXC_WDT0, &settings);
    MXC_WDT_SetResetPeriod(MXC_WDT0, &settings);
    MXC_WDT_EnableReset(MXC_WDT0);
    MXC_WDT_Enable(MXC_WDT0);
    port_alive();
}

void port_irq_enable(uint32_t irq)
{
    NVIC_ClearPendingIRQ((IRQn_Type)irq);
    NVIC_EnableIRQ((IRQn_Type)irq);
}

void port_init(void)
{
    (void)MXC_SYS_Clock_Select(MXC_SYS_CLOCK_IPO);
    MXC_ICC_Enable(MXC_ICC0);
    start_timer(MXC_TMR0, TMR_MODE_COMPARE, 0);
    start_timer(MXC_TMR1, TMR_MODE_CONTINUOUS, PORT_TICK_HZ / WAKE_HZ);
    MXC_TMR_EnableInt(MXC_TMR1);
    port_irq_enable(TMR1_IRQn);
    start_watchdog();
    __enable_irq();
}

uint32_t port_ticks(void)
{
    return MXC_TMR_GetCount(MXC_TMR0);
}

bool port_random(uint8_t *bytes, size_t count)
{
    return MXC_TRNG_Init() == E_NO_ERROR && MXC_TRNG_Random(bytes, count) == E_NO_ERROR;
}

void port_alive(void)
{
    MXC_WDT_ResetTimer(MXC_WDT0);
}

void wake_timer_handler(void)
{
    MXC_TMR_ClearFlags(MXC_TMR1);
    port_uart_collect();
    port_signal_work(); /* something may have become due */
}
