#include "replicas.h"

#include <stddef.h>

#include "port.h"

/* ---- Deal ---- */

static queue_t *lane_after(const deal_t *deal, unsigned steps)
{
    return deal->lanes[(deal->turn + steps) % deal->lane_count];
}

/* Every lane ends with a mark of its own; the sensor's own lane has got it. */
static bool end_lanes(deal_t *deal)
{
    bool busy = false;
    while (deal->ended + 1u < deal->lane_count && queue_has_room(lane_after(deal, deal->ended + 1u))) {
        queue_push(lane_after(deal, deal->ended + 1u), deal->sense->next_run, NULL);
        deal->ended++;
        busy = true;
    }
    return busy;
}

/* A sample that was begun stays in its lane: only the sensor fills it, so that there still is room. */
static void choose_lane(deal_t *deal)
{
    for (unsigned steps = 1; steps <= deal->lane_count; steps++) {
        if (queue_has_room(lane_after(deal, steps))) {
            deal->turn = (uint8_t)((deal->turn + steps) % deal->lane_count);
            deal->run = deal->sense->next_run;
            deal->sense->out = deal->lanes[deal->turn];
            return;
        }
    }
}

bool deal_poll(deal_t *deal)
{
    if (deal->sense->ended) {
        return end_lanes(deal);
    }
    if (deal->run != deal->sense->next_run) {
        choose_lane(deal);
    }
    return false;
}

void deal_restart(deal_t *deal)
{
    deal->turn = 0;
    deal->run = deal->sense->next_run;
    deal->ended = 0;
}

/* ---- Merge ---- */

/* The lane whose oldest result is that of the earliest run; NULL if there is no result. */
static merge_lane_t *earliest(const merge_t *merge)
{
    merge_lane_t *found = NULL;
    for (uint8_t i = 0; i < merge->lane_count; i++) {
        merge_lane_t *lane = &merge->lanes[i];
        const tensor_t *oldest = queue_front(lane->queue);
        lane->silent = lane->silent && oldest == NULL;
        if (oldest != NULL && (found == NULL || oldest->run < queue_front(found->queue)->run)) {
            found = lane;
        }
    }
    return found;
}

/* Runs of a lane are in order: an earlier run can only come in a lane that has nothing now. */
static bool may_come(const merge_t *merge)
{
    bool may = false;
    for (uint8_t i = 0; i < merge->lane_count; i++) {
        may = may || (queue_front(merge->lanes[i].queue) == NULL && !merge->lanes[i].silent);
    }
    return may;
}

static void give_up(merge_t *merge)
{
    for (uint8_t i = 0; i < merge->lane_count; i++) {
        merge->lanes[i].silent = queue_front(merge->lanes[i].queue) == NULL;
    }
}

/* True as long as the result of a run has to wait for that of an earlier one. */
static bool must_wait(merge_t *merge, uint32_t run)
{
    bool waits = run > merge->next_run && may_come(merge);
    if (waits && !merge->waiting) {
        merge->since_ticks = port_ticks();
    } else if (waits && port_ticks() - merge->since_ticks >= merge->wait_ticks) {
        give_up(merge);
        waits = false;
    }
    merge->waiting = waits;
    return waits;
}

/* Frees a result's place in its lane once it was taken; true if it was. */
static bool let_go(merge_t *merge)
{
    if (merge->from == NULL || queue_front(merge->out) != NULL) {
        return false;
    }
    queue_pop(merge->from->queue);
    merge->from = NULL;
    return true;
}

bool merge_poll(merge_t *merge)
{
    bool busy = let_go(merge);
    merge_lane_t *lane = merge->from == NULL ? earliest(merge) : NULL;
    if (lane == NULL || must_wait(merge, queue_front(lane->queue)->run)) {
        return busy;
    }
    const tensor_t *result = queue_front(lane->queue);
    queue_push(merge->out, result->run, result->data);
    lane->silent = result->data == NULL;
    merge->next_run = result->run + 1u;
    merge->from = lane;
    return true;
}

void merge_restart(merge_t *merge)
{
    for (uint8_t i = 0; i < merge->lane_count; i++) {
        merge->lanes[i].silent = false;
    }
    merge->from = NULL;
    merge->waiting = false;
}
