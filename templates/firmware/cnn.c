#include "cnn.h"

#include <string.h>

#include "chip.h"
#include "console.h"
#include "device.h"
#include "framing.h"
#include "port.h"

/* A step that waits (clearing of memories) takes microseconds; this is for broken hardware. */
#define STEP_TIMEOUT_TICKS (PORT_TICK_HZ / 10u)
/* Words of a result that are on the stack while its CRC is taken. */
#define PART_WORDS 64u

/* Whose layer registers are in the accelerator; the interrupt handler reads it. */
static const cnn_segment_t *volatile selected;

/* The set whose weights are in the accelerator, or how far they are: the next row of a segment, weights before
 * biases; the next of the row's processors, and of its words. */
typedef struct {
    const cnn_set_t *set;
    size_t segment, row;
    uint32_t processor, word;
} loading_t;
static loading_t loading;

static volatile bool done;
static volatile uint32_t done_ticks;

static volatile uint32_t *word_at(uint32_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

static void wait_for(const cnn_segment_t *segment, const cnn_step_t *step)
{
    uint32_t began = port_ticks();
    while ((*word_at(step->address) & step->mask) != step->value) {
        if (port_ticks() - began > STEP_TIMEOUT_TICKS) {
            console_fatal("accelerator", segment->name, step->address);
        }
    }
}

static void do_steps(const cnn_segment_t *segment, const cnn_steps_t *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        const cnn_step_t *step = &steps->steps[i];
        if (step->mask != 0) {
            wait_for(segment, step);
        } else {
            *word_at(step->address) = step->value;
        }
    }
}

static void do_writes(const cnn_writes_t *writes)
{
    for (size_t i = 0; i < writes->count; i++) {
        const cnn_write_t *write = &writes->writes[i];
        volatile uint32_t *to = word_at(write->word * 4u);
        for (uint32_t quadrant = 0; quadrant <= write->more; quadrant++) {
            to[quadrant * (CNN_QUADRANT_BYTES / 4u)] = write->value;
        }
    }
}

/* Four words at a time: a load or unload keeps CPU and accelerator busy, each cycle of the loop counts. */
static void copy_in(volatile uint32_t *to, uint32_t step, const uint32_t *from, uint32_t count)
{
    const uint32_t *end = from + count;
    for (; end - from >= 4; from += 4, to += 4u * step) {
        to[0] = from[0];
        to[step] = from[1];
        to[2u * step] = from[2];
        to[3u * step] = from[3];
    }
    for (; from != end; to += step) {
        *to = *from++;
    }
}

static void copy_out(uint32_t *to, const volatile uint32_t *from, uint32_t count, uint32_t mask)
{
    const uint32_t *end = to + count;
    for (; end - to >= 4; to += 4, from += 4) {
        to[0] = from[0] & mask;
        to[1] = from[1] & mask;
        to[2] = from[2] & mask;
        to[3] = from[3] & mask;
    }
    while (to != end) {
        *to++ = *from++ & mask;
    }
}

/* Segments share registers: until each has selected its own for a load or a run, none is in order. */
static void power_up(const cnn_segment_t *const *segments, size_t count)
{
    uint32_t quadrants = 0;
    for (size_t i = 0; i < count; i++) {
        quadrants |= segments[i]->quadrant_mask;
    }
    port_cnn_power_down();
    port_cnn_power_up(quadrants);
    selected = NULL;
    loading = (loading_t){0};
}

void cnn_open(const cnn_segment_t *const *segments, size_t count)
{
    power_up(segments, count);
    for (size_t i = 0; i < count; i++) {
        do_steps(segments[i], &segments[i]->init);
    }
    for (size_t i = 0; i < count; i++) {
        do_writes(&segments[i]->configure);
    }
    port_cnn_interrupt_enable();
}

static volatile uint32_t *weight_memory(uint32_t processor)
{
    uint32_t quadrant = processor / CNN_QUADRANT_PROCESSORS, index = processor % CNN_QUADRANT_PROCESSORS;
    return word_at(CNN_WEIGHTS + quadrant * CNN_QUADRANT_BYTES + index * CNN_WEIGHT_BYTES);
}

/* Notes that `count` words of a row were stored, which has `row_words` for each of its processors. */
static void pass_words(uint32_t count, uint32_t row_words, uint32_t processors)
{
    loading.word += count;
    if (loading.word == row_words) {
        loading.word = 0;
        loading.processor++;
    }
    if (loading.processor == processors) {
        loading.processor = 0;
        loading.row++;
    }
}

static uint32_t store_weights(const cnn_segment_t *segment, uint32_t most)
{
    const cnn_weights_t *row = &segment->weights[loading.row];
    volatile uint32_t *to = weight_memory(row->processor + loading.processor) + row->word;
    if (loading.word == 0 && row->begin != 0) {
        *((volatile uint8_t *)to + 1) = row->begin;
    }
    const uint32_t *from = segment->weight_values + row->first + loading.processor * row->count;
    uint32_t count = row->count - loading.word < most ? row->count - loading.word : most;
    copy_in(to + loading.word, 1, from + loading.word, count);
    pass_words(count, row->count, row->processors);
    return count;
}

static uint32_t store_biases(const cnn_segment_t *segment, uint32_t most)
{
    const cnn_biases_t *row = &segment->biases[loading.row - segment->weight_count];
    volatile uint32_t *to = word_at(row->address) + loading.word;
    uint32_t count = row->count - loading.word < most ? row->count - loading.word : most;
    for (uint32_t i = 0; i < count; i++) {
        to[i] = segment->bias_values[row->first + loading.word + i];
    }
    pass_words(count, row->count, 1);
    return count;
}

/* Stores what comes next of the segment that is being loaded, `most` words of it, and returns how many. */
static uint32_t store_next(const cnn_segment_t *segment, uint32_t most)
{
    if (loading.row < segment->weight_count) {
        return store_weights(segment, most);
    }
    if (loading.row < segment->weight_count + segment->bias_count) {
        return store_biases(segment, most);
    }
    loading.segment++;
    loading.row = 0;
    return 0;
}

bool cnn_load_part(const cnn_set_t *set)
{
    if (loading.set != set) {
        loading = (loading_t){.set = set};
    }
    for (uint32_t left = CNN_LOAD_WORDS; left != 0 && loading.segment < set->count;) {
        const cnn_segment_t *segment = set->segments[loading.segment];
        cnn_select(segment); /* its control registers say in which form weights come */
        left -= store_next(segment, left);
    }
    return cnn_is_loaded(set);
}

bool cnn_is_loaded(const cnn_set_t *set)
{
    return loading.set == set && loading.segment == set->count;
}

void cnn_select(const cnn_segment_t *segment)
{
    if (selected != segment) {
        do_writes(&segment->select);
        selected = segment;
    }
}

/* For words that hold bytes of another tensor as well. */
static void merge_in(const cnn_region_t *region, const uint32_t *from)
{
    volatile uint32_t *to = word_at(region->address);
    for (uint32_t word = 0; word < region->words; word++, to += region->step) {
        *to = (*to & ~region->mask) | (from[word] & region->mask);
    }
}

void cnn_load_input(const cnn_segment_t *segment, const uint32_t *words)
{
    for (size_t i = 0; i < segment->input_count; i++) {
        const cnn_region_t *region = &segment->inputs[i];
        if (region->mask == UINT32_MAX) {
            copy_in(word_at(region->address), region->step, words + region->first, region->words);
        } else {
            merge_in(region, words + region->first);
        }
    }
}

void cnn_unload_output(const cnn_segment_t *segment, uint32_t *words)
{
    for (size_t i = 0; i < segment->output_count; i++) {
        const cnn_region_t *region = &segment->outputs[i];
        copy_out(words + region->first, word_at(region->address), region->words, region->mask);
    }
}

void cnn_unload_part(const cnn_segment_t *segment, uint32_t first, uint32_t count, uint32_t *words)
{
    memset(words, 0, count * sizeof *words);
    for (size_t i = 0; i < segment->output_count; i++) {
        const cnn_region_t *region = &segment->outputs[i];
        uint32_t region_end = region->first + region->words;
        uint32_t begin = region->first > first ? region->first : first;
        uint32_t end = region_end < first + count ? region_end : first + count;
        if (begin < end) {
            const volatile uint32_t *from = word_at(region->address) + (begin - region->first);
            copy_out(words + (begin - first), from, end - begin, region->mask);
        }
    }
}

uint32_t cnn_output_crc(const cnn_segment_t *segment, uint32_t count)
{
    uint32_t crc = 0;
    uint32_t part[PART_WORDS];
    for (uint32_t first = 0; first < count; first += PART_WORDS) {
        uint32_t words = count - first < PART_WORDS ? count - first : PART_WORDS;
        cnn_unload_part(segment, first, words, part);
        crc = frame_crc32(crc, (const uint8_t *)part, words * sizeof *part);
    }
    return crc;
}

/* Waits for room in a FIFO; the accelerator takes a word in well under a microsecond. */
static void push(const cnn_segment_t *segment, const cnn_fifo_t *fifo, uint32_t word)
{
    if ((*word_at(fifo->status_address) & fifo->full_mask) != 0) {
        uint32_t began = port_ticks();
        while ((*word_at(fifo->status_address) & fifo->full_mask) != 0) {
            if (port_ticks() - began > STEP_TIMEOUT_TICKS) {
                console_fatal("stream", segment->name, fifo->data_address);
            }
        }
    }
    *word_at(fifo->data_address) = word;
}

static void stream_input(const cnn_segment_t *segment, const uint32_t *words)
{
    for (uint32_t word = 0; word < segment->fifos[0].words; word++) {
        for (size_t i = 0; i < segment->fifo_count; i++) {
            push(segment, &segment->fifos[i], words[segment->fifos[i].first + word]);
        }
    }
}

void cnn_start(const cnn_segment_t *segment, const uint32_t *words)
{
    done = false;
    port_cnn_clock(true);
    do_writes(&segment->start);
    if (segment->fifo_count != 0) {
        stream_input(segment, words);
    }
}

bool cnn_is_done(uint32_t *at_ticks)
{
    if (!done) {
        return false;
    }
    *at_ticks = done_ticks;
    return true;
}

void cnn_done_interrupt(void)
{
    const cnn_segment_t *segment = selected;
    for (size_t i = 0; segment != NULL && i < segment->done_count; i++) {
        *word_at(segment->done[i].address) &= ~segment->done[i].bits;
    }
    port_cnn_clock(false);
    done_ticks = port_ticks();
    done = true;
}
