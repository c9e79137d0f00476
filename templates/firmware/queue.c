#include "queue.h"

#include <stddef.h>

static uint8_t slot(const queue_t *queue, unsigned position)
{
    unsigned index = queue->head + position;
    return (uint8_t)(index < queue->depth ? index : index - queue->depth);
}

uint8_t queue_room(const queue_t *queue)
{
    return (uint8_t)(queue->depth - queue->count);
}

bool queue_has_room(const queue_t *queue)
{
    return queue->count < queue->depth;
}

uint32_t *queue_place(const queue_t *queue, uint8_t ahead)
{
    return queue->storage + slot(queue, queue->count + (unsigned)ahead) * queue->words;
}

uint32_t *queue_next(const queue_t *queue)
{
    return queue_place(queue, 0);
}

void queue_note_run(queue_t *queue, uint8_t ahead, uint32_t run)
{
    queue->slots[slot(queue, queue->count + (unsigned)ahead)].run = run;
}

uint32_t queue_run(const queue_t *queue)
{
    return queue->slots[slot(queue, queue->count)].run;
}

void queue_push(queue_t *queue, uint32_t run, const uint32_t *data)
{
    queue->slots[slot(queue, queue->count)] = (tensor_t){.run = run, .data = data};
    queue->count++;
}

const tensor_t *queue_at(const queue_t *queue, uint8_t position)
{
    return position < queue->count ? &queue->slots[slot(queue, position)] : NULL;
}

const tensor_t *queue_front(const queue_t *queue)
{
    return queue_at(queue, 0);
}

void queue_pop(queue_t *queue)
{
    queue->head = slot(queue, 1);
    queue->count--;
}

uint32_t queue_clear(queue_t *queue)
{
    uint32_t runs = 0;
    while (queue->count != 0) {
        runs += queue_front(queue)->data != NULL ? 1u : 0u;
        queue_pop(queue);
    }
    return runs;
}
