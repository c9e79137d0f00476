#include <string.h>

#include "link_parts.h"
#include "port.h"

/* Transfer numbers wrap around: true if `a` comes after `b`. */
static bool after(uint16_t a, uint16_t b)
{
    return (int16_t)(uint16_t)(a - b) > 0;
}

static void answer(const link_t *link, const frame_t *data, frame_kind_t kind, uint16_t fragment)
{
    frame_t frame = {
        .kind = (uint8_t)kind,
        .stream = data->stream,
        .transfer = data->transfer,
        .fragment = fragment,
        .count = data->count,
        .run = data->run,
    };
    link_send_frame(link, &frame); /* if there is no room the sender asks again */
}

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

/* Makes `receiver` ready for the transfer that `data` belongs to; false if the frame was dealt with. */
static bool accept_transfer(const link_t *link, link_receiver_t *receiver, const frame_t *data)
{
    bool is_old = (receiver->any_done || receiver->receiving) && !after(data->transfer, receiver->transfer);
    if (is_old && !(receiver->receiving && data->transfer == receiver->transfer)) {
        receiver->counts.duplicates++;
        answer(link, data, FRAME_ACK, data->count);
        return false;
    }
    if (receiver->receiving && data->transfer == receiver->transfer) {
        return true;
    }
    receiver->counts.abandoned += receiver->receiving ? 1u : 0u;
    receiver->receiving = false;
    receiver->refused = !queue_has_room(receiver->queue);
    receiver->refused_transfer = data->transfer;
    if (receiver->refused || data->fragment != 0) { /* no buffer, or the first fragment was lost */
        answer(link, data, receiver->refused ? FRAME_BUSY : FRAME_ACK, 0);
        return false;
    }
    receiver->receiving = true;
    receiver->transfer = data->transfer;
    receiver->next_fragment = 0;
    receiver->began_ticks = port_ticks();
    return true;
}

static void complete_transfer(link_receiver_t *receiver, const frame_t *data)
{
    receiver->receiving = false;
    receiver->any_done = true;
    receiver->ended = data->kind == FRAME_END;
    receiver->counts.tensors += receiver->ended ? 0u : 1u;
    receiver->counts.ticks += port_ticks() - receiver->began_ticks;
    queue_push(receiver->queue, data->run, receiver->ended ? NULL : queue_next(receiver->queue));
}

void link_receive_data(link_t *link, const frame_t *data)
{
    link_receiver_t *receiver = receiver_of(link, data->stream);
    if (!link->peer_known || receiver == NULL || !is_well_formed(link, receiver, data)) {
        link->foreign_frames++;
        return;
    }
    if (!accept_transfer(link, receiver, data)) {
        return;
    }
    if (data->fragment == receiver->next_fragment) {
        if (data->kind == FRAME_DATA) {
            uint8_t *tensor = (uint8_t *)queue_next(receiver->queue);
            memcpy(tensor + (size_t)data->fragment * link->payload_bytes, data->payload, data->size_bytes);
        }
        receiver->next_fragment++;
    } else if (data->fragment < receiver->next_fragment) {
        receiver->counts.duplicates++;
    }
    answer(link, data, FRAME_ACK, receiver->next_fragment);
    if (receiver->next_fragment == data->count) {
        complete_transfer(receiver, data);
    }
}

/* After this the peer may begin anew with any transfer number. */
void link_forget_received(link_t *link)
{
    for (uint8_t i = 0; i < link->receiver_count; i++) {
        link->receivers[i].any_done = false;
        link->receivers[i].receiving = false;
        link->receivers[i].refused = false;
    }
}

/* Tells a sender that was refused as soon as there is room; if this is lost it asks by itself. */
bool link_poll_receivers(link_t *link)
{
    bool busy = false;
    for (uint8_t i = 0; i < link->receiver_count; i++) {
        link_receiver_t *receiver = &link->receivers[i];
        if (receiver->refused && queue_has_room(receiver->queue)) {
            frame_t ready = {
                .kind = FRAME_ACK,
                .stream = receiver->number,
                .transfer = receiver->refused_transfer,
            };
            link_send_frame(link, &ready);
            receiver->refused = false;
            busy = true;
        }
    }
    return busy;
}
