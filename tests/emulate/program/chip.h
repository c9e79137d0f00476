/* Registers of the MAX78000 that the test programs use, named as in the MSDK, and small helpers. */
#pragma once
#include <stdint.h>
#define REG(address) (*(volatile uint32_t *)(address))
#define CLKCTRL REG(0x40000008)
#define PCLKDIS0 REG(0x40000024)
#define PCLKDIS1 REG(0x40000048)
#define UART(n, offset) REG(((n) == 0 ? 0x40042000 : (n) == 1 ? 0x40043000 : 0x40044000) + (offset))
#define TMR(n, offset) REG(0x40010000 + 0x1000 * (n) + (offset))
#define NVIC_ISER(irq) REG(0xE000E100 + (irq) / 32 * 4) = 1u << (irq) % 32
#define NVIC_ISPR(irq) REG(0xE000E200 + (irq) / 32 * 4) = 1u << (irq) % 32
#define NVIC_PRIORITY(irq, value) (*(volatile uint8_t *)(0xE000E400 + (irq)) = (value) << 5)
#define ICSR REG(0xE000ED04)
#define CPACR REG(0xE000ED88)
#define CYCLES REG(0xE0001004)
#define WFI() __asm volatile("wfi" ::: "memory")
#define BARRIER() __asm volatile("dsb\n isb" ::: "memory")

static inline void run_at_100_mhz(void) {
  CLKCTRL |= 1u << 19;
  while (!(CLKCTRL & 1u << 27)) {}
  CLKCTRL = (CLKCTRL & ~(7u << 9)) | 4u << 9;
}

static inline void cycle_counter_on(void) { REG(0xE000EDFC) = 1u << 24; CYCLES = 0; REG(0xE0001000) = 1; }

static inline void uart_open(int n, uint32_t divider) {
  if (n == 2) PCLKDIS1 &= ~(1u << 1); else PCLKDIS0 &= ~(1u << (9 + n));
  UART(n, 0x00) = 3u << 10 | 1;
  UART(n, 0x10) = divider;
  UART(n, 0x00) |= 1u << 15;
}

static inline void uart_put(int n, uint8_t byte) {
  while (UART(n, 4) & 1u << 7) {}
  UART(n, 0x20) = byte;
}

static inline void put_text(const char *text) { while (*text) uart_put(0, *text++); }

static inline void put_hex(uint32_t value) {
  for (int shift = 28; shift >= 0; shift -= 4) uart_put(0, "0123456789abcdef"[value >> shift & 15]);
  uart_put(0, '\n');
}

static inline void timer_start(int n, uint32_t compare, uint32_t mode, uint32_t interrupt) {
  PCLKDIS0 &= ~(1u << (15 + n));
  TMR(n, 0x10) = 0;
  TMR(n, 0x18) = 1u << 31 | interrupt << 8;
  TMR(n, 0x10) = mode | 1u << 14;
  TMR(n, 0x00) = 1;
  TMR(n, 0x04) = compare;
  TMR(n, 0x0C) = 1;
  TMR(n, 0x10) |= 1u << 15;
}
