/* printf to the board's console UART, and the other calls that the C library makes. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "chip.h"
#include "cortex.h"
#include "mxc.h"
#include "runtime.h"

typedef struct {
    volatile uint32_t ctrl;         /* 0x00 */
    volatile const uint32_t status; /* 0x04 */
    volatile uint32_t int_en;       /* 0x08 */
    volatile uint32_t int_fl;       /* 0x0c */
    volatile uint32_t clkdiv;       /* 0x10 */
    volatile uint32_t osr;          /* 0x14 */
    volatile uint32_t txpeek;       /* 0x18 */
    volatile uint32_t pnr;          /* 0x1c */
    volatile uint32_t fifo;         /* 0x20 */
} uart_regs_t;

#define CONSOLE ((uart_regs_t *)CHIP_BASE_CONSOLE)
#define CTRL_TX_FLUSH (1u << 8)
#define CTRL_RX_FLUSH (1u << 9)
#define CTRL_8_BITS (3u << 10)
#define CTRL_CLOCK_ENABLE (1u << 15)
#define CTRL_CLOCK_IBRO (2u << 16) /* does not change with the system clock */
#define CTRL_CLOCK_READY (1u << 19)
#define STATUS_TX_BUSY (1u << 0)
#define STATUS_TX_FULL (1u << 7)
#define INT_TX_HALF_EMPTY (1u << 6)

void standin_console_init(void)
{
    const mxc_gpio_cfg_t pins = {
        (mxc_gpio_regs_t *)CHIP_BASE_CONSOLE_PORT, CHIP_CONSOLE_PINS, MXC_GPIO_FUNC_ALT1, MXC_GPIO_PAD_NONE};
    MXC_GPIO_Config(&pins);
    MXC_SYS_ClockSourceEnable(MXC_SYS_CLOCK_IBRO);
    MXC_SYS_ClockEnable(MXC_SYS_PERIPH_CLOCK_UART0);
    CONSOLE->ctrl = CTRL_TX_FLUSH | CTRL_RX_FLUSH;
    CONSOLE->clkdiv = CHIP_IBRO_HZ / CHIP_CONSOLE_BD;
    CONSOLE->ctrl = CTRL_8_BITS | CTRL_CLOCK_IBRO | CTRL_CLOCK_ENABLE;
    while (!(CONSOLE->ctrl & CTRL_CLOCK_READY)) {
    }
    NVIC_ISER[CONSOLE_IRQn / 32] = 1u << (CONSOLE_IRQn % 32);
}

/* Sleep until the FIFO has room: the interrupt wakes the core but stays masked, so nobody has to take it. */
static void wait_for_room(void)
{
    CONSOLE->int_fl = INT_TX_HALF_EMPTY;
    CONSOLE->int_en = INT_TX_HALF_EMPTY;
    mask_interrupts();
    if (CONSOLE->status & STATUS_TX_FULL) {
        wait_for_interrupt();
    }
    CONSOLE->int_en = 0;
    CONSOLE->int_fl = INT_TX_HALF_EMPTY;
    NVIC_ICPR[CONSOLE_IRQn / 32] = 1u << (CONSOLE_IRQn % 32);
    unmask_interrupts();
}

void standin_console_drain(void)
{
    while (CONSOLE->status & STATUS_TX_BUSY) {
    }
}

int _write(int file, const char *text, int size)
{
    (void)file;
    for (int i = 0; i < size; i++) {
        while (CONSOLE->status & STATUS_TX_FULL) {
            wait_for_room();
        }
        CONSOLE->fifo = (uint8_t)text[i];
    }
    return size;
}

int _read(int file, char *text, int size)
{
    (void)file;
    (void)text;
    (void)size;
    return 0;
}

int _close(int file)
{
    (void)file;
    return -1;
}

int _lseek(int file, int offset, int origin)
{
    (void)file;
    (void)offset;
    (void)origin;
    return 0;
}

int _fstat(int file, struct stat *status)
{
    (void)file;
    status->st_mode = S_IFCHR;
    return 0;
}

int _isatty(int file)
{
    (void)file;
    return 1;
}

void *_sbrk(ptrdiff_t size)
{
    extern char standin_heap_start[];
    extern char standin_heap_end[];
    static char *end = standin_heap_start;
    if (size > standin_heap_end - end) {
        errno = ENOMEM;
        return (void *)-1;
    }
    char *const block = end;
    end += size;
    return block;
}
