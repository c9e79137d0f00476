/*
 * Stand-in for the SDK's umbrella header: the names that generated CNN projects use, and no more.
 *
 * Written for synergyc from the published register descriptions; base addresses and clock rates come
 * from chip.h, which is rendered from synergyc's description of the chip.
 */
#ifndef SYNERGYC_STANDIN_MXC_H
#define SYNERGYC_STANDIN_MXC_H

#include <stdint.h>

#include "chip.h"

/* ---- Time ------------------------------------------------------------------------------------- */

#define USEC(us) (us)
#define MSEC(ms) ((ms) * 1000ul)
#define SEC(s) ((s) * 1000000ul)

int MXC_Delay(uint32_t microseconds);

/* ---- Clocks ----------------------------------------------------------------------------------- */

/* Global control registers. ipll_ctrl exists on chips with the internal PLL only. */
typedef struct {
    volatile uint32_t sysctrl;  /* 0x00 */
    volatile uint32_t rst0;     /* 0x04 */
    volatile uint32_t clkctrl;  /* 0x08 */
    volatile uint32_t pm;       /* 0x0c */
#if CHIP_HAS_IPLL
    volatile uint32_t ipll_ctrl; /* 0x10 */
#else
    const uint32_t reserved_10;
#endif
    const uint32_t reserved_14;
    volatile uint32_t pclkdiv; /* 0x18 */
    const uint32_t reserved_1c[2];
    volatile uint32_t pclkdis0; /* 0x24 */
    volatile uint32_t memctrl;  /* 0x28 */
    volatile uint32_t memz;     /* 0x2c */
    const uint32_t reserved_30[4];
    volatile uint32_t sysst;    /* 0x40 */
    volatile uint32_t rst1;     /* 0x44 */
    volatile uint32_t pclkdis1; /* 0x48 */
} mxc_gcr_regs_t;

#define MXC_GCR ((mxc_gcr_regs_t *)CHIP_BASE_GCR)

#define MXC_F_GCR_PCLKDIV_CNNCLKDIV (7u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV2 (0u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV4 (1u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV8 (2u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV16 (3u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV1 (4u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKSEL_PCLK (0u << 17)
#define MXC_S_GCR_PCLKDIV_CNNCLKSEL_ISO (1u << 17)
#if CHIP_HAS_IPLL
#define MXC_F_GCR_PCLKDIV_CNNCLKSEL (3u << 17)
#define MXC_S_GCR_PCLKDIV_CNNCLKSEL_IPLL (3u << 17)
#define MXC_F_GCR_IPLL_CTRL_EN (1u << 0)
#define MXC_F_GCR_IPLL_CTRL_RDY (1u << 1)
#else
#define MXC_F_GCR_PCLKDIV_CNNCLKSEL (1u << 17)
#endif

/* Values are those of the SYSCLK_SEL field of clkctrl. */
typedef enum {
    MXC_SYS_CLOCK_ISO = 0,
    MXC_SYS_CLOCK_INRO = 3,
    MXC_SYS_CLOCK_IPO = 4,
    MXC_SYS_CLOCK_IBRO = 5,
    MXC_SYS_CLOCK_ERTCO = 6,
} mxc_sys_system_clock_t;

/* Bits of pclkdis0, then (from 32) of pclkdis1, then (from 64) of the low-power block's pclkdis. */
typedef enum {
    MXC_SYS_PERIPH_CLOCK_GPIO0 = 0,
    MXC_SYS_PERIPH_CLOCK_GPIO1 = 1,
    MXC_SYS_PERIPH_CLOCK_UART0 = 9,
    MXC_SYS_PERIPH_CLOCK_TMR0 = 15,
    MXC_SYS_PERIPH_CLOCK_TMR1 = 16,
    MXC_SYS_PERIPH_CLOCK_CNN = 25,
    MXC_SYS_PERIPH_CLOCK_GPIO2 = 64,
} mxc_sys_periph_clock_t;

extern uint32_t SystemCoreClock;

void SystemCoreClockUpdate(void);
int MXC_SYS_Clock_Select(mxc_sys_system_clock_t clock);
int MXC_SYS_ClockSourceEnable(mxc_sys_system_clock_t clock);
void MXC_SYS_ClockEnable(mxc_sys_periph_clock_t clock);
void MXC_SYS_ClockDisable(mxc_sys_periph_clock_t clock);

/* ---- Cache, sleep, interrupts ----------------------------------------------------------------- */

typedef struct {
    volatile const uint32_t info; /* 0x000 */
    volatile const uint32_t sz;   /* 0x004 */
    const uint32_t reserved_008[62];
    volatile uint32_t ctrl; /* 0x100 */
    const uint32_t reserved_104[383];
    volatile uint32_t invalidate; /* 0x700 */
} mxc_icc_regs_t;

#define MXC_ICC0 ((mxc_icc_regs_t *)CHIP_BASE_ICC0)

void MXC_ICC_Enable(mxc_icc_regs_t *icc);

void MXC_LP_EnterSleepMode(void);

typedef enum {
    CONSOLE_IRQn = CHIP_IRQ_CONSOLE,
    CNN_IRQn = CHIP_IRQ_CNN,
} IRQn_Type;

void MXC_NVIC_SetVector(IRQn_Type interrupt, void (*handler)(void));

/* ---- Timers ----------------------------------------------------------------------------------- */

typedef struct {
    volatile uint32_t cnt;    /* 0x00 */
    volatile uint32_t cmp;    /* 0x04 */
    volatile uint32_t pwm;    /* 0x08 */
    volatile uint32_t intfl;  /* 0x0c */
    volatile uint32_t ctrl0;  /* 0x10 */
    volatile uint32_t nolcmp; /* 0x14 */
    volatile uint32_t ctrl1;  /* 0x18 */
    volatile uint32_t wkfl;   /* 0x1c */
} mxc_tmr_regs_t;

#define MXC_TMR0 ((mxc_tmr_regs_t *)CHIP_BASE_TMR0)
#define MXC_TMR1 ((mxc_tmr_regs_t *)CHIP_BASE_TMR1)

void MXC_TMR_SW_Start(mxc_tmr_regs_t *timer);
unsigned int MXC_TMR_SW_Stop(mxc_tmr_regs_t *timer);
void MXC_TMR_Delay(mxc_tmr_regs_t *timer, unsigned long microseconds);

/* ---- Pins and LEDs ---------------------------------------------------------------------------- */

typedef struct {
    volatile uint32_t en0;       /* 0x00 */
    volatile uint32_t en0_set;   /* 0x04 */
    volatile uint32_t en0_clr;   /* 0x08 */
    volatile uint32_t outen;     /* 0x0c */
    volatile uint32_t outen_set; /* 0x10 */
    volatile uint32_t outen_clr; /* 0x14 */
    volatile uint32_t out;       /* 0x18 */
    volatile uint32_t out_set;   /* 0x1c */
    volatile uint32_t out_clr;   /* 0x20 */
    const uint32_t reserved_24[17];
    volatile uint32_t en1;     /* 0x68 */
    volatile uint32_t en1_set; /* 0x6c */
    volatile uint32_t en1_clr; /* 0x70 */
    volatile uint32_t en2;     /* 0x74 */
    volatile uint32_t en2_set; /* 0x78 */
    volatile uint32_t en2_clr; /* 0x7c */
} mxc_gpio_regs_t;

#define MXC_GPIO0 ((mxc_gpio_regs_t *)CHIP_BASE_GPIO0)
#define MXC_GPIO1 ((mxc_gpio_regs_t *)CHIP_BASE_GPIO1)
#define MXC_GPIO2 ((mxc_gpio_regs_t *)CHIP_BASE_GPIO2)

#define MXC_GPIO_PIN_0 (1u << 0)
#define MXC_GPIO_PIN_1 (1u << 1)
#define MXC_GPIO_PIN_2 (1u << 2)
#define MXC_GPIO_PIN_3 (1u << 3)
#define MXC_GPIO_PIN_4 (1u << 4)
#define MXC_GPIO_PIN_5 (1u << 5)
#define MXC_GPIO_PIN_6 (1u << 6)
#define MXC_GPIO_PIN_7 (1u << 7)

typedef enum { MXC_GPIO_PAD_NONE } mxc_gpio_pad_t;

typedef enum { MXC_GPIO_FUNC_IN, MXC_GPIO_FUNC_OUT, MXC_GPIO_FUNC_ALT1 } mxc_gpio_func_t;

typedef struct {
    mxc_gpio_regs_t *port;
    uint32_t mask;
    mxc_gpio_func_t func;
    mxc_gpio_pad_t pad;
} mxc_gpio_cfg_t;

int MXC_GPIO_Config(const mxc_gpio_cfg_t *pins);
void MXC_GPIO_OutSet(mxc_gpio_regs_t *port, uint32_t mask);
void MXC_GPIO_OutClr(mxc_gpio_regs_t *port, uint32_t mask);

void LED_On(unsigned int index);
void LED_Off(unsigned int index);

/* ---- CMSIS-NN --------------------------------------------------------------------------------- */

/* The vendor's generator calls this for 8-bit outputs but includes no header that declares it. */
typedef int8_t q7_t;

void arm_softmax_q7_q15(const q7_t *values, uint16_t count, int16_t *probabilities);

#endif
