#ifndef TIMING_H
#define TIMING_H

#include <stdint.h>

/* How often something was done, and how long it took. */
typedef struct {
    uint32_t count, longest_ticks;
    uint64_t ticks;
} timing_t;

void timing_add(timing_t *timing, uint32_t began_ticks, uint32_t ended_ticks);

#endif
