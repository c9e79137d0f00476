#include "link_parts.h"
#include "port.h"

/* Room that data frames leave in the sending buffer, so that answers never wait for them. */
#define ANSWER_RESERVE_BYTES (4u * (FRAME_HEADER_BYTES + FRAME_SEAL_BYTES + FRAME_CRC_BYTES + 1u + FRAME_GROUP_BYTES))
/* The time-out is doubled after each one in a row, so many times at most. */
#define BACK_OFF_LIMIT 3u

/* Sequence numbers wrap around: true if `a` comes before `b`. */
static bool before(uint16_t a, uint16_t b)
{
    return (int16_t)(uint16_t)(a - b) < 0;
}

/* Bits of the fragments that are under way. */
static uint32_t under_way(const link_sender_t *sender)
{
    uint16_t count = (uint16_t)(sender->next - sender->base);
    return count >= 32u ? UINT32_MAX : (1u << count) - 1u;
}

static void arm(link_sender_t *sender)
{
    sender->armed_ticks = port_ticks();
}

static bool has_timed_out(const link_t *link, const link_sender_t *sender)
{
    uint32_t factor = 1u << (sender->attempts < BACK_OFF_LIMIT ? sender->attempts : BACK_OFF_LIMIT);
    return link_has_passed(sender->armed_ticks, link->answer_ticks * factor);
}

static void drop(link_sender_t *sender)
{
    queue_pop(sender->queue);
    sender->counts.dropped++;
}

/* Removes the tensors whose fragments are all acknowledged. */
static void retire(const link_t *link, link_sender_t *sender)
{
    uint16_t fragments = link_fragments(link, sender->queue);
    const tensor_t *tensor;
    while ((tensor = queue_front(sender->queue)) != NULL) {
        uint16_t size = tensor->data != NULL ? fragments : 1u;
        if (before(sender->base, (uint16_t)(sender->first + size))) {
            return;
        }
        sender->ended = tensor->data == NULL;
        sender->counts.tensors += sender->ended ? 0u : 1u;
        sender->first = (uint16_t)(sender->first + size);
        queue_pop(sender->queue);
    }
}

/* A wire keeps the order: what is missing while something later is there was lost. */
static uint32_t overtaken(uint32_t acked)
{
    uint32_t below = acked;
    for (unsigned shift = 1; shift < 32u; shift *= 2u) {
        below |= below >> shift;
    }
    return below & ~acked;
}

static link_sender_t *sender_of(link_t *link, uint8_t number)
{
    for (uint8_t i = 0; i < link->sender_count; i++) {
        if (link->senders[i].number == number) {
            return &link->senders[i];
        }
    }
    return NULL;
}

void link_receive_ack(link_t *link, const frame_t *ack)
{
    link_sender_t *sender = sender_of(link, ack->stream);
    if (sender == NULL || before(ack->sequence, sender->base) || before(sender->next, ack->sequence)) {
        return; /* overtaken by a newer one, or nothing that we ever sent */
    }
    uint16_t step = (uint16_t)(ack->sequence - sender->base);
    if (step != 0) {
        sender->acked = step < 32u ? sender->acked >> step : 0;
        sender->lost = step < 32u ? sender->lost >> step : 0;
        sender->again = step < 32u ? sender->again >> step : 0;
        sender->base = ack->sequence;
        sender->attempts = 0;
        arm(sender);
        retire(link, sender);
    }
    sender->limit = before(sender->limit, ack->count) ? ack->count : sender->limit;
    sender->acked |= ack->run & under_way(sender);
    sender->lost = (sender->lost | (overtaken(sender->acked) & ~sender->again)) & ~sender->acked;
}

static void clear(link_sender_t *sender)
{
    sender->first = 0;
    sender->base = 0;
    sender->next = 0;
    sender->limit = 0;
    sender->acked = 0;
    sender->lost = 0;
    sender->again = 0;
    sender->attempts = 0;
    arm(sender);
}

void link_clear_senders(link_t *link)
{
    for (uint8_t i = 0; i < link->sender_count; i++) {
        clear(&link->senders[i]);
        link->senders[i].ended = false;
    }
}

/* A tensor that was sent completely may have arrived: it is not sent again, lest it be delivered twice. */
void link_restart_senders(link_t *link)
{
    for (uint8_t i = 0; i < link->sender_count; i++) {
        link_sender_t *sender = &link->senders[i];
        uint16_t fragments = link_fragments(link, sender->queue);
        const tensor_t *tensor;
        while ((tensor = queue_front(sender->queue)) != NULL && tensor->data != NULL &&
               !before(sender->next, (uint16_t)(sender->first + fragments))) {
            sender->first = (uint16_t)(sender->first + fragments);
            drop(sender);
        }
        clear(sender);
    }
}

/* Sends the fragment with a sequence number that belongs to a tensor in the queue. */
static bool send_fragment(link_t *link, const link_sender_t *sender, uint16_t sequence)
{
    uint16_t fragments = link_fragments(link, sender->queue);
    uint16_t place = (uint16_t)(sequence - sender->first);
    const tensor_t *tensor = queue_at(sender->queue, (uint8_t)(place / fragments));
    frame_t frame = {
        .kind = tensor->data != NULL ? FRAME_DATA : FRAME_END,
        .stream = sender->number,
        .sequence = sequence,
        .fragment = (uint16_t)(place % fragments),
        .count = tensor->data != NULL ? fragments : 1u,
        .run = tensor->run,
    };
    if (tensor->data != NULL) {
        frame.size_bytes = link_fragment_bytes(link, sender->queue, frame.fragment);
        frame.payload = (const uint8_t *)tensor->data + (size_t)frame.fragment * link->payload_bytes;
    }
    return link_send_frame(link, &frame);
}

static bool send_again(link_t *link, link_sender_t *sender)
{
    unsigned position = 0;
    while ((sender->lost >> position & 1u) == 0) {
        position++;
    }
    if (!send_fragment(link, sender, (uint16_t)(sender->base + position))) {
        return false;
    }
    sender->lost &= ~(1u << position);
    sender->again |= 1u << position;
    sender->counts.frames++;
    sender->counts.resent++;
    return true;
}

/* True if there is a fragment that was never sent, whatever the peer has room for. */
static bool has_new(const link_t *link, const link_sender_t *sender)
{
    uint16_t fragments = link_fragments(link, sender->queue);
    uint16_t place = (uint16_t)(sender->next - sender->first);
    const tensor_t *tensor = queue_at(sender->queue, (uint8_t)(place / fragments));
    return tensor != NULL && (tensor->data != NULL || place % fragments == 0);
}

static bool send_new(link_t *link, link_sender_t *sender)
{
    uint16_t count = (uint16_t)(sender->next - sender->base);
    if (count >= link->window || !before(sender->next, sender->limit) || !has_new(link, sender) ||
        !send_fragment(link, sender, sender->next)) {
        return false;
    }
    if (count == 0) {
        arm(sender);
    }
    sender->next++;
    sender->counts.frames++;
    return true;
}

/* Without an answer all that is under way is sent again; without room at the peer it is asked again. */
static bool poll_timeout(link_t *link, link_sender_t *sender)
{
    bool waits = sender->next != sender->base || has_new(link, sender);
    if (!waits || !has_timed_out(link, sender)) {
        return false;
    }
    sender->attempts = (uint8_t)(sender->attempts < UINT8_MAX ? sender->attempts + 1u : UINT8_MAX);
    arm(sender);
    sender->again = 0;
    sender->lost = under_way(sender) & ~sender->acked;
    if (sender->lost == 0) {
        frame_t ask = {.kind = FRAME_ASK, .stream = sender->number};
        link_send_frame(link, &ask);
    }
    return true;
}

/* While the peer is lost a tensor waits for it no longer than it took to notice that. */
static bool poll_lost(link_t *link)
{
    bool busy = false;
    if (!link_has_passed(link->down_ticks, link->lost_ticks)) {
        return false;
    }
    for (uint8_t i = 0; i < link->sender_count; i++) {
        const tensor_t *tensor = queue_front(link->senders[i].queue);
        if (tensor != NULL && tensor->data != NULL) {
            drop(&link->senders[i]);
            busy = true;
        }
    }
    link->down_ticks = port_ticks();
    return busy;
}

bool link_poll_senders(link_t *link)
{
    if (!link_is_up(link)) {
        return poll_lost(link);
    }
    bool busy = false;
    uint8_t first = link->next_sender;
    for (uint8_t i = 0; i < link->sender_count; i++) {
        uint8_t at = (uint8_t)((first + i) % link->sender_count);
        link_sender_t *sender = &link->senders[at];
        bool room = port_uart_room(link->wire->uart) >= FRAME_ENCODED_BYTES + ANSWER_RESERVE_BYTES;
        if (room && (sender->lost != 0 ? send_again(link, sender) : send_new(link, sender))) {
            link->next_sender = (uint8_t)((at + 1u) % link->sender_count);
            busy = true;
        } else {
            busy = poll_timeout(link, sender) || busy;
        }
    }
    return busy;
}
