/* Stand-in for the SDK header of the accelerator's power domain registers. Written for synergyc. */
#ifndef SYNERGYC_STANDIN_GCFR_REGS_H
#define SYNERGYC_STANDIN_GCFR_REGS_H

#include <stdint.h>

#include "chip.h"

/* One bit for each quadrant: power, memory power, isolation, reset. */
typedef struct {
    volatile uint32_t reg0; /* 0x00: power */
    volatile uint32_t reg1; /* 0x04: memory power */
    volatile uint32_t reg2; /* 0x08: isolation */
    volatile uint32_t reg3; /* 0x0c: reset */
} mxc_gcfr_regs_t;

#define MXC_GCFR ((mxc_gcfr_regs_t *)CHIP_BASE_GCFR)

#endif
