/* Replicas: several devices run an app's whole network, each run is inferred by one of them.
 *
 * The device that senses deals runs out to lanes, one for each replica; on the device that interacts the lanes come
 * together again. Only in images that have such lanes. */
#ifndef REPLICAS_H
#define REPLICAS_H

#include <stdbool.h>
#include <stdint.h>

#include "queue.h"
#include "tasks.h"

/* Gives a sensor the next lane for each sample. */
typedef struct {
    sense_t *sense;
    queue_t *const *lanes;
    uint8_t lane_count;
    uint8_t turn;  /* the lane that the sensor has, */
    uint32_t run;  /* for this run */
    uint8_t ended; /* other lanes that were told that no more runs come */
} deal_t;

/* Where the results of one replica come in. */
typedef struct {
    queue_t *queue;
    bool silent; /* it had nothing for too long, or has ended: not waited for */
} merge_lane_t;

/* Passes results on in the order of their runs. */
typedef struct {
    merge_lane_t *lanes;
    uint8_t lane_count;
    queue_t *out;        /* for one result, which stays in its lane's queue until it is taken */
    uint32_t wait_ticks; /* an earlier run is waited for no longer */
    merge_lane_t *from;  /* of the result that is in `out`; NULL: none is */
    uint32_t next_run;
    bool waiting; /* for an earlier run, */
    uint32_t since_ticks;
} merge_t;

/* The next lane in turn that has room; one whose device is slow or lost is passed over. Before sense_poll. */
bool deal_poll(deal_t *deal);

/* Begins anew with the first lane, which the sensor has been given. */
void deal_restart(deal_t *deal);

bool merge_poll(merge_t *merge);

/* Begins anew with empty lanes. */
void merge_restart(merge_t *merge);

#endif
