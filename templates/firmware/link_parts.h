/* What the parts of the link protocol share; not for the rest of the firmware. */
#ifndef LINK_PARTS_H
#define LINK_PARTS_H

#include "link.h"

/* Encodes and sends; false if the UART's buffer has no room. */
bool link_send_frame(link_t *link, frame_t *frame);

/* True once `span_ticks` have passed since a time. The counter wraps: if that was long ago the answer may be
 * wrong, but never for longer than `span_ticks`. */
bool link_has_passed(uint32_t since_ticks, uint32_t span_ticks);

/* Fragments of a tensor of `queue`, and the payload of one of them. */
uint16_t link_fragments(const link_t *link, const queue_t *queue);
uint16_t link_fragment_bytes(const link_t *link, const queue_t *queue, uint16_t fragment);

/* link_receiver.c: frames of kinds DATA, END and ASK; acknowledgements that are due; a new session. */
void link_receive_data(link_t *link, const frame_t *data);
void link_receive_ask(link_t *link, const frame_t *ask);
bool link_poll_receivers(link_t *link);
void link_restart_receivers(link_t *link);

/* link_sender.c: answers of the peer; what is due to be sent; a new session. */
void link_receive_ack(link_t *link, const frame_t *ack);
bool link_poll_senders(link_t *link);
void link_restart_senders(link_t *link);

#endif
