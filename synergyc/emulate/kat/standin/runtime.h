/* What the files of the stand-in runtime share, and what `synergyc kat` looks up in the symbol table. */
#ifndef SYNERGYC_STANDIN_RUNTIME_H
#define SYNERGYC_STANDIN_RUNTIME_H

#include <stdint.h>

/* Result of main (0 to 255), or this plus the number of an exception that nobody handles. */
#define STANDIN_STATUS_EXCEPTION 0x100

/* The run is over when the processor is in here; standin_status then holds the result. */
void standin_halt(void);
extern volatile int standin_status;

/* Interrupts served so far. */
extern volatile uint32_t standin_interrupts;

void standin_board_init(void);
void standin_console_init(void);
void standin_console_drain(void);

#endif
