/* From values in the order in which a sensor delivers them to the words that the accelerator reads. */
#ifndef PREPARE_H
#define PREPARE_H

#include <stdint.h>

#include "values.h"

/* An axis of the sensor's own shape, and what each place along it adds to the index of a value in the network's
 * input. */
typedef struct {
    uint32_t size;
    const uint32_t *places;
} prepare_axis_t;

/* Samples of unsigned bytes are normalized: (byte * factor + term) >> FACTOR_BITS, clipped to 8 bits. */
typedef struct {
    int32_t factor, term;
} prepare_factor_t;

typedef struct {
    const prepare_axis_t *axes; /* the outermost first */
    uint32_t axis_count;
    const values_layout_t *layout;
    uint32_t words; /* of the network's input */
    const prepare_factor_t *factors; /* by channel of the network's input; NULL: values stay as they are */
    uint32_t pixels;                 /* of a channel */
} prepare_t;

/* Puts `count` values of a sample, from value `first` on, where the accelerator reads them. A sample may come in
 * pieces; the one that begins at 0 is the first, and clears what no value is put into. */
void prepare_values(
    const prepare_t *prepare, const int8_t *values, uint32_t first, uint32_t count, uint32_t *words);

#endif
