/* Who is there: what each device knows of all others, and tells its peers in every BEAT.
 *
 * The view is how many links the way to each device has. It is 0 for the device itself, one more than the nearest
 * peer says for others. A way has fewer links than there are devices: news of a device that is gone are repeated
 * from peer to peer no more often than that. See docs/link-protocol.md. */
#ifndef PRESENCE_H
#define PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "link.h"

#define PRESENCE_AWAY UINT8_MAX

typedef struct {
    uint8_t own, count; /* number of this device; how many there are, 32 at most */
    uint8_t *hops;      /* the view: links to each device, PRESENCE_AWAY if no way leads there */
    wire_t *wires;
    uint8_t wire_count;
} presence_t;

/* Takes what the links hear; tells all peers and returns true if the view has changed. */
bool presence_update(const presence_t *presence);

/* The devices that are there, bit i for device i. */
uint32_t presence_mask(const presence_t *presence);

#endif
