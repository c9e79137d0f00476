/* What the parts of the link protocol share; not for the rest of the firmware. */
#ifndef LINK_PARTS_H
#define LINK_PARTS_H

#include "link.h"

/* Addresses, on a secured link seals, encodes and sends; false if the UART's buffer has no room. */
bool link_send_frame(link_t *link, frame_t *frame);

/* The steps of it: says whose frame it is and for whom; sends one that is complete. */
void link_address_frame(const link_t *link, frame_t *frame);
bool link_write_frame(link_t *link, const frame_t *frame);

/* The handshake was carried on: it goes on by itself only after some time. */
void link_note_hello(link_t *link);

/* Nothing of the session before is valid any more; the peer has to be recognised again. */
void link_restart(link_t *link);

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

/* New streams: nothing was sent yet. */
void link_clear_senders(link_t *link);

/* link_secure.c: a fresh random number for the next session; whether this end begins the handshake, whether it
 * also can, whether it can ask the other end to, and the number that it says hello with. */
void link_renew(link_t *link);
bool link_calls(const link_t *link);
bool link_may_call(link_t *link);
bool link_may_ask(const link_t *link);
void link_add_nonce(const link_t *link, uint8_t *nonce);

/* link_secure.c: the handshake's frames; false if they prove nothing. */
bool link_receive_call(link_t *link, const frame_t *hello);
bool link_receive_call_answer(link_t *link, const frame_t *answer);

/* link_secure.c: encrypts and authenticates the payload of a frame that is addressed; checks one that came, and
 * puts what was encrypted in its payload's place. */
bool link_seal(link_t *link, frame_t *frame);
bool link_unseal(link_t *link, frame_t *frame);

#endif
