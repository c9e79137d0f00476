#include "tasks.h"

#include "console.h"
#include "device.h"
#include "port.h"

/* The longest inference of these chips takes tens of milliseconds. */
#define INFERENCE_TIMEOUT_TICKS PORT_TICK_HZ
/* Words of a result that are written at once, and the characters they take. */
#define WORDS_AT_ONCE 16u
#define PIECE_BYTES (WORDS_AT_ONCE * 8u + 64u)

static const cnn_segment_t *loaded; /* segment whose weights are in the accelerator */
static infer_t *running;
static uint32_t started_ticks;

static void timing_add(timing_t *timing, uint32_t began_ticks, uint32_t ended_ticks)
{
    uint32_t took = ended_ticks - began_ticks;
    timing->count++;
    timing->ticks += took;
    timing->longest_ticks = took > timing->longest_ticks ? took : timing->longest_ticks;
}

bool sense_poll(sense_t *sense)
{
    if (sense->ended || !queue_has_room(sense->out)) {
        return false;
    }
    uint32_t began = port_ticks();
    if (synergy_run_limit != 0 && sense->next_run == synergy_run_limit) {
        queue_push(sense->out, sense->next_run, NULL);
        sense->ended = true;
        return true;
    }
    queue_push(sense->out, sense->next_run, sense->samples + sense->next_sample * sense->out->words);
    sense->next_run++;
    sense->next_sample = (sense->next_sample + 1u) % *sense->sample_count;
    timing_add(&sense->timing, began, port_ticks());
    return true;
}

void infer_preload(const infer_t *infer)
{
    if (loaded != infer->segment) {
        cnn_load_segment(infer->segment);
        loaded = infer->segment;
    }
}

static void start(infer_t *infer, const tensor_t *input)
{
    infer_preload(infer);
    uint32_t began = port_ticks();
    cnn_load_input(infer->segment, input->data);
    infer->run = input->run;
    queue_pop(infer->in); /* the accelerator has its own copy */
    started_ticks = port_ticks();
    timing_add(&infer->load, began, started_ticks);
    running = infer;
    cnn_start(infer->segment);
}

static bool finish(infer_t *infer)
{
    uint32_t done_ticks;
    if (!cnn_is_done(&done_ticks)) {
        if (port_ticks() - started_ticks > INFERENCE_TIMEOUT_TICKS) {
            console_fatal("inference", infer->segment->name, infer->run);
        }
        return false;
    }
    if (!queue_has_room(infer->out)) {
        return false; /* the accelerator keeps the result */
    }
    uint32_t began = port_ticks();
    uint32_t *output = queue_next(infer->out);
    cnn_unload_output(infer->segment, output);
    queue_push(infer->out, infer->run, output);
    running = NULL;
    timing_add(&infer->inference, started_ticks, done_ticks);
    timing_add(&infer->unload, began, port_ticks());
    return true;
}

/* Only a single segment may start before there is room for its result. Of several, one could otherwise
 * keep the accelerator while it waits for another one to make room. */
static bool may_start(const infer_t *infer, const tensor_t *input)
{
    return queue_has_room(infer->out) || (device.infer_count == 1 && input->data != NULL);
}

bool infer_poll(infer_t *infer)
{
    if (running != NULL) {
        return running == infer && finish(infer);
    }
    const tensor_t *input = queue_front(infer->in);
    if (input == NULL || !may_start(infer, input)) {
        return false;
    }
    if (input->data != NULL) {
        start(infer, input);
        return true;
    }
    queue_push(infer->out, input->run, NULL);
    queue_pop(infer->in);
    infer->ended = true;
    return true;
}

static void begin_result(interact_t *interact, const tensor_t *result)
{
    interact->writing = true;
    interact->words_written = 0;
    interact->began_ticks = port_ticks();
    console_begin("R");
    console_text(interact->app);
    console_number(result->run);
    console_open_words();
}

static void end_result(interact_t *interact)
{
    console_end();
    queue_pop(interact->in);
    interact->writing = false;
    timing_add(&interact->timing, interact->began_ticks, port_ticks());
}

bool interact_poll(interact_t *interact)
{
    const tensor_t *result = queue_front(interact->in);
    if (result == NULL || (console_is_busy() && !interact->writing) || !console_has_room(PIECE_BYTES)) {
        return false;
    }
    if (result->data == NULL) {
        queue_pop(interact->in);
        interact->ended = true;
        return true;
    }
    if (!interact->writing) {
        begin_result(interact, result);
    }
    uint32_t left = interact->in->words - interact->words_written;
    uint32_t count = left < WORDS_AT_ONCE ? left : WORDS_AT_ONCE;
    console_words(result->data + interact->words_written, count);
    interact->words_written += count;
    if (interact->words_written == interact->in->words) {
        end_result(interact);
    }
    return true;
}
