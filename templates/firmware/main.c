#include "console.h"
#include "device.h"
#include "port.h"
#include "report.h"

static bool links_are_up(void)
{
    bool up = true;
    for (uint8_t i = 0; i < device.link_count; i++) {
        up = up && link_is_up(&device.links[i]);
    }
    return up;
}

/* Everything that can be done at once; false if there was nothing. */
static bool poll_all(bool sensing)
{
    bool busy = false;
    for (uint8_t i = 0; i < device.link_count; i++) {
        busy = link_poll(&device.links[i]) || busy;
    }
    for (uint8_t i = 0; sensing && i < device.sense_count; i++) {
        busy = sense_poll(&device.senses[i]) || busy;
    }
    for (uint8_t i = 0; i < device.infer_count; i++) {
        busy = infer_poll(&device.infers[i]) || busy;
    }
    for (uint8_t i = 0; i < device.interact_count; i++) {
        busy = interact_poll(&device.interacts[i]) || busy;
    }
    return busy;
}

static bool all_ended(void)
{
    bool ended = true;
    for (uint8_t i = 0; i < device.sense_count; i++) {
        ended = ended && device.senses[i].ended;
    }
    for (uint8_t i = 0; i < device.infer_count; i++) {
        ended = ended && device.infers[i].ended;
    }
    for (uint8_t i = 0; i < device.interact_count; i++) {
        ended = ended && device.interacts[i].ended;
    }
    for (uint8_t i = 0; i < device.link_count; i++) {
        ended = ended && link_has_ended(&device.links[i]);
    }
    return ended;
}

int main(void)
{
    port_init();
    console_open();
    report_boot();
    if (device.infer_count == 1) { /* its weights stay for good */
        infer_preload(&device.infers[0]);
    }
    for (uint8_t i = 0; i < device.link_count; i++) {
        link_open(&device.links[i]);
    }
    bool sensing = false;
    bool reported = false;
    for (;;) {
        bool busy = poll_all(sensing);
        if (!sensing && links_are_up()) {
            report_start();
            sensing = true;
        } else if (!reported && sensing && all_ended()) {
            report_end();
            reported = true;
        } else if (!busy) {
            port_sleep();
        }
    }
}
