/* One end of a link: carries tensors of several hand-offs, in both directions, to one peer.
 *
 * Every frame is checked and every fragment acknowledged. A tensor arrives whole, once and in order, or its
 * sender counts it as dropped because the peer was lost. See docs/link-protocol.md. */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "framing.h"
#include "link_secure.h"
#include "queue.h"

/* Fragments that an acknowledgement can name one by one; no window is larger. */
#define LINK_BITMAP 32u

typedef struct {
    uint32_t tensors, dropped; /* acknowledged as a whole; given up because the peer was lost */
    uint32_t frames, resent;   /* data frames that were sent, and how many of them again */
} link_sent_t;

typedef struct {
    uint32_t tensors, abandoned; /* put into the queue; begun, but lost with the peer */
    uint32_t duplicates;         /* fragments that had been received before */
} link_received_t;

/* Sequence numbers count fragments; `first` is that of the queue's oldest tensor. Bit i of a bitmap stands
 * for sequence number base + i. */
typedef struct {
    uint8_t number; /* of the hand-off in the plan */
    queue_t *queue;
    uint16_t first, base, next; /* oldest unacknowledged, next one that was never sent */
    uint16_t limit;             /* the peer has room for sequence numbers before this one */
    uint32_t acked, lost, again; /* acknowledged; to be sent again; sent again since the last time-out */
    uint8_t attempts;           /* time-outs in a row */
    uint32_t armed_ticks; /* when the time-out last began */
    bool ended;
    link_sent_t counts;
} link_sender_t;

typedef struct {
    uint8_t number;
    queue_t *queue;
    uint16_t first, base; /* of the tensor that is being received; next one in order */
    uint16_t limit;       /* that the peer was told */
    uint32_t seen;        /* fragments that are here */
    uint8_t unanswered;   /* fragments since the last acknowledgement */
    uint32_t unanswered_ticks; /* when the first of them came */
    bool answer_due;      /* an acknowledgement must not wait for more of them */
    bool ended;
    link_received_t counts;
} link_receiver_t;

/* What a link carries under one plan. */
typedef struct {
    link_sender_t *senders;
    link_receiver_t *receivers;
    uint8_t sender_count, receiver_count;
} link_streams_t;

typedef struct link link_t;

/* A UART and what is attached to it: a cable to one peer, or a radio module with several peers in reach. */
typedef struct {
    uint8_t uart;
    uint32_t rate_bd;
    link_t *links;
    uint8_t link_count;
    uint32_t damaged_frames, foreign_frames; /* failed the check; good, but not of this plan or session */
    decoder_t decoder;
} wire_t;

struct link {
    const char *name;
    wire_t *wire;
    uint8_t own, peer; /* numbers of the devices */
    uint32_t plan_id;
    uint32_t call_ticks;            /* devices that boot together have called and answered within this time */
    uint32_t answer_ticks;          /* an answer takes less than this */
    uint32_t beat_ticks, lost_ticks; /* something is sent, and must have been heard, within these times */
    uint16_t payload_bytes;         /* of a full fragment */
    uint8_t window;                 /* fragments of a stream under way unacknowledged */
    uint8_t answer_every;           /* fragments that one acknowledgement may answer */
    uint8_t low_credit;             /* with less room than this the peer is told of more at once */
    link_sender_t *senders;
    uint8_t sender_count;
    link_receiver_t *receivers;
    uint8_t receiver_count;
    link_security_t *security;   /* NULL: frames are in the clear */
    const volatile uint8_t *key; /* of a secured link, in flash; all bytes 0xFF: none was set */
    /* Only with several plans (fallback.h): */
    const link_streams_t *streams; /* by plan; senders and receivers are those of the plan in force */
    const uint8_t *view;           /* what every BEAT tells the peer (presence.h) */
    uint8_t *peer_view;            /* what the peer told last */
    uint8_t view_bytes;            /* of both; 0: nothing */

    uint32_t session, peer_session;
    bool peer_known, peer_knows_us;
    uint8_t next_sender; /* senders take turns */
    bool hello_sent;
    bool renewing; /* not up at the moment, but the peer was not lost: a new session was begun */
    bool view_due; /* the peer has to be told */
    uint32_t hello_ticks, heard_ticks, said_ticks, down_ticks; /* when last; since when down */
    uint32_t renewed_ticks, viewed_ticks; /* when a new session was begun; when the peer was last told the view */
    uint32_t losses;     /* times that the peer was lost */
};

/* Opens the UART; its links come up by themselves once the peers answer. */
void wire_open(wire_t *wire);

/* Handles what was received and sends what is due; true if there was anything to do. */
bool wire_poll(wire_t *wire);

/* True once both ends have recognised each other. */
bool link_is_up(const link_t *link);

/* Without secured links none of link_secure.c is called, and it is not in the image. */
static inline bool link_is_secured(const link_t *link)
{
    return FRAME_SEAL_BYTES != 0u && link->security != NULL;
}

/* Why a secured link cannot come up: "no key", or "refused", the peer does not prove that it has the same one;
 * NULL: nothing is known against it. */
const char *link_obstacle(const link_t *link);

/* True as long as the peer is there: also while both ends agree on a new session. */
bool link_hears(const link_t *link);

/* The view has changed: the peer is told. */
void link_tell(link_t *link);

/* Carries other streams from now on, in a new session: nothing of the old ones arrives any more. */
void link_carry(link_t *link, const link_streams_t *streams);

/* True once the end of all streams, in both directions, has been passed on. */
bool link_has_ended(const link_t *link);

#endif
