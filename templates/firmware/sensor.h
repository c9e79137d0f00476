/* Sensor drivers: where an app's samples come from. A driver is one file, sensor_<driver>.c, and never waits. */
#ifndef SENSOR_H
#define SENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "framing.h"
#include "queue.h"

typedef struct {
    /* The sample of run `run`: in flash, or written to queue_next(out). NULL if there is none yet. Called again
     * and again until there is one, only while `out` has room. */
    const uint32_t *(*take)(void *state, const queue_t *out, uint32_t run);
    /* Takes a frame of kind SAMPLE that a host sent over the console; false if it is of no use. NULL: takes none. */
    bool (*accept)(void *state, const queue_t *out, const frame_t *frame);
    void *state;
} sensor_t;

/* replay: delivers the samples in flash, again and again. */
typedef struct {
    const uint32_t *samples; /* each of the queue's size, in the layout of its reader */
    const volatile uint32_t *sample_count;
    uint32_t next;
} sensor_replay_t;

const uint32_t *sensor_replay_take(void *state, const queue_t *out, uint32_t run);

/* host: asks a host at the console for each sample, piece by piece. */
typedef struct {
    const char *app;
    uint8_t number; /* of the sensor on this device; the stream of its frames */
    bool asking;
    uint16_t piece; /* the next one */
    uint32_t run, asked_ticks;
} sensor_host_t;

const uint32_t *sensor_host_take(void *state, const queue_t *out, uint32_t run);
bool sensor_host_accept(void *state, const queue_t *out, const frame_t *frame);

#endif
