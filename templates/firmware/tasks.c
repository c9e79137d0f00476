#include "tasks.h"

#include "console.h"
#include "device.h"
#include "framing.h"
#include "port.h"

/* Words of a result that are written at once, and the characters they take. */
#define WORDS_AT_ONCE 16u
#define PIECE_BYTES (WORDS_AT_ONCE * 8u + 64u)
/* Results that are longer are written whole only for the first runs, then as their CRC-32: the console is
 * slower than what makes them. */
#define WHOLE_RESULT_WORDS 64u
#define WHOLE_RESULT_RUNS 2u

void timing_add(timing_t *timing, uint32_t began_ticks, uint32_t ended_ticks)
{
    uint32_t took = ended_ticks - began_ticks;
    timing->count++;
    timing->ticks += took;
    timing->longest_ticks = took > timing->longest_ticks ? took : timing->longest_ticks;
}

/* ---- Sense ---- */

static void log_run(sense_log_t *log, uint32_t run, uint32_t ticks)
{
    uint32_t entry = log->count % SENSE_LOG_ENTRIES;
    log->entries[entry].run = run;
    log->entries[entry].ticks = ticks;
    log->count++;
}

/* The counter of ticks wraps after a minute or so, sooner than some sensors are due and than a queue may stay
 * full: what passes from one look to the next is added up. */
static bool is_due(sense_t *sense)
{
    if (sense->period_ticks == 0) {
        return true;
    }
    uint32_t now = port_ticks();
    sense->waited_ticks += now - sense->looked_ticks;
    sense->looked_ticks = now;
    if (sense->next_run == 0) {
        sense->waited_ticks = sense->period_ticks; /* the first sample is due at once */
    }
    return sense->waited_ticks >= sense->period_ticks;
}

void sense_restart(sense_t *sense, queue_t *out)
{
    sense->out = out;
    sense->ended = false; /* the new queue needs an end mark of its own */
    sense->looked_ticks = port_ticks();
    if (sense->sensor.restart != NULL) {
        sense->sensor.restart(sense->sensor.state);
    }
}

bool sense_poll(sense_t *sense)
{
    if (sense->out == NULL) {
        return false;
    }
    bool due = !sense->ended && is_due(sense);
    if (sense->ended || !queue_has_room(sense->out)) {
        return false;
    }
    if (synergy_run_limit != 0 && sense->next_run == synergy_run_limit) {
        queue_push(sense->out, sense->next_run, NULL);
        sense->ended = true;
        return true;
    }
    if (sense->next_run >= *sense->open_runs || !due) {
        return false;
    }
    uint32_t began = port_ticks();
    const uint32_t *sample = sense->sensor.take(sense->sensor.state, sense->out, sense->next_run);
    if (sample == NULL) {
        return false;
    }
    sense->waited_ticks -= sense->period_ticks;
    log_run(sense->log, sense->next_run, began);
    queue_push(sense->out, sense->next_run, sample);
    sense->next_run++;
    timing_add(&sense->timing, began, port_ticks());
    return true;
}

/* ---- Interact ---- */

static bool is_whole(const interact_t *interact, const tensor_t *result)
{
    return interact->in->words <= WHOLE_RESULT_WORDS || result->run < WHOLE_RESULT_RUNS;
}

static uint32_t crc_of(const interact_t *interact, const tensor_t *result)
{
    if (interact->held != NULL) {
        return cnn_output_crc(interact->held, interact->in->words);
    }
    return frame_crc32(0, (const uint8_t *)result->data, interact->in->words * sizeof *result->data);
}

static void write_words(const interact_t *interact, const tensor_t *result, uint32_t count)
{
    uint32_t copy[WORDS_AT_ONCE];
    const uint32_t *words = copy;
    if (interact->held != NULL) {
        cnn_unload_part(interact->held, interact->words_written, count, copy);
    } else {
        words = result->data + interact->words_written;
    }
    console_words(words, count);
}

static void begin_result(interact_t *interact, const tensor_t *result)
{
    interact->writing = true;
    interact->words_written = 0;
    interact->began_ticks = port_ticks();
    console_begin("R");
    console_text(interact->app);
    console_number(result->run);
    if (is_whole(interact, result)) {
        console_open_words();
    } else {
        console_digest(crc_of(interact, result));
        interact->words_written = interact->in->words;
    }
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
    interact->ended = false; /* a sensor that was reset begins again */
    if (!interact->writing) {
        begin_result(interact, result);
    }
    uint32_t left = interact->in->words - interact->words_written;
    uint32_t count = left < WORDS_AT_ONCE ? left : WORDS_AT_ONCE;
    write_words(interact, result, count);
    interact->words_written += count;
    if (interact->words_written == interact->in->words) {
        end_result(interact);
    }
    return true;
}

void interact_restart(interact_t *interact)
{
    if (interact->writing) {
        console_abandon();
    }
    interact->writing = false;
    interact->ended = false;
}
