#include "link_parts.h"
#include "port.h"

/* Room that data frames leave in the sending buffer, so that answers never wait for them. */
#define ANSWER_RESERVE_BYTES (LINK_WINDOW * (FRAME_HEADER_BYTES + FRAME_CRC_BYTES + 4u))

static void finish_transfer(link_t *link, bool delivered)
{
    link_sender_t *sender = link->transfer.sender;
    bool is_end = queue_front(sender->queue)->data == NULL;
    if (is_end) {
        sender->ended = true;
    } else if (delivered) {
        sender->counts.tensors++;
        sender->counts.ticks += port_ticks() - link->transfer.began_ticks;
    } else {
        sender->counts.dropped++;
    }
    sender->next_transfer++;
    queue_pop(sender->queue);
    link->transfer.sender = NULL;
}

static bool is_for_transfer(const link_t *link, const frame_t *frame)
{
    const link_sender_t *sender = link->transfer.sender;
    return sender != NULL && frame->stream == sender->number && frame->transfer == sender->next_transfer;
}

void link_receive_ack(link_t *link, const frame_t *ack)
{
    link_transfer_t *transfer = &link->transfer;
    if (!is_for_transfer(link, ack) || ack->fragment < transfer->base || ack->fragment > transfer->highest) {
        return; /* an answer to something that is settled */
    }
    if (ack->fragment == transfer->base) { /* the peer misses this fragment: go back to it, once */
        transfer->next = transfer->rewound && !transfer->refused ? transfer->next : transfer->base;
        transfer->rewound = true;
        transfer->refused = false;
        return;
    }
    transfer->base = ack->fragment;
    transfer->next = transfer->next < transfer->base ? transfer->base : transfer->next;
    transfer->rewound = false;
    transfer->refused = false;
    transfer->attempts = 0;
    transfer->deadline_ticks = port_ticks() + link->timeout_ticks;
    if (transfer->base == transfer->count) {
        finish_transfer(link, true);
    }
}

void link_receive_busy(link_t *link, const frame_t *busy)
{
    if (!is_for_transfer(link, busy) || link->transfer.base != 0) {
        return;
    }
    link->transfer.refused = true; /* the peer lives, so this is no failed attempt */
    link->transfer.attempts = 0;
    link->transfer.deadline_ticks = port_ticks() + link->timeout_ticks;
}

/* The peer has forgotten what it had received. */
void link_restart_transfer(link_t *link)
{
    link->transfer.base = 0;
    link->transfer.next = 0;
    link->transfer.attempts = 0;
    link->transfer.rewound = false;
    link->transfer.refused = false;
}

static bool begin_transfer(link_t *link)
{
    for (uint8_t i = 0; i < link->sender_count; i++) {
        link_sender_t *sender = &link->senders[(link->next_sender + i) % link->sender_count];
        const tensor_t *tensor = queue_front(sender->queue);
        if (tensor == NULL) {
            continue;
        }
        link->next_sender = (uint8_t)((link->next_sender + i + 1u) % link->sender_count);
        link->transfer = (link_transfer_t){
            .sender = sender,
            .count = tensor->data != NULL ? link_fragments(link, sender->queue) : 1u,
            .began_ticks = port_ticks(),
            .deadline_ticks = port_ticks() + link->timeout_ticks,
        };
        return true;
    }
    return false;
}

static bool send_fragment(link_t *link)
{
    link_transfer_t *transfer = &link->transfer;
    link_sender_t *sender = transfer->sender;
    uint16_t window = transfer->refused ? 1u : LINK_WINDOW; /* one fragment is enough to ask again */
    bool may_send = transfer->next < transfer->count && transfer->next - transfer->base < window;
    if (!may_send || port_uart_room(link->uart) < FRAME_ENCODED_BYTES + ANSWER_RESERVE_BYTES) {
        return false;
    }
    const tensor_t *tensor = queue_front(sender->queue);
    frame_t frame = {
        .kind = tensor->data != NULL ? FRAME_DATA : FRAME_END,
        .stream = sender->number,
        .transfer = sender->next_transfer,
        .fragment = transfer->next,
        .count = transfer->count,
        .run = tensor->run,
    };
    if (tensor->data != NULL) {
        frame.size_bytes = link_fragment_bytes(link, sender->queue, transfer->next);
        frame.payload = (const uint8_t *)tensor->data + (size_t)transfer->next * link->payload_bytes;
    }
    link_send_frame(link, &frame);
    sender->counts.frames++;
    sender->counts.resent += transfer->next < transfer->highest ? 1u : 0u;
    transfer->next++;
    transfer->highest = transfer->next > transfer->highest ? transfer->next : transfer->highest;
    return true;
}

/* Goes back to the oldest unacknowledged fragment when an answer is overdue. */
static bool poll_timeout(link_t *link)
{
    link_transfer_t *transfer = &link->transfer;
    if (!link_is_due(transfer->deadline_ticks)) {
        return false;
    }
    if (++transfer->attempts >= LINK_ATTEMPTS) {
        finish_transfer(link, false);
        return true;
    }
    transfer->next = transfer->base;
    transfer->rewound = false;
    transfer->deadline_ticks = port_ticks() + link->timeout_ticks;
    return true;
}

bool link_poll_sender(link_t *link)
{
    if (!link_is_up(link)) {
        return false;
    }
    if (link->transfer.sender == NULL && !begin_transfer(link)) {
        return false;
    }
    return send_fragment(link) || poll_timeout(link);
}
