/* What a host says over the console: frames as on a link (framing.h). Everything else is ignored and counted. */
#ifndef CONSOLE_INPUT_H
#define CONSOLE_INPUT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t damaged_frames; /* random bytes are frames whose CRC is wrong */
    uint32_t foreign_frames; /* of another plan, or that nobody asked for */
} console_input_counts_t;

/* Takes what was received; true if more can be done at once. */
bool console_input_poll(void);

console_input_counts_t console_input_counts(void);

#endif
