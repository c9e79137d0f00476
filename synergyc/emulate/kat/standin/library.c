/*
 * Library functions whose usual versions do not suit generated projects.
 *
 * The accelerator's memories take aligned 32-bit accesses only. The small C library copies bytes, so
 * memcpy and memset are replaced by versions that use words wherever addresses and size allow.
 */
#include <stddef.h>
#include <stdint.h>

#include "mxc.h"

#define WORD sizeof(uint32_t)

void *memset(void *destination, int value, size_t size)
{
    uint8_t *byte = destination;
    if ((uintptr_t)destination % WORD == 0) {
        const uint32_t word = (uint8_t)value * 0x01010101u;
        for (; size >= WORD; size -= WORD, byte += WORD) {
            *(volatile uint32_t *)(void *)byte = word;
        }
    }
    for (; size > 0; size--) {
        *(volatile uint8_t *)byte++ = (uint8_t)value;
    }
    return destination;
}

void *memcpy(void *restrict destination, const void *restrict source, size_t size)
{
    uint8_t *to = destination;
    const uint8_t *from = source;
    if (((uintptr_t)destination | (uintptr_t)source) % WORD == 0) {
        for (; size >= WORD; size -= WORD, to += WORD, from += WORD) {
            *(volatile uint32_t *)(void *)to = *(const volatile uint32_t *)(const void *)from;
        }
    }
    for (; size > 0; size--) {
        *(volatile uint8_t *)to++ = *(const volatile uint8_t *)from++;
    }
    return destination;
}

/*
 * Softmax with base 2, which is what the name stands for in CMSIS-NN: probabilities in Q15 that are
 * proportional to 2^value. Ours: it rounds down once, so the last bit may differ from Arm's. It only
 * serves the printed classification, which comes after the known-answer check.
 */
void arm_softmax_q7_q15(const q7_t *values, uint16_t count, int16_t *probabilities)
{
    int largest = INT8_MIN;
    uint32_t sum = 0;
    for (uint16_t i = 0; i < count; i++) {
        largest = values[i] > largest ? values[i] : largest;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (uint16_t i = 0; i < count; i++) {
            const int below = largest - values[i];
            const uint32_t share = below < 16 ? 0x10000u >> below : 0;
            if (pass == 0) {
                sum += share;
            } else {
                probabilities[i] = (int16_t)((uint64_t)share * INT16_MAX / sum);
            }
        }
    }
}
