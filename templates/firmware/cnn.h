/* Running a segment on the accelerator. The tables are in cnn_<segment>.c. */
#ifndef CNN_H
#define CNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* mask 0: store `value` at `address`. Otherwise wait until all bits of `mask` read as `value`. */
typedef struct {
    uint32_t address, mask, value;
} cnn_step_t;

typedef struct {
    const cnn_step_t *steps;
    size_t count;
} cnn_steps_t;

/* `value` is stored at address 4 * `word`, and in the same register of `more` quadrants that follow. */
typedef struct {
    uint32_t word : 30, more : 2;
    uint32_t value;
} cnn_write_t;

typedef struct {
    const cnn_write_t *writes;
    size_t count;
} cnn_writes_t;

/* `count` words for each of `processors` processors from `processor` on, in this order from index `first` of a
 * table. They go to where `word` is in each one's weight memory. If `begin` is not 0 that byte is stored behind the
 * first word's address before: so a stream of weights is given its place. */
typedef struct {
    uint8_t processor, processors, begin;
    uint16_t word, count;
    uint32_t first;
} cnn_weights_t;

/* `count` bytes from index `first` of a table, each stored as a word of its own, to ascending addresses. */
typedef struct {
    uint32_t address, first, count;
} cnn_biases_t;

/* Words of data memory that belong to a tensor, each `step` words behind the one before (of a result 1), and their
 * place in the queue's words; `mask` keeps the bytes that carry values. */
typedef struct {
    uint32_t address, first;
    uint16_t words, step;
    uint32_t mask;
} cnn_region_t;

/* A FIFO that takes words `first` to `first + words - 1` of the input after the start, while `full_mask` reads
 * as 0 at `status_address`. All FIFOs of a segment take equally many words. */
typedef struct {
    uint32_t data_address, status_address, full_mask, first, words;
} cnn_fifo_t;

/* Bits of a control register that the interrupt handler clears. */
typedef struct {
    uint32_t address, bits;
} cnn_done_t;

typedef struct {
    const char *name;
    uint32_t quadrant_mask;
    cnn_steps_t init;
    cnn_writes_t configure, start;
    cnn_writes_t select; /* what a run needs if another segment was selected, of any set: registers, never weights */
    const cnn_weights_t *weights;
    const uint32_t *weight_values;
    size_t weight_count;
    const cnn_biases_t *biases;
    const uint8_t *bias_values;
    size_t bias_count;
    const cnn_region_t *inputs, *outputs;
    size_t input_count, output_count;
    const cnn_fifo_t *fifos; /* instead of input regions, for inputs that stream */
    size_t fifo_count;
    const cnn_done_t *done;
    size_t done_count;
} cnn_segment_t;

/* A residency set: segments whose weights and biases are in the accelerator's memories together. */
typedef struct {
    const cnn_segment_t *const *segments;
    size_t count;
} cnn_set_t;

/* Words that one part of a load stores at most, in well under a millisecond: links are served in between. */
#define CNN_LOAD_WORDS 1024u

/* Powers the accelerator up for all segments; none is loaded yet. */
void cnn_open(const cnn_segment_t *const *segments, size_t count);

/* Loads the next part of a set's weights and biases from flash; true once all of it is in place. The set
 * before is lost with the first part. Nothing may run, and no other segment be selected, until it is done. */
bool cnn_load_part(const cnn_set_t *set);

/* True if all of a set's weights and biases are in place. */
bool cnn_is_loaded(const cnn_set_t *set);

/* Makes `segment`, of the loaded set, the one that runs next; nothing to do if it ran last. Before its input is
 * loaded. */
void cnn_select(const cnn_segment_t *segment);

/* Copies what a queue holds into the segment's input regions. */
void cnn_load_input(const cnn_segment_t *segment, const uint32_t *words);

/* Starts an inference; `words` is the tensor again, for a segment whose input streams. */
void cnn_start(const cnn_segment_t *segment, const uint32_t *words);

/* True once the accelerator has finished; `*at_ticks` is when. */
bool cnn_is_done(uint32_t *at_ticks);

/* Copies the segment's output regions out. */
void cnn_unload_output(const cnn_segment_t *segment, uint32_t *words);

/* Copies `count` of the words that cnn_unload_output would copy, from word `first`; what it leaves is 0. */
void cnn_unload_part(const cnn_segment_t *segment, uint32_t first, uint32_t count, uint32_t *words);

/* CRC-32 of a result of `count` words that is still in the accelerator. */
uint32_t cnn_output_crc(const cnn_segment_t *segment, uint32_t count);

/* Handler of the accelerator's interrupt. */
void cnn_done_interrupt(void);

#endif
