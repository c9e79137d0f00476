#include "report.h"

#include "console.h"
#include "console_input.h"
#include "device.h"
#include "port.h"

#define IDENTITY_BYTES 128u

static void begin(const char *kind)
{
    console_wait_for_room();
    console_begin(kind);
}

static void report_task(const char *app, const char *task, const timing_t *timing)
{
    begin("S");
    console_text("task");
    console_text(app);
    console_text(task);
    console_number(timing->count);
    console_number(timing->ticks);
    console_number(timing->longest_ticks);
    console_end();
}

static void report_swaps(void)
{
    const timing_t *swaps = infer_swaps();
    begin("S");
    console_text("swap");
    console_number(device.set_count);
    console_number(swaps->count);
    console_number(swaps->ticks);
    console_number(swaps->longest_ticks);
    console_end();
}

static void report_sender(const link_t *link, const link_sender_t *sender)
{
    begin("S");
    console_text("send");
    console_text(link->name);
    console_number(sender->number);
    console_number(sender->counts.tensors);
    console_number(sender->counts.dropped);
    console_number(sender->counts.frames);
    console_number(sender->counts.resent);
    console_end();
}

static void report_receiver(const link_t *link, const link_receiver_t *receiver)
{
    begin("S");
    console_text("receive");
    console_text(link->name);
    console_number(receiver->number);
    console_number(receiver->counts.tensors);
    console_number(receiver->counts.abandoned);
    console_number(receiver->counts.duplicates);
    console_end();
}

static void report_security(const link_t *link)
{
    begin("S");
    console_text("secure");
    console_text(link->name);
    console_number(link->security->forged_frames);
    console_number(link->security->replayed_frames);
    console_end();
}

static void report_link(const link_t *link)
{
    begin("S");
    console_text("link");
    console_text(link->name);
    console_number(link->losses);
    console_end();
    if (link_is_secured(link)) {
        report_security(link);
    }
    for (uint8_t i = 0; i < link->sender_count; i++) {
        report_sender(link, &link->senders[i]);
    }
    for (uint8_t i = 0; i < link->receiver_count; i++) {
        report_receiver(link, &link->receivers[i]);
    }
}

static void report_wire(const wire_t *wire)
{
    begin("S");
    console_text("wire");
    console_number(wire->uart);
    console_number(wire->damaged_frames);
    console_number(wire->foreign_frames);
    console_number(port_uart_overruns(wire->uart));
    console_end();
    for (uint8_t i = 0; i < wire->link_count; i++) {
        report_link(&wire->links[i]);
    }
}

static void report_console(void)
{
    console_input_counts_t counts = console_input_counts();
    begin("S");
    console_text("console");
    console_number(counts.damaged_frames);
    console_number(counts.foreign_frames);
    console_number(port_uart_overruns(device.console_uart));
    console_end();
}

static void report_memory(void)
{
    port_memory_t memory = port_memory();
    begin("S");
    console_text("memory");
    console_number(memory.stack_used_bytes);
    console_number(memory.stack_bytes);
    console_number(memory.ram_bytes);
    console_end();
}

/* `ticks` are those of the moment at which the line began: a host gets its clock from them. */
static void end_identity(uint32_t ticks)
{
    console_text(device.name);
    console_hex_field(device.plan_id);
    console_number(PORT_TICK_HZ);
    console_number(ticks);
    console_end();
}

static void report_obstacle(const link_t *link)
{
    const char *obstacle = link_is_secured(link) ? link_obstacle(link) : NULL;
    if (obstacle != NULL) {
        begin("K");
        console_text(link->name);
        console_text(obstacle);
        console_end();
    }
}

/* Secured links that have no key, or whose peer does not have the same one. */
static void report_obstacles(void)
{
    for (uint8_t i = 0; i < device.wire_count; i++) {
        for (uint8_t j = 0; j < device.wires[i].link_count; j++) {
            report_obstacle(&device.wires[i].links[j]);
        }
    }
}

void report_boot(void)
{
    uint32_t ticks = port_ticks();
    begin("B");
    end_identity(ticks);
    report_obstacles();
}

bool report_identity(void)
{
    if (console_is_busy() || !console_has_room(IDENTITY_BYTES)) {
        return false;
    }
    uint32_t ticks = port_ticks();
    console_begin("I");
    end_identity(ticks);
    report_obstacles();
    return true;
}

void report_start(void)
{
    begin("L");
    console_number(device.wire_count);
    console_number(port_ticks());
    console_end();
    report_obstacles();
}

void report_end(void)
{
    for (uint8_t i = 0; i < device.sense_count; i++) {
        report_task(device.senses[i].app, "sense", &device.senses[i].timing);
    }
    for (uint8_t i = 0; i < device.infer_count; i++) {
        const infer_t *infer = &device.infers[i];
        report_task(infer->app, "load", &infer->load);
        report_task(infer->app, "infer", &infer->inference);
        report_task(infer->app, "unload", &infer->unload);
    }
    if (device.set_count > 1u) {
        report_swaps();
    }
    for (uint8_t i = 0; i < device.tail_count; i++) {
        report_task(device.tails[i].app, "tail", &device.tails[i].timing);
    }
    for (uint8_t i = 0; i < device.interact_count; i++) {
        report_task(device.interacts[i].app, "interact", &device.interacts[i].timing);
    }
    for (uint8_t i = 0; i < device.wire_count; i++) {
        report_wire(&device.wires[i]);
    }
    report_console();
    report_memory();
    begin("E");
    console_text(device.name);
    console_end();
}
