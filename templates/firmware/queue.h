/* Bounded queues of tensors: what joins the tasks of a device, and where back-pressure comes from. */
#ifndef QUEUE_H
#define QUEUE_H

#include <stdbool.h>
#include <stdint.h>

/* One tensor, or the mark that no more runs come (`data` is NULL, `run` is their number). */
typedef struct {
    uint32_t run;
    const uint32_t *data;
} tensor_t;

typedef struct {
    uint32_t words;    /* of one tensor */
    uint32_t *storage; /* depth * words; NULL if the tensors stay where they are, in flash */
    tensor_t *slots;
    uint8_t depth, head, count;
} queue_t;

/* True if another tensor can be put in. */
bool queue_has_room(const queue_t *queue);

/* Memory for the next tensor; only after queue_has_room. */
uint32_t *queue_next(const queue_t *queue);

/* Puts in the tensor that was written to `data`: queue_next(), a constant, or NULL for the end mark. */
void queue_push(queue_t *queue, uint32_t run, const uint32_t *data);

/* The oldest tensor, NULL if there is none. */
const tensor_t *queue_front(const queue_t *queue);

/* Removes the oldest tensor. */
void queue_pop(queue_t *queue);

#endif
