/* Vectors and start-up of the test programs; a handler that a program does not define is a branch to itself. */
#include <stdint.h>

extern uint32_t stack_top[], data_start[], data_end[], data_load[], bss_start[], bss_end[];
int main(void);

__attribute__((noreturn)) void reset_handler(void) {
  for (uint32_t *from = data_load, *to = data_start; to < data_end;) *to++ = *from++;
  for (uint32_t *to = bss_start; to < bss_end;) *to++ = 0;
  main();
  __asm volatile("cpsid i");
  for (;;) __asm volatile("wfi");
}

__attribute__((naked)) void default_handler(void) { __asm volatile("b ."); }
#define HANDLER(name) void name(void) __attribute__((weak, alias("default_handler")))
HANDLER(hard_fault_handler); HANDLER(bus_fault_handler); HANDLER(usage_fault_handler); HANDLER(svc_handler);
HANDLER(pend_sv_handler); HANDLER(sys_tick_handler); HANDLER(uart0_handler); HANDLER(uart2_handler);
HANDLER(tmr0_handler); HANDLER(tmr1_handler); HANDLER(tmr2_handler); HANDLER(cnn_handler); HANDLER(dma0_handler);
HANDLER(gpio0_handler); HANDLER(wdt0_handler);
__attribute__((section(".isr_vector"), used)) static const void *const vectors[16 + 120] = {
  [0] = stack_top, [1] = reset_handler, [2] = default_handler, [3] = hard_fault_handler, [4] = default_handler,
  [5] = bus_fault_handler, [6] = usage_fault_handler, [11] = svc_handler, [14] = pend_sv_handler,
  [15] = sys_tick_handler, [16 + 1] = wdt0_handler, [16 + 5] = tmr0_handler, [16 + 6] = tmr1_handler,
  [16 + 7] = tmr2_handler, [16 + 14] = uart0_handler, [16 + 24] = gpio0_handler, [16 + 28] = dma0_handler,
  [16 + 34] = uart2_handler, [16 + 101] = cnn_handler,
};
