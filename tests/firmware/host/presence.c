/* Views of several devices on the host: the test says who hears whom, and carries views along. */
#include "presence.h"

#include <string.h>

#define MOST_DEVICES 8u

static presence_t devices[MOST_DEVICES];
static wire_t wires[MOST_DEVICES];
static link_t links[MOST_DEVICES][MOST_DEVICES]; /* by device and by peer */
static uint8_t hops[MOST_DEVICES][MOST_DEVICES], views[MOST_DEVICES][MOST_DEVICES][MOST_DEVICES];
static bool heard[MOST_DEVICES][MOST_DEVICES];
static uint32_t told;

bool link_hears(const link_t *link)
{
    return heard[link->own][link->peer];
}

void link_tell(link_t *link)
{
    (void)link;
    told++;
}

/* A link from every device to every other one; nobody hears anybody yet. */
void test_open(uint8_t count)
{
    memset(heard, 0, sizeof heard);
    memset(views, PRESENCE_AWAY, sizeof views);
    memset(hops, PRESENCE_AWAY, sizeof hops);
    for (uint8_t own = 0; own < count; own++) {
        for (uint8_t peer = 0; peer < count; peer++) {
            links[own][peer] = (link_t){.own = own, .peer = peer, .peer_view = views[own][peer]};
        }
        wires[own] = (wire_t){.links = links[own], .link_count = count};
        devices[own] = (presence_t){.own = own, .count = count, .hops = hops[own], .wires = &wires[own], .wire_count = 1};
    }
}

/* As a link does: what a lost peer told is void. */
void test_hear(uint8_t own, uint8_t peer, bool hears)
{
    heard[own][peer] = hears;
    if (!hears) {
        memset(views[own][peer], PRESENCE_AWAY, MOST_DEVICES);
    }
}

/* Device `to` gets a BEAT of `from`. */
void test_beat(uint8_t from, uint8_t to)
{
    if (heard[to][from]) {
        memcpy(views[to][from], hops[from], MOST_DEVICES);
    }
}

bool test_update(uint8_t own)
{
    return presence_update(&devices[own]);
}

uint32_t test_mask(uint8_t own)
{
    return presence_mask(&devices[own]);
}

uint8_t test_hops(uint8_t own, uint8_t device)
{
    return hops[own][device];
}
