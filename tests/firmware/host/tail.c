/* Runs an app's tail once on this machine; time stands still. */
#include <stddef.h>
#include <string.h>

#include "port.h"
#include "tail.h"

uint32_t port_ticks(void)
{
    return 0;
}

void timing_add(timing_t *timing, uint32_t began_ticks, uint32_t ended_ticks)
{
    (void)began_ticks;
    (void)ended_ticks;
    timing->count++;
}

/* Writes the result's words; returns how often the tail was polled, 0 if something is wrong. */
unsigned test_tail(const tail_stage_t *stages, unsigned count, const uint32_t *words, uint32_t result_words,
                   uint32_t *result)
{
    tensor_t in_slots[2];
    tensor_t out_slots[1];
    queue_t in = {.slots = in_slots, .depth = 2};
    queue_t out = {.words = result_words, .storage = result, .slots = out_slots, .depth = 1};
    tail_t tail = {.in = &in, .out = &out, .stages = stages, .stage_count = (uint8_t)count};
    if (tail_poll(&tail)) {
        return 0; /* there is nothing to do yet */
    }
    queue_push(&in, 7, words);
    queue_push(&in, 8, NULL);
    unsigned polls = 0;
    while (tail_poll(&tail)) {
        polls++;
    }
    if (out.count != 1 || queue_front(&out)->run != 7 || tail.timing.count != 1) {
        return 0;
    }
    queue_pop(&out); /* makes room for the end mark */
    bool ended = tail_poll(&tail) && tail.ended && queue_front(&out)->data == NULL;
    return ended ? polls : 0;
}
