/* The link protocol on the host: two ends, a port whose wires and clock the test holds. */
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "port.h"

#define RING_BYTES 8192u
#define STREAMS 2u

typedef struct {
    uint8_t bytes[RING_BYTES];
    size_t count;
} pipe_t;

typedef struct {
    wire_t wire;
    link_t link;
    link_sender_t senders[STREAMS];
    link_receiver_t receivers[STREAMS];
    queue_t out[STREAMS], in[STREAMS];
    tensor_t out_slots[STREAMS][4], in_slots[STREAMS][4];
} end_t;

static uint32_t now_ticks, sessions;
static pipe_t sent[2], arrived[2];
static end_t ends[2];
static uint8_t plain[2][FRAME_PLAIN_BYTES];

/* Keys of secured links, and random numbers that are not random; none while the generator is broken. */
static uint8_t keys[2][LINK_KEY_BYTES];
static link_security_t security[2];
static bool is_secured[2], is_generator_broken;
static uint32_t numbers;

uint32_t port_ticks(void)
{
    return now_ticks;
}

uint32_t port_new_session(void)
{
    return ++sessions;
}

bool port_random(uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        numbers = numbers * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(numbers >> 24);
    }
    return !is_generator_broken;
}

void port_uart_open(uint8_t uart, uint32_t rate_bd)
{
    (void)uart;
    (void)rate_bd;
}

size_t port_uart_room(uint8_t uart)
{
    return RING_BYTES - sent[uart].count;
}

bool port_uart_write(uint8_t uart, const uint8_t *bytes, size_t count)
{
    if (port_uart_room(uart) < count) {
        return false;
    }
    memcpy(sent[uart].bytes + sent[uart].count, bytes, count);
    sent[uart].count += count;
    return true;
}

static size_t take(pipe_t *pipe, uint8_t *bytes, size_t count)
{
    size_t taken = count < pipe->count ? count : pipe->count;
    memcpy(bytes, pipe->bytes, taken);
    memmove(pipe->bytes, pipe->bytes + taken, pipe->count - taken);
    pipe->count -= taken;
    return taken;
}

size_t port_uart_read(uint8_t uart, uint8_t *bytes, size_t count)
{
    return take(&arrived[uart], bytes, count);
}

static void set_up_queue(queue_t *queue, tensor_t *slots, uint32_t words, uint8_t depth)
{
    free(queue->storage);
    *queue = (queue_t){.words = words, .depth = depth, .slots = slots};
    queue->storage = calloc((size_t)words * depth, sizeof *queue->storage);
}

/* From its next start on, end `side` secures its link with a key, or (NULL) does not. */
void test_set_key(unsigned side, const uint8_t *key)
{
    is_secured[side] = key != NULL;
    if (key != NULL) {
        memcpy(keys[side], key, LINK_KEY_BYTES);
    }
}

void test_break_generator(bool broken)
{
    is_generator_broken = broken;
}

/* forged, replayed */
void test_refused(unsigned side, uint32_t *counts)
{
    counts[0] = security[side].forged_frames;
    counts[1] = security[side].replayed_frames;
}

/* (Re)starts end `side`; both ends send and receive streams 0 and 1 of `words[stream]` words. */
void test_start(unsigned side, const uint32_t *words, uint8_t depth, uint16_t payload_bytes, uint32_t plan_id,
                uint8_t answer_every)
{
    end_t *end = &ends[side];
    memset(&end->wire, 0, sizeof end->wire);
    memset(&end->link, 0, sizeof end->link);
    memset(end->senders, 0, sizeof end->senders);
    memset(end->receivers, 0, sizeof end->receivers);
    for (uint8_t stream = 0; stream < STREAMS; stream++) {
        set_up_queue(&end->out[stream], end->out_slots[stream], words[stream], depth);
        set_up_queue(&end->in[stream], end->in_slots[stream], words[stream], depth);
        end->senders[stream].number = stream;
        end->senders[stream].queue = &end->out[stream];
        end->receivers[stream].number = stream;
        end->receivers[stream].queue = &end->in[stream];
    }
    end->wire.uart = (uint8_t)side;
    end->wire.decoder.plain = plain[side];
    end->wire.decoder.plain_bytes = sizeof plain[side];
    end->wire.links = &end->link;
    end->wire.link_count = 1;
    end->link.name = "host";
    end->link.wire = &end->wire;
    end->link.own = (uint8_t)side;
    end->link.peer = (uint8_t)(1u - side);
    end->link.plan_id = plan_id;
    end->link.call_ticks = 200;
    end->link.answer_ticks = 1000;
    end->link.beat_ticks = 2000;
    end->link.lost_ticks = 40000;
    end->link.window = 8;
    end->link.answer_every = answer_every;
    end->link.low_credit = answer_every == 1 ? 8 : answer_every;
    end->link.payload_bytes = payload_bytes;
    end->link.senders = end->senders;
    end->link.sender_count = STREAMS;
    end->link.receivers = end->receivers;
    end->link.receiver_count = STREAMS;
    security[side] = (link_security_t){0};
    end->link.key = keys[side];
    end->link.security = is_secured[side] ? &security[side] : NULL;
    sent[side].count = 0;
    arrived[side].count = 0;
    wire_open(&end->wire);
}

/* End `side` goes over to plan `plan`: queues are emptied, streams have the numbers of that plan. */
void test_carry(unsigned side, uint8_t plan)
{
    end_t *end = &ends[side];
    for (uint8_t stream = 0; stream < STREAMS; stream++) {
        queue_clear(&end->out[stream]);
        queue_clear(&end->in[stream]);
        end->senders[stream].number = (uint8_t)(STREAMS * plan + stream);
        end->receivers[stream].number = (uint8_t)(STREAMS * plan + stream);
    }
    link_carry(&end->link, &(link_streams_t){end->senders, end->receivers, STREAMS, STREAMS});
}

bool test_hears(unsigned side)
{
    return link_hears(&ends[side].link);
}

void test_set_ticks(uint32_t ticks)
{
    now_ticks = ticks;
}

void test_advance(uint32_t ticks)
{
    now_ticks += ticks;
}

bool test_poll(unsigned side)
{
    return wire_poll(&ends[side].wire);
}

bool test_is_up(unsigned side)
{
    return link_is_up(&ends[side].link);
}

bool test_has_ended(unsigned side)
{
    return link_has_ended(&ends[side].link);
}

/* Puts a tensor into a queue to be sent, or the end mark (`words` NULL); false if it is full. */
bool test_send(unsigned side, unsigned stream, uint32_t run, const uint32_t *words)
{
    queue_t *queue = &ends[side].out[stream];
    if (!queue_has_room(queue)) {
        return false;
    }
    uint32_t *slot = words != NULL ? queue_next(queue) : NULL;
    if (slot != NULL) {
        memcpy(slot, words, queue->words * sizeof *words);
    }
    queue_push(queue, run, slot);
    return true;
}

/* Takes a tensor that arrived: 0 none, 1 a tensor, 2 the end mark. */
int test_receive(unsigned side, unsigned stream, uint32_t *run, uint32_t *words)
{
    queue_t *queue = &ends[side].in[stream];
    const tensor_t *tensor = queue_front(queue);
    if (tensor == NULL) {
        return 0;
    }
    bool is_end = tensor->data == NULL;
    *run = tensor->run;
    if (!is_end) {
        memcpy(words, tensor->data, queue->words * sizeof *words);
    }
    queue_pop(queue);
    return is_end ? 2 : 1;
}

size_t test_take_sent(unsigned side, uint8_t *bytes, size_t count)
{
    return take(&sent[side], bytes, count);
}

void test_deliver(unsigned side, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count && arrived[side].count < RING_BYTES; i++) {
        arrived[side].bytes[arrived[side].count++] = bytes[i];
    }
}

/* tensors, dropped, frames, resent of a sender; duplicates, abandoned of the receiver of that number. */
void test_counts(unsigned side, unsigned stream, uint32_t *counts)
{
    const link_sent_t *out = &ends[side].senders[stream].counts;
    const link_received_t *in = &ends[side].receivers[stream].counts;
    counts[0] = out->tensors;
    counts[1] = out->dropped;
    counts[2] = out->frames;
    counts[3] = out->resent;
    counts[4] = in->duplicates;
    counts[5] = in->abandoned;
    counts[6] = ends[side].wire.damaged_frames;
    counts[7] = ends[side].wire.foreign_frames;
}

uint32_t test_losses(unsigned side)
{
    return ends[side].link.losses;
}

uint32_t test_session(unsigned side)
{
    return ends[side].link.session;
}

/* Frames without a link: fields in the order of the header. */
enum { KIND, FROM, TO, STREAM, PLAN, SESSION, SEQUENCE, FRAGMENT, COUNT, RUN, FIELDS };

size_t test_encode(const uint32_t *fields, const uint8_t *payload, uint16_t size_bytes, uint8_t *out)
{
    frame_t frame = {
        .kind = (uint8_t)fields[KIND],
        .from = (uint8_t)fields[FROM],
        .to = (uint8_t)fields[TO],
        .stream = (uint8_t)fields[STREAM],
        .plan = (uint16_t)fields[PLAN],
        .session = (uint16_t)fields[SESSION],
        .sequence = (uint16_t)fields[SEQUENCE],
        .fragment = (uint16_t)fields[FRAGMENT],
        .count = (uint16_t)fields[COUNT],
        .run = fields[RUN],
        .size_bytes = size_bytes,
        .payload = payload,
    };
    return frame_encode(&frame, out);
}

/* Feeds bytes to a fresh decoder; returns the number of good frames, the last one in `fields`. */
int test_decode(const uint8_t *bytes, size_t count, uint32_t *fields, uint8_t *payload, uint16_t *size_bytes, int *damaged)
{
    static uint8_t plain[FRAME_PLAIN_BYTES];
    decoder_t decoder = {.plain = plain, .plain_bytes = sizeof plain};
    int good = 0;
    *damaged = 0;
    for (size_t at = 0, used; at < count; at += used) {
        decoder_result_t result = decoder_feed(&decoder, bytes + at, count - at, &used);
        *damaged += result == DECODER_DAMAGED ? 1 : 0;
        if (result != DECODER_FRAME) {
            continue;
        }
        const frame_t *frame = &decoder.frame;
        const uint32_t values[FIELDS] = {frame->kind, frame->from, frame->to, frame->stream, frame->plan,
            frame->session, frame->sequence, frame->fragment, frame->count, frame->run};
        memcpy(fields, values, sizeof values);
        *size_bytes = frame->size_bytes;
        memcpy(payload, frame->payload, frame->size_bytes);
        good++;
    }
    return good;
}

#if FRAME_SEAL_BYTES
/* Why a secured link cannot come up; "" for no reason. */
const char *test_obstacle(unsigned side)
{
    const char *obstacle = link_obstacle(&ends[side].link);
    return obstacle != NULL ? obstacle : "";
}
#endif

uint32_t test_crc32(const uint8_t *bytes, size_t count)
{
    return frame_crc32(0, bytes, count);
}
