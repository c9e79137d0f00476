#include "fallback.h"

#include "console.h"
#include "device.h"
#include "port.h"

/* The view is looked after so often. */
#define LOOK_TICKS (PORT_TICK_HZ / 1000u)

static uint8_t in_force;    /* plan */
static uint32_t needed;     /* devices that were there when it came into force */
static uint8_t due;         /* the plan for those who are there now */
static uint32_t due_ticks;  /* since when */
static uint32_t looked_ticks;

static uint8_t plan_for(uint32_t present)
{
    for (uint8_t i = 0; i < fallback.case_count; i++) {
        if ((fallback.cases[i].devices & ~present) == 0) {
            return fallback.cases[i].plan;
        }
    }
    return 0;
}

/* Takes a plan's runs out of all its tasks; returns how many there were. */
static uint32_t stop(const plan_t *plan)
{
    uint32_t dropped = infer_stop() ? 1u : 0u;
    for (uint8_t i = 0; i < plan->tail_count; i++) {
        tail_restart(&plan->tails[i]);
    }
    for (uint8_t i = 0; i < plan->interact_count; i++) {
        interact_restart(&plan->interacts[i]);
    }
    for (uint8_t i = 0; i < device.sense_count; i++) {
        sense_restart(&device.senses[i], NULL);
    }
    for (uint8_t i = 0; i < plan->queue_count; i++) {
        dropped += queue_clear(&plan->queues[i]);
    }
    return dropped;
}

static void carry_streams(uint8_t plan)
{
    for (uint8_t i = 0; i < device.wire_count; i++) {
        for (uint8_t j = 0; j < device.wires[i].link_count; j++) {
            link_t *link = &device.wires[i].links[j];
            link_carry(link, &link->streams[plan]);
        }
    }
}

static void start(const plan_t *plan)
{
    device.infers = plan->infers;
    device.infer_count = plan->infer_count;
    device.tails = plan->tails;
    device.tail_count = plan->tail_count;
    device.interacts = plan->interacts;
    device.interact_count = plan->interact_count;
    for (uint8_t i = 0; i < plan->sense_count; i++) {
        sense_restart(plan->senses[i].sense, plan->senses[i].out);
    }
    infer_restart();
}

/* `$V`: a plan has come into force, for the devices that are there; runs that were dropped; how long it took. */
static void report(uint32_t dropped, uint32_t took_ticks)
{
    console_wait_for_room();
    console_begin("V");
    console_number(in_force);
    console_hex_field(needed);
    console_number(dropped);
    console_number(took_ticks);
    console_end();
}

static void change(uint8_t plan, uint32_t present)
{
    uint32_t began = port_ticks();
    uint32_t dropped = stop(&fallback.plans[in_force]);
    carry_streams(plan);
    start(&fallback.plans[plan]);
    in_force = plan;
    needed = present;
    report(dropped, port_ticks() - began);
}

void fallback_open(void)
{
    for (uint8_t plan = fallback.plan_count; plan-- != 0;) {
        device.infers = fallback.plans[plan].infers;
        device.infer_count = fallback.plans[plan].infer_count;
        if (plan == 0 || (device.infer_count != 0 && device.infers[0].known_input != NULL)) {
            infer_open();
        }
    }
    needed = fallback.cases[0].devices;
    presence_update(&fallback.presence);
}

bool fallback_poll(bool may_change)
{
    uint32_t now = port_ticks();
    if (now - looked_ticks < LOOK_TICKS) {
        return false;
    }
    looked_ticks = now;
    presence_update(&fallback.presence);
    uint32_t present = presence_mask(&fallback.presence);
    uint8_t plan = plan_for(present);
    if (plan != due) {
        due = plan;
        due_ticks = now;
    }
    uint32_t wait_ticks = (needed & ~present) != 0 ? fallback.settle_ticks : fallback.return_ticks;
    if (!may_change || due == in_force || now - due_ticks < wait_ticks) {
        return false;
    }
    change(due, present);
    return true;
}
