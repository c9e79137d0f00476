/* Uses the vendor's own drivers: console, delays, timers, LEDs, asynchronous UART, random numbers. */
#include <stdio.h>

#include "board.h"
#include "icc.h"
#include "led.h"
#include "mxc_delay.h"
#include "mxc_device.h"
#include "mxc_sys.h"
#include "nvic_table.h"
#include "tmr.h"
#include "trng.h"
#include "uart.h"

static volatile int ticks, result = -1;
static unsigned char received[5];

static void on_timer(void)
{
    MXC_TMR_ClearFlags(MXC_TMR1);
    ticks++;
}

static void on_transfer(mxc_uart_req_t *request, int error)
{
    (void)request;
    result = error;
}

void UART2_IRQHandler(void)
{
    MXC_UART_AsyncHandler(MXC_UART2);
}

int main(void)
{
    MXC_ICC_Enable(MXC_ICC0);
    MXC_SYS_Clock_Select(MXC_SYS_CLOCK_IPO);
    SystemCoreClockUpdate();
    printf("clock %lu\n", (unsigned long)SystemCoreClock);

    MXC_TMR_SW_Start(MXC_TMR0);
    MXC_Delay(MSEC(3));
    printf("delay %u\n", MXC_TMR_SW_Stop(MXC_TMR0));

    mxc_tmr_cfg_t timer = {
        .pres = TMR_PRES_1,
        .mode = TMR_MODE_CONTINUOUS,
        .bitMode = TMR_BIT_MODE_32,
        .clock = MXC_TMR_APB_CLK,
        .cmp_cnt = 50000,
    };
    MXC_NVIC_SetVector(TMR1_IRQn, on_timer);
    NVIC_EnableIRQ(TMR1_IRQn);
    MXC_TMR_Init(MXC_TMR1, &timer, false);
    MXC_TMR_EnableInt(MXC_TMR1);
    MXC_TMR_Start(MXC_TMR1);
    while (ticks < 5) {
        __WFI();
    }
    MXC_TMR_Shutdown(MXC_TMR1);
    printf("float %d\n", (int)(1000 * 3.14159f * ticks));
    LED_On(1);

    MXC_UART_Init(MXC_UART2, 115200, MXC_UART_APB_CLK);
    NVIC_EnableIRQ(UART2_IRQn);
    unsigned char sent[] = "ping!";
    mxc_uart_req_t request = {
        .uart = MXC_UART2,
        .txData = sent,
        .txLen = 5,
        .rxData = received,
        .rxLen = 5,
        .callback = on_transfer,
    };
    MXC_UART_TransactionAsync(&request);
    while (result < 0) {
        __WFI();
    }
    printf("uart %d %.5s\n", result, received);

    unsigned int number = 0;
    MXC_TRNG_Init();
    MXC_TRNG_Random((unsigned char *)&number, sizeof number);
    printf("random %d\n", number != 0);
    return 0;
}

/* What newlib and the board's power controller would need. */
void _exit(int code)
{
    (void)code;
    for (;;) {
    }
}

int _kill(int process, int signal)
{
    (void)process, (void)signal;
    return -1;
}

int _getpid(void)
{
    return 1;
}

int max20303_init(void *bus)
{
    (void)bus;
    return 0;
}

int max20303_camera_power(int on)
{
    (void)on;
    return 0;
}

int max20303_mic_power(int on)
{
    (void)on;
    return 0;
}

int max20303_sd_power(int on)
{
    (void)on;
    return 0;
}
