/* Where the accelerator has the values of a tensor. */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* Value i, in C order, is at byte `firsts[i / columns]` of the tensor's words, and `step_bytes` further for each
 * of `i % columns`. */
typedef struct {
    const uint32_t *firsts;
    uint32_t columns, step_bytes;
    bool wide; /* values of 32 bits, else of 8 */
} values_layout_t;

static inline uint32_t values_byte(const values_layout_t *layout, uint32_t index)
{
    return layout->firsts[index / layout->columns] + index % layout->columns * layout->step_bytes;
}

#endif
