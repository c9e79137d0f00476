/* A sensor's task on the host: a queue to read from, a clock that the test holds, no console, no accelerator. */
#include "console.h"
#include "device.h"
#include "port.h"
#include "tasks.h"

static uint32_t now_ticks;
static const uint32_t sample = 5;
static const volatile uint32_t open_runs = UINT32_MAX;
static uint32_t storage[2];
static tensor_t slots[2];
static queue_t queue;
static sense_log_t log;
static sense_t sense;

const volatile uint32_t synergy_run_limit = 0;

uint32_t port_ticks(void)
{
    return now_ticks;
}

bool console_has_room(uint32_t bytes)
{
    (void)bytes;
    return false;
}

bool console_is_busy(void)
{
    return false;
}

void console_begin(const char *kind)
{
    (void)kind;
}

void console_text(const char *field)
{
    (void)field;
}

void console_number(uint64_t field)
{
    (void)field;
}

void console_digest(uint32_t crc)
{
    (void)crc;
}

void console_open_words(void)
{
}

void console_words(const uint32_t *words, uint32_t count)
{
    (void)words;
    (void)count;
}

uint32_t cnn_output_crc(const cnn_segment_t *segment, uint32_t count)
{
    (void)segment;
    (void)count;
    return 0;
}

void cnn_unload_part(const cnn_segment_t *segment, uint32_t first, uint32_t count, uint32_t *words)
{
    (void)segment;
    (void)first;
    (void)count;
    (void)words;
}

void console_end(void)
{
}

void console_abandon(void)
{
}

static const uint32_t *take(void *state, const queue_t *out, uint32_t run)
{
    (void)state;
    (void)out;
    (void)run;
    return &sample;
}

/* Starts a sensor whose clock stands at `ticks`; its queue takes two samples. */
void test_start(uint32_t ticks, uint64_t period_ticks)
{
    now_ticks = ticks;
    queue = (queue_t){.words = 1, .depth = 2, .slots = slots, .storage = storage};
    log = (sense_log_t){.count = 0};
    sense = (sense_t){
        .app = "test",
        .out = &queue,
        .sensor = {.take = take},
        .open_runs = &open_runs,
        .log = &log,
        .period_ticks = period_ticks,
    };
}

/* Lets time pass, then asks the task; true if it sensed. */
bool test_sense(uint32_t ticks)
{
    now_ticks += ticks;
    return sense_poll(&sense);
}

/* Makes room for a sample. */
void test_pop(void)
{
    queue_pop(&queue);
}
