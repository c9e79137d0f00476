#include "queue.h"

#include <stddef.h>

static uint8_t tail(const queue_t *queue)
{
    return (uint8_t)((queue->head + queue->count) % queue->depth);
}

bool queue_has_room(const queue_t *queue)
{
    return queue->count < queue->depth;
}

uint32_t *queue_next(const queue_t *queue)
{
    return queue->storage + tail(queue) * queue->words;
}

void queue_push(queue_t *queue, uint32_t run, const uint32_t *data)
{
    queue->slots[tail(queue)] = (tensor_t){.run = run, .data = data};
    queue->count++;
}

const tensor_t *queue_front(const queue_t *queue)
{
    return queue->count != 0 ? &queue->slots[queue->head] : NULL;
}

void queue_pop(queue_t *queue)
{
    queue->head = (uint8_t)((queue->head + 1) % queue->depth);
    queue->count--;
}
