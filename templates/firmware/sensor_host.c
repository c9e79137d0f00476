#include <string.h>

#include "console.h"
#include "device.h"
#include "port.h"
#include "sensor.h"

/* The only piece under way is asked for again after this: nothing can overrun, and nothing is lost for good. */
#define ASK_AGAIN_TICKS (PORT_TICK_HZ / 4u)
#define REQUEST_BYTES 128u

static uint32_t offset_bytes(const sensor_host_t *host)
{
    return host->piece * FRAME_HOST_PAYLOAD_BYTES;
}

static uint32_t piece_bytes(const sensor_host_t *host)
{
    uint32_t left = host->format.values - offset_bytes(host);
    return left < FRAME_HOST_PAYLOAD_BYTES ? left : FRAME_HOST_PAYLOAD_BYTES;
}

static void ask(sensor_host_t *host)
{
    console_begin("Q");
    console_text(host->format.app);
    console_number(host->number);
    console_number(host->run);
    console_number(host->piece);
    console_number(offset_bytes(host));
    console_number(piece_bytes(host));
    console_end();
    host->asking = true;
    host->asked_ticks = port_ticks();
}

const uint32_t *sensor_host_take(void *state, const queue_t *out, uint32_t run)
{
    sensor_host_t *host = state;
    if (offset_bytes(host) >= host->format.values) {
        host->piece = 0;
        return queue_next(out);
    }
    host->run = run;
    bool due = !host->asking || port_ticks() - host->asked_ticks > ASK_AGAIN_TICKS;
    if (due && !console_is_busy() && console_has_room(REQUEST_BYTES)) {
        ask(host);
    }
    return NULL;
}

bool sensor_host_accept(void *state, const queue_t *out, const frame_t *frame)
{
    sensor_host_t *host = state;
    bool wanted = host->asking && frame->run == host->run && frame->fragment == host->piece;
    if (!wanted || frame->size_bytes != piece_bytes(host)) {
        return false;
    }
    host->format.prepare((const int8_t *)frame->payload, offset_bytes(host), frame->size_bytes, queue_next(out));
    host->piece++;
    host->asking = false;
    return true;
}

void sensor_host_restart(void *state)
{
    sensor_host_t *host = state;
    host->piece = 0;
    host->asking = false;
}
