/* The tasks of a device, joined by queues: sense, infer (load, run, unload), interact.
 * Sending and receiving are the links' (link.h). A poll does what can be done at once. */
#ifndef TASKS_H
#define TASKS_H

#include <stdbool.h>
#include <stdint.h>

#include "cnn.h"
#include "queue.h"

/* How often something was done, and how long it took. */
typedef struct {
    uint32_t count, longest_ticks;
    uint64_t ticks;
} timing_t;

/* A replay sensor: delivers the samples in flash, again and again. */
typedef struct {
    const char *app;
    queue_t *out;
    const uint32_t *samples; /* each of the queue's size, in the layout of its reader */
    const volatile uint32_t *sample_count;
    uint32_t next_run, next_sample;
    bool ended;
    timing_t timing;
} sense_t;

/* One segment of an app's network on this device's accelerator. */
typedef struct {
    const char *app;
    const cnn_segment_t *segment;
    queue_t *in, *out;
    uint32_t run; /* that is being inferred */
    bool ended;
    timing_t load, inference, unload;
} infer_t;

/* Delivers results; on every board the console is the actuator. */
typedef struct {
    const char *app;
    queue_t *in;
    uint32_t words_written; /* of the tensor that is being written */
    uint32_t began_ticks;
    bool writing, ended;
    timing_t timing;
} interact_t;

bool sense_poll(sense_t *sense);

/* Loads the segment's weights, unless the accelerator holds them already. */
void infer_preload(const infer_t *infer);

bool infer_poll(infer_t *infer);
bool interact_poll(interact_t *interact);

#endif
