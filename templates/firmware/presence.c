#include "presence.h"

/* Links to `device` for one who goes by `link`; PRESENCE_AWAY if that is no way. */
static uint8_t hops_by(const presence_t *presence, const link_t *link, uint8_t device)
{
    uint8_t beyond = device == link->peer ? 0 : link->peer_view[device];
    return beyond + 1u < presence->count ? (uint8_t)(beyond + 1u) : PRESENCE_AWAY;
}

static uint8_t fewest_hops(const presence_t *presence, uint8_t device)
{
    uint8_t fewest = device == presence->own ? 0 : PRESENCE_AWAY;
    for (uint8_t i = 0; i < presence->wire_count; i++) {
        const wire_t *wire = &presence->wires[i];
        for (uint8_t j = 0; j < wire->link_count; j++) {
            uint8_t hops = link_hears(&wire->links[j]) ? hops_by(presence, &wire->links[j], device) : PRESENCE_AWAY;
            fewest = hops < fewest ? hops : fewest;
        }
    }
    return fewest;
}

static void tell_all(const presence_t *presence)
{
    for (uint8_t i = 0; i < presence->wire_count; i++) {
        for (uint8_t j = 0; j < presence->wires[i].link_count; j++) {
            link_tell(&presence->wires[i].links[j]);
        }
    }
}

bool presence_update(const presence_t *presence)
{
    bool changed = false;
    for (uint8_t device = 0; device < presence->count; device++) {
        uint8_t hops = fewest_hops(presence, device);
        changed = changed || hops != presence->hops[device];
        presence->hops[device] = hops;
    }
    if (changed) {
        tell_all(presence);
    }
    return changed;
}

uint32_t presence_mask(const presence_t *presence)
{
    uint32_t mask = 0;
    for (uint8_t device = 0; device < presence->count; device++) {
        mask |= presence->hops[device] != PRESENCE_AWAY ? 1u << device : 0u;
    }
    return mask;
}
