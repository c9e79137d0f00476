/* libFuzzer on the link protocol: two ends; the input is what the wires do to their bytes.
 *
 * Each step takes one byte of the input: lose, change, repeat or insert bytes, let time pass, read a tensor,
 * send one, restart an end. Whatever is delivered must be what was sent, in order and once. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"

#define SIDES 2u
#define WORDS 40u
#define MOST_TENSORS 4096u

void test_start(unsigned side, const uint32_t *words, uint8_t depth, uint16_t payload_bytes, uint32_t plan_id,
                uint8_t answer_every);
void test_advance(uint32_t ticks);
bool test_poll(unsigned side);
bool test_send(unsigned side, unsigned stream, uint32_t run, const uint32_t *words);
int test_receive(unsigned side, unsigned stream, uint32_t *run, uint32_t *words);
size_t test_take_sent(unsigned side, uint8_t *bytes, size_t count);
void test_deliver(unsigned side, const uint8_t *bytes, size_t count);

void test_set_key(unsigned side, const uint8_t *key);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    const uint8_t *data;
    size_t size;
} input_t;

static uint32_t next_run[SIDES];  /* that a side sends */
static int64_t last_run[SIDES];   /* that arrived from the other side */

static uint8_t take(input_t *input)
{
    if (input->size == 0) {
        return 0;
    }
    input->size--;
    return *input->data++;
}

static uint32_t word_of(unsigned side, uint32_t run, uint32_t index)
{
    return (run * 2654435761u ^ index * 40503u) + side;
}

static void restart(unsigned side)
{
    const uint32_t words[2] = {WORDS, 1};
#if FRAME_SEAL_BYTES
    static const uint8_t key[LINK_KEY_BYTES] = {1};
    test_set_key(side, key);
#endif
    test_start(side, words, 2, 64, 7, 1);
}

static void send(unsigned side)
{
    uint32_t words[WORDS];
    for (uint32_t i = 0; i < WORDS; i++) {
        words[i] = word_of(side, next_run[side], i);
    }
    if (next_run[side] < MOST_TENSORS && test_send(side, 0, next_run[side], words)) {
        next_run[side]++;
    }
}

static void receive(unsigned side)
{
    uint32_t run, words[WORDS];
    if (test_receive(side, 0, &run, words) != 1) {
        return;
    }
    if ((int64_t)run <= last_run[side] || run >= next_run[1u - side]) {
        abort(); /* twice, out of order, or never sent */
    }
    last_run[side] = run;
    for (uint32_t i = 0; i < WORDS; i++) {
        if (words[i] != word_of(1u - side, run, i)) {
            abort(); /* delivered wrong */
        }
    }
}

/* Carries up to 255 bytes from one side to the other, with one thing done to them. */
static void carry(unsigned side, uint8_t what, input_t *input)
{
    uint8_t bytes[256];
    size_t count = test_take_sent(side, bytes, take(input));
    uint8_t value = take(input);
    if (what == 1u) {
        return;
    }
    if (what == 2u && count != 0) {
        bytes[value % count] ^= (uint8_t)(1u << take(input) % 8u);
    }
    if (what == 3u) {
        test_deliver(1u - side, &value, 1);
    }
    test_deliver(1u - side, bytes, count);
    if (what == 4u) {
        test_deliver(1u - side, bytes, count);
    }
}

/* Good wires until both ends know each other: the faults come after that. */
static void bring_up(void)
{
    uint8_t bytes[256];
    for (unsigned round = 0; round < 8u; round++) {
        for (unsigned side = 0; side < SIDES; side++) {
            while (test_poll(side)) {
            }
            size_t count = test_take_sent(side, bytes, sizeof bytes);
            test_deliver(1u - side, bytes, count);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input_t input = {data, size};
    for (unsigned side = 0; side < SIDES; side++) {
        restart(side);
        next_run[side] = 0;
        last_run[side] = -1;
    }
    bring_up();
    while (input.size != 0) {
        uint8_t step = take(&input);
        unsigned side = step & 1u;
        switch (step >> 1 & 7u) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
            carry(side, step >> 1 & 7u, &input);
            break;
        case 5:
            test_advance((uint32_t)take(&input) << (step >> 4 & 7u));
            break;
        case 6:
            send(side);
            break;
        default:
            receive(side);
            break;
        }
        for (unsigned i = 0; i < 8u && (test_poll(0) || test_poll(1)); i++) {
        }
    }
    return 0;
}
