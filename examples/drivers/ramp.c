/* A sensor driver of one's own, for `sense: {sensor: ..., driver: drivers/ramp.c}` in an app file.
 *
 * This one needs no hardware: each sample is a ramp that moves on with every run. One for a real sensor would start
 * a transfer when it is called first, return NULL until the transfer is complete, and then put its values in. */
#include "sensor.h"

const uint32_t *sensor_ramp_take(void *state, const queue_t *out, uint32_t run)
{
    const sensor_format_t *format = state;
    uint32_t *sample = queue_next(out);
    for (uint32_t i = 0; i < format->values; i++) { /* a real one would put in whole rows, or what DMA has filled */
        int8_t value = (int8_t)(7u * run + i);
        format->prepare(&value, i, 1, sample);
    }
    return sample;
}
