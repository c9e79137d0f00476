#include <string.h>

#include "link_parts.h"
#include "port.h"

/* An acknowledgement waits for more fragments no longer than this part of a sender's time-out. */
#define ANSWER_SHARE 4u

static link_receiver_t *receiver_of(link_t *link, uint8_t number)
{
    for (uint8_t i = 0; i < link->receiver_count; i++) {
        if (link->receivers[i].number == number) {
            return &link->receivers[i];
        }
    }
    return NULL;
}

static bool is_well_formed(const link_t *link, const link_receiver_t *receiver, const frame_t *data)
{
    if (data->kind == FRAME_END) {
        return data->count == 1u && data->fragment == 0u && data->size_bytes == 0u;
    }
    return data->count == link_fragments(link, receiver->queue) && data->fragment < data->count &&
           data->size_bytes == link_fragment_bytes(link, receiver->queue, data->fragment);
}

/* Takes the mark that no more runs come; it has no number but the next one. */
static void accept_end(link_receiver_t *receiver, const frame_t *end)
{
    if (end->sequence != receiver->base || receiver->base != receiver->first || !queue_has_room(receiver->queue)) {
        return;
    }
    queue_push(receiver->queue, end->run, NULL);
    receiver->base++;
    receiver->first = receiver->base;
    receiver->ended = true;
}

/* Copies a fragment to its place in one of the queue's free tensors; false if there is none for it. */
static bool store(const link_t *link, const link_receiver_t *receiver, const frame_t *data)
{
    uint16_t place = (uint16_t)(data->sequence - receiver->first);
    uint16_t ahead = (uint16_t)(place / data->count);
    if (place % data->count != data->fragment || ahead >= queue_room(receiver->queue)) {
        return false;
    }
    uint8_t *tensor = (uint8_t *)queue_place(receiver->queue, (uint8_t)ahead);
    memcpy(tensor + (size_t)data->fragment * link->payload_bytes, data->payload, data->size_bytes);
    queue_note_run(receiver->queue, (uint8_t)ahead, data->run);
    return true;
}

/* Moves on over what is here without a gap, and hands over tensors that are complete. */
static void advance(link_receiver_t *receiver, uint16_t fragments)
{
    while ((receiver->seen & 1u) != 0) {
        receiver->seen >>= 1;
        receiver->base++;
        if ((uint16_t)(receiver->base - receiver->first) == fragments) {
            queue_push(receiver->queue, queue_run(receiver->queue), queue_next(receiver->queue));
            receiver->first = receiver->base;
            receiver->counts.tensors++;
        }
    }
}

void link_receive_data(link_t *link, const frame_t *data)
{
    link_receiver_t *receiver = receiver_of(link, data->stream);
    if (receiver == NULL || !is_well_formed(link, receiver, data)) {
        link->wire->foreign_frames++;
        return;
    }
    uint16_t ahead = (uint16_t)(data->sequence - receiver->base);
    bool is_old = ahead >= 0x8000u;
    if (is_old || (ahead < LINK_BITMAP && (receiver->seen >> ahead & 1u) != 0)) {
        receiver->counts.duplicates++;
        receiver->answer_due = true; /* the first answer may have been lost */
        return;
    }
    if (data->kind == FRAME_END) {
        accept_end(receiver, data);
        receiver->answer_due = true;
        return;
    }
    if (receiver->unanswered++ == 0) {
        receiver->unanswered_ticks = port_ticks();
    }
    receiver->answer_due = receiver->answer_due || ahead != 0 || receiver->unanswered >= link->answer_every;
    if (ahead < LINK_BITMAP && store(link, receiver, data)) {
        receiver->seen |= 1u << ahead;
        advance(receiver, data->count);
    }
}

void link_receive_ask(link_t *link, const frame_t *ask)
{
    link_receiver_t *receiver = receiver_of(link, ask->stream);
    if (receiver == NULL) {
        link->wire->foreign_frames++;
    } else {
        receiver->answer_due = true;
    }
}

/* After this the peer begins again with sequence number 0, and is told of our room. */
void link_restart_receivers(link_t *link)
{
    for (uint8_t i = 0; i < link->receiver_count; i++) {
        link_receiver_t *receiver = &link->receivers[i];
        bool begun = receiver->base != receiver->first || receiver->seen != 0;
        receiver->counts.abandoned += begun ? 1u : 0u;
        receiver->first = 0;
        receiver->base = 0;
        receiver->seen = 0;
        receiver->unanswered = 0;
        receiver->limit = 0;
        receiver->answer_due = true;
        receiver->ended = false;
    }
}

/* An acknowledgement is also due when there is room again for a sender that may be waiting for it. */
static bool must_answer(const link_t *link, const link_receiver_t *receiver, uint16_t limit)
{
    bool may_wait = (uint16_t)(receiver->limit - receiver->base) < link->low_credit;
    bool overdue =
        receiver->unanswered != 0 && link_has_passed(receiver->unanswered_ticks, link->answer_ticks / ANSWER_SHARE);
    return receiver->answer_due || overdue || (may_wait && limit != receiver->limit);
}

bool link_poll_receivers(link_t *link)
{
    bool busy = false;
    for (uint8_t i = 0; link_is_up(link) && i < link->receiver_count; i++) {
        link_receiver_t *receiver = &link->receivers[i];
        uint16_t room = (uint16_t)(link_fragments(link, receiver->queue) * queue_room(receiver->queue));
        uint16_t limit = (uint16_t)(receiver->first + room);
        if (!must_answer(link, receiver, limit)) {
            continue;
        }
        frame_t ack = {
            .kind = FRAME_ACK,
            .stream = receiver->number,
            .sequence = receiver->base,
            .count = limit,
            .run = receiver->seen,
        };
        if (link_send_frame(link, &ack)) {
            receiver->limit = limit;
            receiver->unanswered = 0;
            receiver->answer_due = false;
            busy = true;
        }
    }
    return busy;
}
