/* The tasks of a device, joined by queues: sense, infer (load, run, unload), interact.
 * Sending and receiving are the links' (link.h). A poll does what can be done at once. */
#ifndef TASKS_H
#define TASKS_H

#include <stdbool.h>
#include <stdint.h>

#include "cnn.h"
#include "queue.h"
#include "sensor.h"
#include "timing.h"

/* When the last runs were sensed, for a debugger (or the emulator) that reads it along: entry
 * `count % SENSE_LOG_ENTRIES` is the next one to be written. */
#define SENSE_LOG_ENTRIES 32u
typedef struct {
    volatile uint32_t count;
    struct {
        uint32_t run, ticks;
    } entries[SENSE_LOG_ENTRIES];
} sense_log_t;

/* Delivers what a sensor gives. */
typedef struct {
    const char *app;
    queue_t *out; /* NULL: not in the plan in force */
    sensor_t sensor;
    const volatile uint32_t *open_runs; /* runs before this one may be sensed */
    sense_log_t *log;
    uint64_t period_ticks; /* 0: as fast as the readers take them */
    uint64_t waited_ticks; /* since the last sample was due, until `looked_ticks` */
    uint32_t looked_ticks;
    uint32_t next_run;
    bool ended;
    timing_t timing;
} sense_t;

/* Words that a segment does not read but a later one does: from its input queue to its output queue. */
typedef struct {
    uint32_t from, to, words;
} passed_t;

typedef struct {
    timing_t load, inference, unload;
} infer_timings_t;

/* One segment of an app's network on this device's accelerator. */
typedef struct {
    const char *app;
    const cnn_segment_t *segment;
    const cnn_set_t *set; /* that has to be loaded for a run */
    queue_t *in, *out;
    const passed_t *passed;
    uint8_t passed_count;
    const uint32_t *known_input; /* for the self-test at boot; NULL: none */
    uint32_t known_crc;          /* of the output's words */
    int8_t priority;
    uint32_t run; /* that is being inferred */
    bool ended;
    infer_timings_t *timings;
} infer_t;

/* Delivers results; on every board the console is the actuator. */
typedef struct {
    const char *app;
    queue_t *in;
    const cnn_segment_t *held; /* whose result stays in the accelerator until it is written; NULL: it is in RAM */
    uint32_t words_written; /* of the tensor that is being written */
    uint32_t began_ticks;
    bool writing, ended;
    timing_t timing;
} interact_t;

bool sense_poll(sense_t *sense);

/* Gives a sensor another queue, NULL: none; what it has begun is void. */
void sense_restart(sense_t *sense, queue_t *out);

/* Loads the first residency set, and runs the known answers of all segments where there are any. */
void infer_open(void);

/* Waits for the run that is under way, and forgets it: true if there was one. */
bool infer_stop(void);

/* Begins anew with the device's segments, which have changed; the first one's residency set is loaded at once:
 * links carry nothing before. */
void infer_restart(void);

/* Serves all segments of the device: takes a result from the accelerator, loads a part of another residency
 * set, or starts the next run. */
bool infer_poll(void);

/* True while a segment runs, or weights are being loaded. */
bool infer_is_busy(void);

/* How often another residency set was loaded since boot, and how long it took until its first run. */
const timing_t *infer_swaps(void);

bool interact_poll(interact_t *interact);

/* Begins anew; a result that is being written is given up. */
void interact_restart(interact_t *interact);

#endif
