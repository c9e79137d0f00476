#include "console.h"
#include "console_input.h"
#include "device.h"
#include "port.h"
#include "report.h"

/* Sensing does not wait longer for devices that may never come. */
#define LINKS_TIMEOUT_TICKS (2u * PORT_TICK_HZ)

static bool links_are_up(void)
{
    bool up = true;
    for (uint8_t i = 0; i < device.wire_count; i++) {
        const wire_t *wire = &device.wires[i];
        for (uint8_t j = 0; j < wire->link_count; j++) {
            up = up && link_is_up(&wire->links[j]);
        }
    }
    return up;
}

/* Everything that can be done at once; false if there was nothing. The accelerator is looked after between
 * any two other tasks: each moment that it waits is lost. */
static bool poll_all(bool sensing)
{
    bool busy = infer_poll();
    for (uint8_t i = 0; i < device.wire_count; i++) {
        busy = wire_poll(&device.wires[i]) || busy;
        busy = infer_poll() || busy;
    }
    busy = console_input_poll() || busy;
    for (uint8_t i = 0; sensing && i < device.sense_count; i++) {
        busy = sense_poll(&device.senses[i]) || busy;
        busy = infer_poll() || busy;
    }
    for (uint8_t i = 0; i < device.tail_count; i++) {
        busy = tail_poll(&device.tails[i]) || busy;
        busy = infer_poll() || busy;
    }
    for (uint8_t i = 0; i < device.interact_count; i++) {
        busy = interact_poll(&device.interacts[i]) || busy;
        busy = infer_poll() || busy;
    }
    return busy;
}

static bool tasks_have_ended(void)
{
    bool ended = true;
    for (uint8_t i = 0; i < device.sense_count; i++) {
        ended = ended && device.senses[i].ended;
    }
    for (uint8_t i = 0; i < device.infer_count; i++) {
        ended = ended && device.infers[i].ended;
    }
    for (uint8_t i = 0; i < device.tail_count; i++) {
        ended = ended && device.tails[i].ended;
    }
    for (uint8_t i = 0; i < device.interact_count; i++) {
        ended = ended && device.interacts[i].ended;
    }
    return ended;
}

static bool links_have_ended(void)
{
    bool ended = true;
    for (uint8_t i = 0; i < device.wire_count; i++) {
        const wire_t *wire = &device.wires[i];
        for (uint8_t j = 0; j < wire->link_count; j++) {
            ended = ended && link_has_ended(&wire->links[j]);
        }
    }
    return ended;
}

static void open_all(void)
{
    port_init();
    console_open();
    report_boot();
    infer_open();
    for (uint8_t i = 0; i < device.wire_count; i++) {
        wire_open(&device.wires[i]);
    }
}

int main(void)
{
    open_all();
    uint32_t opened_ticks = port_ticks();
    bool sensing = false;
    bool reported = false;
    for (;;) {
        port_alive();
        bool busy = poll_all(sensing);
        bool ended = sensing && tasks_have_ended() && links_have_ended();
        if (!sensing && (links_are_up() || port_ticks() - opened_ticks > LINKS_TIMEOUT_TICKS)) {
            report_start();
            sensing = true;
        } else if (ended && !reported) {
            report_end();
            reported = true;
        } else if (!busy) {
            reported = ended;
            port_sleep();
        }
    }
}
