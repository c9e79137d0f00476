/* Authenticated encryption of a link's frames: ChaCha20-Poly1305 under a key of the session, which both ends
 * derive from the link's key and from random numbers of both. See docs/link-protocol.md, "Secured links". */
#ifndef LINK_SECURE_H
#define LINK_SECURE_H

#include <stdbool.h>
#include <stdint.h>

#define LINK_KEY_BYTES 32u
#define LINK_NONCE_BYTES 16u

/* Keys and counters of one session between two boots or losses; all zero: there is none. */
typedef struct {
    bool valid;
    uint8_t key[LINK_KEY_BYTES];
    uint8_t caller[LINK_NONCE_BYTES], answerer[LINK_NONCE_BYTES]; /* random numbers of both ends */
    uint32_t next_sent, next_heard; /* counters of the frames of each direction; none is used twice */
} link_session_t;

typedef struct {
    link_session_t current;   /* frames are sent and received under its key */
    link_session_t candidate; /* until the peer has proved that it knows the key, and is no recording */
    uint32_t forged_frames;   /* refused: the tag is wrong */
    uint32_t replayed_frames; /* refused: of another session, or not newer than the last one */
} link_security_t;

#endif
