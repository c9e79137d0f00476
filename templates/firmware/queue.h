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
    uint32_t *storage; /* depth * words; NULL if the tensors stay where they are: in flash, in the accelerator */
    tensor_t *slots;
    uint8_t depth, head, count;
} queue_t;

/* How many more tensors can be put in. */
uint8_t queue_room(const queue_t *queue);

bool queue_has_room(const queue_t *queue);

/* Memory for the tensor that is put in after `ahead` others; only for `ahead` below queue_room. */
uint32_t *queue_place(const queue_t *queue, uint8_t ahead);

/* Memory for the next tensor; only after queue_has_room. */
uint32_t *queue_next(const queue_t *queue);

/* Notes the run of the tensor that is put in after `ahead` others (queue_run tells it). */
void queue_note_run(queue_t *queue, uint8_t ahead, uint32_t run);
uint32_t queue_run(const queue_t *queue);

/* Puts in the tensor that was written to `data`: queue_next(), a constant, or NULL for the end mark. */
void queue_push(queue_t *queue, uint32_t run, const uint32_t *data);

/* Tensor `position`, the oldest is 0; NULL if there are not so many. */
const tensor_t *queue_at(const queue_t *queue, uint8_t position);

/* The oldest tensor, NULL if there is none. */
const tensor_t *queue_front(const queue_t *queue);

/* Removes the oldest tensor. */
void queue_pop(queue_t *queue);

/* Removes all tensors; returns how many they were, end marks not counted. */
uint32_t queue_clear(queue_t *queue);

#endif
