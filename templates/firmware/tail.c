#include "tail.h"

#include <stddef.h>

#include "port.h"

/* Values that are read in one go, unless one position needs more: about a tenth of a millisecond. */
#define VALUES_AT_ONCE 64u

static int32_t *target_of(const tail_t *tail, unsigned stage)
{
    int32_t *target = tail->stages[stage].target;
    return target != NULL ? target : (int32_t *)queue_next(tail->out);
}

static void advance(tail_t *tail, const uint32_t *result)
{
    const tail_stage_t *stage = &tail->stages[tail->stage];
    const uint32_t *words = tail->stage == 0 ? result : (const uint32_t *)target_of(tail, tail->stage - 1u);
    tail_source_t source = {.words = words, .layout = stage->layout};
    int32_t *target = target_of(tail, tail->stage);
    uint32_t values = 0;
    while (tail->position < stage->positions && values < VALUES_AT_ONCE) {
        stage->compute(stage, &source, tail->position, target);
        tail->position++;
        values += stage->length;
    }
    if (tail->position == stage->positions) {
        tail->stage++;
        tail->position = 0;
    }
}

static void deliver(tail_t *tail, uint32_t run)
{
    queue_push(tail->out, run, queue_next(tail->out));
    queue_pop(tail->in);
    tail->stage = 0;
    timing_add(&tail->timing, tail->began_ticks, port_ticks());
}

bool tail_poll(tail_t *tail)
{
    const tensor_t *result = queue_front(tail->in);
    if (result == NULL || !queue_has_room(tail->out)) {
        return false;
    }
    tail->ended = result->data == NULL;
    if (tail->ended) {
        queue_push(tail->out, result->run, NULL);
        queue_pop(tail->in);
        return true;
    }
    if (tail->stage == 0 && tail->position == 0) {
        tail->began_ticks = port_ticks();
    }
    advance(tail, result->data);
    if (tail->stage == tail->stage_count) {
        deliver(tail, result->run);
    }
    return true;
}

void tail_restart(tail_t *tail)
{
    tail->stage = 0;
    tail->position = 0;
    tail->ended = false;
}
