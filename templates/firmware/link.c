#include "link_parts.h"

#include "port.h"

bool link_is_due(uint32_t deadline_ticks)
{
    return (int32_t)(port_ticks() - deadline_ticks) >= 0;
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

bool link_send_frame(const link_t *link, frame_t *frame)
{
    uint8_t encoded[FRAME_ENCODED_BYTES];
    frame->plan = (uint16_t)link->plan_id;
    return port_uart_write(link->uart, encoded, frame_encode(frame, encoded));
}

/* Both ends say hello until the other one has answered. */
static void send_hello(link_t *link)
{
    uint8_t plan[4];
    for (unsigned i = 0; i < sizeof plan; i++) {
        plan[i] = (uint8_t)(link->plan_id >> (8u * i));
    }
    const uint8_t delimiter = FRAME_DELIMITER; /* ends whatever noise the peer has collected */
    port_uart_write(link->uart, &delimiter, 1);
    frame_t hello = {.kind = FRAME_HELLO, .run = link->session, .payload = plan, .size_bytes = sizeof plan};
    link_send_frame(link, &hello);
    link->hello_sent = true;
    link->hello_ticks = port_ticks() + link->timeout_ticks;
}

static bool is_our_plan(const link_t *link, const frame_t *hello)
{
    uint32_t plan = 0;
    for (unsigned i = 0; i < 4u && hello->size_bytes == 4u; i++) {
        plan |= (uint32_t)hello->payload[i] << (8u * i);
    }
    return hello->size_bytes == 4u && plan == link->plan_id;
}

static void receive_hello(link_t *link, const frame_t *hello)
{
    if (!is_our_plan(link, hello)) {
        link->foreign_frames++;
        return;
    }
    if (!link->peer_known || link->peer_session != hello->run) {
        link_forget_received(link);
        link_restart_transfer(link);
        link->peer_knows_us = false; /* a peer that started again has to hear of us again */
        link->hello_sent = false;
    }
    link->peer_known = true;
    link->peer_session = hello->run;
    frame_t answer = {.kind = FRAME_HELLO_ACK, .run = hello->run};
    link_send_frame(link, &answer);
}

static bool poll_hello(link_t *link)
{
    if (link->peer_knows_us || (link->hello_sent && !link_is_due(link->hello_ticks))) {
        return false;
    }
    send_hello(link);
    return true;
}

static void receive_frame(link_t *link, const frame_t *frame)
{
    if (frame->kind != FRAME_HELLO && frame->plan != (uint16_t)link->plan_id) {
        link->foreign_frames++;
        return;
    }
    switch (frame->kind) {
    case FRAME_HELLO:
        receive_hello(link, frame);
        break;
    case FRAME_HELLO_ACK:
        link->peer_knows_us = link->peer_knows_us || frame->run == link->session;
        break;
    case FRAME_DATA:
    case FRAME_END:
        link_receive_data(link, frame);
        break;
    case FRAME_ACK:
        link_receive_ack(link, frame);
        break;
    case FRAME_BUSY:
        link_receive_busy(link, frame);
        break;
    default:
        link->foreign_frames++;
        break;
    }
}

/* True if more can be done at once: a part of a frame is no reason to stay awake. */
static bool poll_received(link_t *link)
{
    uint8_t bytes[64];
    size_t count = port_uart_read(link->uart, bytes, sizeof bytes);
    bool handled = false;
    for (size_t i = 0; i < count; i++) {
        decoder_result_t result = decoder_push(&link->decoder, bytes[i]);
        handled = handled || result != DECODER_MORE;
        if (result == DECODER_FRAME) {
            receive_frame(link, &link->decoder.frame);
        } else if (result == DECODER_DAMAGED) {
            link->damaged_frames++;
        }
    }
    return handled || count == sizeof bytes;
}

void link_open(link_t *link)
{
    link->session = port_boot_count();
    port_uart_open(link->uart, link->rate_bd);
}

bool link_poll(link_t *link)
{
    bool received = poll_received(link);
    bool greeted = poll_hello(link);
    bool answered = link_poll_receivers(link);
    return link_poll_sender(link) || answered || greeted || received;
}

bool link_is_up(const link_t *link)
{
    return link->peer_known && link->peer_knows_us;
}

bool link_has_ended(const link_t *link)
{
    bool ended = true;
    for (uint8_t i = 0; i < link->sender_count; i++) {
        ended = ended && link->senders[i].ended;
    }
    for (uint8_t i = 0; i < link->receiver_count; i++) {
        ended = ended && link->receivers[i].ended;
    }
    return ended;
}
