/* One end of a link: carries tensors of several hand-offs, in both directions, to one peer.
 *
 * Every frame is checked and every fragment acknowledged. A tensor arrives whole, once and in order, or
 * its sender gives it up after a bounded number of attempts and counts it. See docs/link-protocol.md. */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "framing.h"
#include "queue.h"

/* Fragments that may be under way unacknowledged. */
#define LINK_WINDOW 4u
/* Sendings of the oldest fragment without any answer, before a tensor is given up. */
#define LINK_ATTEMPTS 16u

typedef struct {
    uint32_t tensors, dropped;         /* acknowledged as a whole; given up */
    uint32_t frames, resent;           /* data frames that were sent, and how many of them again */
    uint64_t ticks;                    /* from the first fragment to the last acknowledgement */
} link_sent_t;

typedef struct {
    uint32_t tensors, abandoned;       /* put into the queue; begun, but given up by the sender */
    uint32_t duplicates;               /* fragments that had been received before */
    uint64_t ticks;                    /* from the first fragment to the last */
} link_received_t;

typedef struct {
    uint8_t number; /* of the hand-off in the plan */
    queue_t *queue;
    uint16_t next_transfer;
    bool ended;
    link_sent_t counts;
} link_sender_t;

typedef struct {
    uint8_t number;
    queue_t *queue;
    uint16_t transfer;      /* that is received, or was received last */
    uint16_t next_fragment; /* of a transfer that is received */
    bool any_done;          /* `transfer` or an earlier one was completed in this session */
    bool receiving, refused; /* refused: `refused_transfer` waits for room in the queue */
    uint16_t refused_transfer;
    bool ended;
    uint32_t began_ticks;
    link_received_t counts;
} link_receiver_t;

/* The transfer that is under way to the peer. */
typedef struct {
    link_sender_t *sender; /* NULL: none */
    uint16_t base, next;   /* oldest unacknowledged fragment, next one to send */
    uint16_t highest, count;
    uint8_t attempts;
    bool rewound, refused;
    uint32_t began_ticks, deadline_ticks;
} link_transfer_t;

typedef struct {
    const char *name;
    uint8_t uart;
    uint32_t rate_bd;
    uint32_t plan_id;
    uint32_t timeout_ticks; /* an answer takes less than this */
    uint16_t payload_bytes; /* of a full fragment */
    link_sender_t *senders;
    uint8_t sender_count;
    link_receiver_t *receivers;
    uint8_t receiver_count;

    uint32_t session, peer_session;
    bool peer_known, peer_knows_us;
    uint8_t next_sender; /* senders take turns */
    uint32_t hello_ticks;
    bool hello_sent;
    link_transfer_t transfer;
    uint32_t damaged_frames, foreign_frames; /* failed the check; good, but not of this plan or state */
    decoder_t decoder;
} link_t;

/* Opens the UART; the link comes up by itself once the peer answers. */
void link_open(link_t *link);

/* Handles what was received and sends what is due; true if there was anything to do. */
bool link_poll(link_t *link);

/* True once both ends have recognised each other. */
bool link_is_up(const link_t *link);

/* True once the end of all streams, in both directions, has been passed on. */
bool link_has_ended(const link_t *link);

#endif
