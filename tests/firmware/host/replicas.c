/* Lanes of replicas on the host: a sensor with three lanes, a merge of three, and a clock that the test holds. */
#include <stddef.h>

#include "port.h"
#include "replicas.h"

#define LANES 3u
#define DEPTH 2u

static uint32_t now_ticks;
static const uint32_t tensors[LANES] = {0, 1, 2};
static tensor_t slots[LANES][DEPTH], out_slot[1];
static queue_t queues[LANES], out;
static queue_t *const heads[LANES] = {&queues[0], &queues[1], &queues[2]};
static merge_lane_t ends[LANES];
static sense_t sense;
static deal_t deal;
static merge_t merge;

uint32_t port_ticks(void)
{
    return now_ticks;
}

void test_start(uint32_t ticks, uint32_t wait_ticks)
{
    now_ticks = ticks;
    for (unsigned i = 0; i < LANES; i++) {
        queues[i] = (queue_t){.words = 1, .slots = slots[i], .depth = DEPTH};
        ends[i] = (merge_lane_t){.queue = &queues[i]};
    }
    out = (queue_t){.words = 1, .slots = out_slot, .depth = 1};
    sense = (sense_t){.out = &queues[0]};
    deal = (deal_t){.sense = &sense, .lanes = heads, .lane_count = LANES};
    merge = (merge_t){.lanes = ends, .lane_count = LANES, .out = &out, .wait_ticks = wait_ticks};
}

void test_pass(uint32_t ticks)
{
    now_ticks += ticks;
}

/* Lets the sensor take a sample, as sense_poll does, or its mark that no more come; the lane it went to, -1: none. */
int test_sense(bool last)
{
    deal_poll(&deal);
    if (sense.ended || !queue_has_room(sense.out)) {
        return -1;
    }
    queue_push(sense.out, sense.next_run, last ? NULL : tensors);
    sense.ended = last;
    sense.next_run += last ? 0u : 1u;
    for (int lane = 0; lane < (int)LANES; lane++) {
        if (heads[lane] == sense.out) {
            return lane;
        }
    }
    return -1;
}

bool test_deal(void)
{
    return deal_poll(&deal);
}

/* A result comes in, or the mark that no more come; false if its lane has no room. */
bool test_put(unsigned lane, uint32_t run, bool last)
{
    if (!queue_has_room(&queues[lane])) {
        return false;
    }
    queue_push(&queues[lane], run, last ? NULL : &tensors[lane]);
    return true;
}

unsigned test_count(unsigned lane)
{
    return queues[lane].count;
}

void test_take(unsigned lane)
{
    queue_pop(&queues[lane]);
}

/* The run of the next result, and in `lane` where it came from; -1: there is none, -2: the mark that no more come. */
int test_result(int *lane)
{
    merge_poll(&merge);
    const tensor_t *result = queue_front(&out);
    if (result == NULL) {
        return -1;
    }
    int run = result->data != NULL ? (int)result->run : -2;
    *lane = result->data != NULL ? (int)(result->data - tensors) : -1;
    queue_pop(&out);
    return run;
}
