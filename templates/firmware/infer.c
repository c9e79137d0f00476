/* The accelerator's tasks: load, infer, unload, for all segments of the device in turn. */
#include <string.h>

#include "console.h"
#include "device.h"
#include "port.h"
#include "tasks.h"

/* The longest inference of these chips takes tens of milliseconds. */
#define INFERENCE_TIMEOUT_TICKS (PORT_TICK_HZ / 2u)
static infer_t *running;
static infer_t *loading; /* the segment whose set is being loaded */
static uint32_t started_ticks;
static uint8_t next_infer; /* segments of equal priority take turns */
static size_t runs_left;   /* of the set that is loaded, before another one that waits has its turn */
static timing_t swaps;

static void pass_on(const infer_t *infer, const uint32_t *input)
{
    for (uint8_t i = 0; i < infer->passed_count; i++) {
        const passed_t *passed = &infer->passed[i];
        memcpy(queue_next(infer->out) + passed->to, input + passed->from, passed->words * sizeof *input);
    }
}

static void start(infer_t *infer, const tensor_t *input)
{
    uint32_t began = port_ticks();
    cnn_select(infer->segment);
    cnn_load_input(infer->segment, input->data);
    infer->run = input->run;
    started_ticks = port_ticks();
    timing_add(&infer->load, began, started_ticks);
    running = infer;
    runs_left -= runs_left != 0 ? 1u : 0u;
    cnn_start(infer->segment, input->data);
    pass_on(infer, input->data);
    queue_pop(infer->in); /* the accelerator has its own copy */
}

/* True once the accelerator is done; a run that never ends is fatal. */
static bool is_done(const infer_t *infer, uint32_t *done_ticks)
{
    bool done = cnn_is_done(done_ticks);
    if (!done && port_ticks() - started_ticks > INFERENCE_TIMEOUT_TICKS) {
        console_fatal("inference", infer->segment->name, infer->run);
    }
    return done;
}

/* True if results are read from the accelerator, by words: RAM is too small for them. */
static bool stays(const infer_t *infer)
{
    return infer->out->storage == NULL;
}

/* True while a result is in the accelerator that another run would overwrite. */
static bool is_held(void)
{
    bool held = false;
    for (uint8_t i = 0; i < device.infer_count; i++) {
        held = held || (stays(&device.infers[i]) && queue_front(device.infers[i].out) != NULL);
    }
    return held;
}

static bool finish(infer_t *infer)
{
    uint32_t done_ticks;
    if (!is_done(infer, &done_ticks) || !queue_has_room(infer->out)) {
        return false; /* the accelerator keeps the result */
    }
    uint32_t began = port_ticks();
    if (stays(infer)) {
        queue_push(infer->out, infer->run, (const uint32_t *)(uintptr_t)infer->segment->outputs[0].address);
    } else {
        uint32_t *output = queue_next(infer->out);
        cnn_unload_output(infer->segment, output);
        queue_push(infer->out, infer->run, output);
    }
    running = NULL;
    timing_add(&infer->inference, started_ticks, done_ticks);
    timing_add(&infer->unload, began, port_ticks());
    return true;
}

/* Only a single segment may start before there is room for its result. Of several, one could otherwise
 * keep the accelerator while it waits for another one to make room. What is passed on needs room at once. */
static bool is_ready(const infer_t *infer)
{
    const tensor_t *input = queue_front(infer->in);
    bool may_wait = device.infer_count == 1 && infer->passed_count == 0;
    return input != NULL && (queue_has_room(infer->out) || (may_wait && input->data != NULL));
}

/* The loaded set goes first until it has had its runs, then any other one. */
static bool has_turn(const infer_t *infer)
{
    return cnn_is_loaded(infer->set) == (runs_left != 0);
}

static bool goes_before(const infer_t *one, const infer_t *other)
{
    if (one->priority != other->priority) {
        return one->priority > other->priority;
    }
    return has_turn(one) && !has_turn(other);
}

/* The ready segment of the highest priority; of equal ones one whose set has its turn, of these the next in
 * turn. NULL if there is none. */
static infer_t *choose(void)
{
    infer_t *chosen = NULL;
    for (uint8_t i = 0; i < device.infer_count; i++) {
        infer_t *infer = &device.infers[(next_infer + i) % device.infer_count];
        if (is_ready(infer) && (chosen == NULL || goes_before(infer, chosen))) {
            chosen = infer;
        }
    }
    return chosen;
}

/* Loads a part of the set that is wanted; what it is wanted for starts when all of it is there. */
static void load_set(void)
{
    if (cnn_load_part(loading->set)) {
        timing_add(&swaps, started_ticks, port_ticks());
        runs_left = SET_RUNS * loading->set->count;
        start(loading, queue_front(loading->in));
        loading = NULL;
    }
}

static void begin(infer_t *infer, const tensor_t *input)
{
    if (cnn_is_loaded(infer->set)) {
        start(infer, input);
        return;
    }
    loading = infer;
    started_ticks = port_ticks();
    load_set();
}

bool infer_is_busy(void)
{
    return running != NULL || loading != NULL;
}

/* Goes on with what is to run next; false if there is nothing. */
static bool begin_next(void)
{
    if (loading != NULL) {
        load_set();
        return true;
    }
    infer_t *infer = is_held() ? NULL : choose();
    if (infer == NULL) {
        return false;
    }
    next_infer = (uint8_t)(infer - device.infers + 1);
    const tensor_t *input = queue_front(infer->in);
    infer->ended = input->data == NULL;
    if (!infer->ended) {
        begin(infer, input);
        return true;
    }
    queue_push(infer->out, input->run, NULL);
    queue_pop(infer->in);
    return true;
}

/* The next run begins as soon as the one before is unloaded, before anything is done with its result. */
bool infer_poll(void)
{
    bool finished = running != NULL && finish(running);
    return running == NULL && (begin_next() || finished);
}

/* Runs the segment's known input. What is passed on in a run is not part of the result, and counts as 0. */
static void self_test(infer_t *infer)
{
    uint32_t done_ticks;
    started_ticks = port_ticks();
    cnn_select(infer->segment);
    cnn_load_input(infer->segment, infer->known_input);
    cnn_start(infer->segment, infer->known_input);
    while (!is_done(infer, &done_ticks)) {
    }
    uint32_t crc = cnn_output_crc(infer->segment, infer->out->words);
    if (crc != infer->known_crc) {
        console_fatal("self-test", infer->segment->name, crc);
    }
    console_begin("T");
    console_text(infer->segment->name);
    console_hex_field(crc);
    console_end();
    console_wait_for_room();
}

static void load_at_once(const cnn_set_t *set)
{
    while (!cnn_load_part(set)) {
        port_alive();
    }
}

/* Runs the known answers of the segments of a set, and leaves it loaded. */
static void test_set(const cnn_set_t *set)
{
    for (uint8_t i = 0; i < device.infer_count; i++) {
        infer_t *infer = &device.infers[i];
        if (infer->set == set && infer->known_input != NULL) {
            load_at_once(set);
            self_test(infer);
        }
    }
}

void infer_open(void)
{
    if (device.set_count == 0) {
        return;
    }
    cnn_open(device.sets, device.set_count);
    for (uint8_t i = device.set_count; i != 0; i--) {
        test_set(&device.sets[i - 1u]);
    }
    load_at_once(&device.sets[0]);
    runs_left = SET_RUNS * device.sets[0].count;
}

bool infer_stop(void)
{
    uint32_t done_ticks;
    bool runs = running != NULL;
    while (runs && !is_done(running, &done_ticks)) {
    }
    running = NULL;
    loading = NULL;
    return runs;
}

void infer_restart(void)
{
    for (uint8_t i = 0; i < device.infer_count; i++) {
        device.infers[i].ended = false;
    }
    if (device.infer_count != 0) {
        load_at_once(device.infers[0].set);
        runs_left = SET_RUNS * device.infers[0].set->count;
    }
}

const timing_t *infer_swaps(void)
{
    return &swaps;
}
