/* Several plans in one image: which one is in force, and the change to another one when devices come or go.
 *
 * All devices that hear of each other choose the same plan, by the same table of who must be there for it. At a
 * change the tasks of the plan before stop, and what is under way is dropped and counted. */
#ifndef FALLBACK_H
#define FALLBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "presence.h"
#include "tail.h"
#include "tasks.h"

/* A sensor that a plan uses, and where its samples go. */
typedef struct {
    sense_t *sense;
    queue_t *out;
} sense_use_t;

/* What this device does under one plan; the links' part is theirs (link_streams_t). */
typedef struct {
    queue_t *queues;
    const sense_use_t *senses;
    infer_t *infers;
    tail_t *tails;
    interact_t *interacts;
    uint8_t queue_count, sense_count, infer_count, tail_count, interact_count;
} plan_t;

/* A plan and the devices that must be there for it, bit i for device i. */
typedef struct {
    uint32_t devices;
    uint8_t plan;
} plan_case_t;

typedef struct {
    presence_t presence;
    const plan_t *plans; /* the first one is for all devices */
    uint8_t plan_count;
    const plan_case_t *cases; /* the first one whose devices are all there is chosen; if none is, the first plan */
    uint8_t case_count;
    uint32_t settle_ticks; /* for so long another plan must be due before it comes into force, */
    uint32_t return_ticks; /* and so long if it is only the better one, for devices that have come back */
} fallback_t;

/* Tests the segments of all plans that have known answers; leaves the first plan in force. */
void fallback_open(void);

/* Follows who is there, and changes the plan if it is time; true if it did. `may_change`: sensing has begun. */
bool fallback_poll(bool may_change);

#endif
