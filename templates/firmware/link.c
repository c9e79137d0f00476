#include "link_parts.h"

#include <string.h>

#include "port.h"

_Static_assert(FRAME_DELIMITER == PORT_WAKE_BYTE && FRAME_GROUP_BYTES == PORT_GROUP_BYTES, "UARTs wait for frames");

#define PLAN_ID_BYTES 4u
/* While other frames are sent the view is repeated after so many times of a silent link's BEAT. */
#define VIEW_BEATS 4u
/* On a secured link a peer that asks for a session in the clear is believed after so many beats of silence. */
#define DOUBT_BEATS 2u

bool link_has_passed(uint32_t since_ticks, uint32_t span_ticks)
{
    return port_ticks() - since_ticks >= span_ticks;
}

uint16_t link_fragments(const link_t *link, const queue_t *queue)
{
    return (uint16_t)((queue->words * 4u + link->payload_bytes - 1u) / link->payload_bytes);
}

uint16_t link_fragment_bytes(const link_t *link, const queue_t *queue, uint16_t fragment)
{
    uint32_t left = queue->words * 4u - (uint32_t)fragment * link->payload_bytes;
    return (uint16_t)(left < link->payload_bytes ? left : link->payload_bytes);
}

void link_address_frame(const link_t *link, frame_t *frame)
{
    frame->plan = (uint16_t)link->plan_id;
    frame->from = link->own;
    frame->to = link->peer;
    frame->session = (uint16_t)((link->session & 0xFFu) << 8 | (link->peer_session & 0xFFu));
}

bool link_write_frame(link_t *link, const frame_t *frame)
{
    uint8_t encoded[FRAME_ENCODED_BYTES];
    if (!port_uart_write(link->wire->uart, encoded, frame_encode(frame, encoded))) {
        return false;
    }
    link->said_ticks = port_ticks();
    return true;
}

bool link_send_frame(link_t *link, frame_t *frame)
{
    link_address_frame(link, frame);
    return (!link_is_secured(link) || link_seal(link, frame)) && link_write_frame(link, frame);
}

void link_note_hello(link_t *link)
{
    link->hello_sent = true;
    link->hello_ticks = port_ticks();
}

static void begin_session(link_t *link)
{
    link->peer_known = false;
    link->peer_knows_us = false;
    link->hello_sent = false;
    link->view_due = true;
    link->down_ticks = port_ticks();
}

void link_restart(link_t *link)
{
    link->losses += link_is_up(link) ? 1u : 0u;
    begin_session(link);
    link_restart_senders(link);
    link_restart_receivers(link);
}

static void renew(link_t *link)
{
    link->renewing = link_hears(link);
    link->renewed_ticks = port_ticks();
}

/* Payload of a hello: plan id and, on a secured link, a random number. */
static uint16_t hello_bytes(const link_t *link)
{
    return (uint16_t)(PLAN_ID_BYTES + (link_is_secured(link) ? LINK_NONCE_BYTES : 0u));
}

/* Both ends, of a secured link one, say hello until the other one has answered. */
static void send_hello(link_t *link)
{
    uint8_t payload[PLAN_ID_BYTES + LINK_NONCE_BYTES];
    frame_put32(payload, link->plan_id);
    if (link_is_secured(link)) {
        link_add_nonce(link, payload + PLAN_ID_BYTES);
    }
    static const uint8_t delimiters[FRAME_GROUP_BYTES]; /* end whatever noise the peer has collected */
    port_uart_write(link->wire->uart, delimiters, sizeof delimiters);
    frame_t hello = {.kind = FRAME_HELLO, .run = link->session, .payload = payload, .size_bytes = hello_bytes(link)};
    link_address_frame(link, &hello);
    link_write_frame(link, &hello);
    link_note_hello(link);
}

static bool is_our_plan(const link_t *link, const frame_t *hello)
{
    return hello->size_bytes == hello_bytes(link) && frame_get32(hello->payload) == link->plan_id;
}

static bool receive_hello(link_t *link, const frame_t *hello)
{
    if (!is_our_plan(link, hello)) {
        return false;
    }
    if (!link->peer_known || link->peer_session != hello->run) {
        renew(link);
        link_restart(link);
        link->peer_known = true;
        link->peer_session = hello->run;
    }
    frame_t answer = {.kind = FRAME_HELLO_ACK, .run = hello->run};
    link_send_frame(link, &answer);
    return true;
}

static bool is_of_session(const link_t *link, const frame_t *frame)
{
    uint16_t session = (uint16_t)((link->peer_session & 0xFFu) << 8 | (link->session & 0xFFu));
    return link->peer_known && frame->plan == (uint16_t)link->plan_id && frame->session == session;
}

static void open_session(link_t *link)
{
    link->session = port_new_session();
    if (link_is_secured(link)) {
        link_renew(link);
    }
}

/* A BEAT without a view only proves that its sender lives. */
static bool receive_beat(const link_t *link, const frame_t *beat)
{
    bool has_view = beat->size_bytes == link->view_bytes && beat->size_bytes != 0;
    if (has_view) {
        memcpy(link->peer_view, beat->payload, link->view_bytes);
    }
    return has_view || beat->size_bytes == 0;
}

/* The other end of a secured link wants a new session, but only this one can begin it. */
static bool receive_again(link_t *link)
{
    if (!link_is_secured(link) || !link_calls(link)) {
        return false;
    }
    renew(link);
    link_restart(link);
    open_session(link);
    return true;
}

/* In the clear, by a peer that has no session, as after a boot. Anybody can say that: it only brings our hello
 * forward, or ends a session in which nothing was heard for a while. */
static bool receive_plea(link_t *link)
{
    if (link_calls(link) && !link_is_up(link)) {
        link->hello_sent = false;
        return true;
    }
    return link_has_passed(link->heard_ticks, DOUBT_BEATS * link->beat_ticks) && receive_again(link);
}

/* Frames whose sender proves that it knows our session. */
static bool receive_in_session(link_t *link, const frame_t *frame)
{
    link->peer_knows_us = true;
    switch (frame->kind) {
    case FRAME_DATA:
    case FRAME_END:
        link_receive_data(link, frame);
        return true;
    case FRAME_ACK:
        link_receive_ack(link, frame);
        return true;
    case FRAME_ASK:
        link_receive_ask(link, frame);
        return true;
    case FRAME_BEAT:
        return receive_beat(link, frame);
    case FRAME_AGAIN:
        return receive_again(link);
    default:
        return false;
    }
}

/* A frame of a secured link: what is refused was counted as forged or replayed, and does not show that the peer
 * lives; nor does a hello, which anybody can send. */
static bool receive_secured(link_t *link, frame_t *frame)
{
    bool proven = false;
    if (frame->kind == FRAME_HELLO) {
        return is_our_plan(link, frame) && link_receive_call(link, frame);
    }
    if (frame->kind == FRAME_AGAIN && frame->size_bytes == 0) {
        return frame->plan == (uint16_t)link->plan_id && receive_plea(link);
    }
    if (frame->kind == FRAME_HELLO_ACK) {
        proven = link_receive_call_answer(link, frame);
    } else if (link_unseal(link, frame)) {
        proven = link->peer_known && receive_in_session(link, frame);
    }
    link->heard_ticks = proven ? port_ticks() : link->heard_ticks;
    return true;
}

/* False if the frame is not for this session of the link. */
static bool receive_frame(link_t *link, frame_t *frame)
{
    bool taken = false;
    if (link_is_secured(link)) {
        return receive_secured(link, frame);
    }
    if (frame->kind == FRAME_HELLO) {
        taken = receive_hello(link, frame);
    } else if (frame->kind == FRAME_HELLO_ACK) { /* may come before the peer's own hello */
        taken = frame->plan == (uint16_t)link->plan_id && frame->run == link->session;
        link->peer_knows_us = link->peer_knows_us || taken;
    } else if (is_of_session(link, frame)) {
        taken = receive_in_session(link, frame);
    }
    link->heard_ticks = taken ? port_ticks() : link->heard_ticks;
    return taken;
}

/* Frames for others on a shared channel are no concern of ours. */
static void dispatch(wire_t *wire, frame_t *frame)
{
    for (uint8_t i = 0; i < wire->link_count; i++) {
        link_t *link = &wire->links[i];
        if (frame->from == link->peer && frame->to == link->own) {
            wire->foreign_frames += receive_frame(link, frame) ? 0u : 1u;
            return;
        }
    }
    wire->foreign_frames++;
}

/* True if more can be done at once: a part of a frame is no reason to stay awake. */
static bool poll_received(wire_t *wire)
{
    uint8_t bytes[128];
    size_t count = port_uart_read(wire->uart, bytes, sizeof bytes);
    bool handled = false;
    for (size_t at = 0, used; at < count; at += used) {
        decoder_result_t result = decoder_feed(&wire->decoder, bytes + at, count - at, &used);
        handled = handled || result != DECODER_MORE;
        if (result == DECODER_FRAME) {
            dispatch(wire, &wire->decoder.frame);
        } else if (result == DECODER_DAMAGED) {
            wire->damaged_frames++;
        }
    }
    return handled || count == sizeof bytes;
}

static bool send_beat(link_t *link)
{
    frame_t beat = {.kind = FRAME_BEAT, .payload = link->view, .size_bytes = link->view_bytes};
    if (!link_send_frame(link, &beat)) {
        return false;
    }
    link->view_due = false;
    link->viewed_ticks = link->said_ticks;
    return true;
}

/* A link that is busy says no BEAT but to tell the peer who is there. */
static bool is_beat_due(const link_t *link)
{
    bool tells = link->view_bytes != 0 &&
                 (link->view_due || link_has_passed(link->viewed_ticks, VIEW_BEATS * link->beat_ticks));
    return tells || link_has_passed(link->said_ticks, link->beat_ticks);
}

/* The peer is lost: what it told is void. */
static void lose(link_t *link)
{
    link->renewing = false;
    if (link->view_bytes != 0) {
        memset(link->peer_view, UINT8_MAX, link->view_bytes);
    }
}

/* Asks for a new session: in the old one or, without one, in the clear. */
static void ask_again(link_t *link)
{
    frame_t again = {.kind = FRAME_AGAIN};
    link_address_frame(link, &again);
    (void)link_seal(link, &again);
    link_write_frame(link, &again);
    link_note_hello(link);
}

/* A link that is not up says hello now and then. */
static bool poll_hello(link_t *link)
{
    bool due = !link->hello_sent || link_has_passed(link->hello_ticks, link->answer_ticks);
    if (link->peer_knows_us || !due) {
        return false;
    }
    if (!link_is_secured(link) || link_may_call(link)) {
        send_hello(link);
        return true;
    }
    bool unheard = link_has_passed(link->down_ticks, link->call_ticks);
    bool asks = link_may_ask(link) && (link->renewing || unheard);
    if (asks) {
        ask_again(link);
    }
    return asks;
}

/* A new session must be there before the peer would count as lost. */
static void poll_renewal(link_t *link)
{
    bool overdue = link_has_passed(link->renewed_ticks, link->lost_ticks);
    if (link->renewing && link_is_up(link)) {
        link->renewing = false;
    } else if (link->renewing && overdue) {
        lose(link);
    }
}

/* Says hello, or that we live, when it is time; notices that the peer is lost. */
static bool poll_presence(link_t *link)
{
    if (link_is_up(link) && link_has_passed(link->heard_ticks, link->lost_ticks)) {
        link_restart(link);
        lose(link);
        open_session(link);
        return true;
    }
    poll_renewal(link);
    return poll_hello(link) || (link_is_up(link) && is_beat_due(link) && send_beat(link));
}

static bool poll_link(link_t *link)
{
    bool said = poll_presence(link);
    bool answered = link_poll_receivers(link);
    return link_poll_senders(link) || answered || said;
}

void wire_open(wire_t *wire)
{
    port_uart_open(wire->uart, wire->rate_bd);
    for (uint8_t i = 0; i < wire->link_count; i++) {
        open_session(&wire->links[i]);
        wire->links[i].down_ticks = port_ticks();
        lose(&wire->links[i]);
    }
}

bool wire_poll(wire_t *wire)
{
    bool busy = poll_received(wire);
    for (uint8_t i = 0; i < wire->link_count; i++) {
        busy = poll_link(&wire->links[i]) || busy;
    }
    return busy;
}

bool link_is_up(const link_t *link)
{
    return link->peer_known && link->peer_knows_us;
}

bool link_hears(const link_t *link)
{
    return link_is_up(link) || link->renewing;
}

void link_tell(link_t *link)
{
    link->view_due = true;
}

void link_carry(link_t *link, const link_streams_t *streams)
{
    renew(link);
    begin_session(link);
    if (!link_is_secured(link) || link_calls(link)) {
        open_session(link);
    }
    link_restart_receivers(link); /* counts what was begun */
    link->senders = streams->senders;
    link->sender_count = streams->sender_count;
    link->receivers = streams->receivers;
    link->receiver_count = streams->receiver_count;
    link->next_sender = 0;
    link_clear_senders(link);
    link_restart_receivers(link);
}

/* To a lost peer there is nothing more to say once the end mark is all that waits. */
static bool sender_has_ended(const link_t *link, const link_sender_t *sender)
{
    const tensor_t *tensor = queue_front(sender->queue);
    return sender->ended || (!link_is_up(link) && link->losses != 0 && tensor != NULL && tensor->data == NULL);
}

bool link_has_ended(const link_t *link)
{
    bool ended = true;
    for (uint8_t i = 0; i < link->sender_count; i++) {
        ended = ended && sender_has_ended(link, &link->senders[i]);
    }
    for (uint8_t i = 0; i < link->receiver_count; i++) {
        ended = ended && link->receivers[i].ended;
    }
    return ended;
}
