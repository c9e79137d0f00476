#include "console_input.h"

#include "console.h"
#include "device.h"
#include "framing.h"
#include "port.h"
#include "report.h"

static uint8_t plain[FRAME_HOST_PLAIN_BYTES];
static decoder_t decoder = {.plain = plain, .plain_bytes = sizeof plain};
static console_input_counts_t counts;
static bool identity_wanted;

static bool accept_sample(const frame_t *frame)
{
    if (frame->plan != (uint16_t)device.plan_id || frame->stream >= device.sense_count) {
        return false;
    }
    const sense_t *sense = &device.senses[frame->stream];
    return sense->sensor.accept != NULL && sense->sensor.accept(sense->sensor.state, sense->out, frame);
}

static void dispatch(const frame_t *frame)
{
    if (frame->kind == FRAME_WHO) {
        identity_wanted = true;
    } else if (frame->kind != FRAME_SAMPLE || !accept_sample(frame)) {
        counts.foreign_frames++;
    }
}

bool console_input_poll(void)
{
    uint8_t bytes[128];
    size_t count = port_uart_read(device.console_uart, bytes, sizeof bytes);
    bool handled = false;
    for (size_t at = 0, used; at < count; at += used) {
        decoder_result_t result = decoder_feed(&decoder, bytes + at, count - at, &used);
        handled = handled || result != DECODER_MORE;
        if (result == DECODER_FRAME) {
            dispatch(&decoder.frame);
        } else if (result == DECODER_DAMAGED) {
            counts.damaged_frames++;
        }
    }
    if (identity_wanted && report_identity()) {
        identity_wanted = false;
    }
    return handled || count == sizeof bytes;
}

console_input_counts_t console_input_counts(void)
{
    return counts;
}
