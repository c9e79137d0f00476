/* Gets a sample through an app's preparation on this machine, in pieces of one size. */
#include <stdint.h>

#include "prepare.h"

typedef void (*prepare_function)(const int8_t *values, uint32_t first, uint32_t count, uint32_t *words);

void test_prepare(prepare_function prepare, const int8_t *values, uint32_t count, uint32_t piece, uint32_t *words)
{
    for (uint32_t first = 0; first < count; first += piece) {
        uint32_t left = count - first;
        prepare(values + first, first, left < piece ? left : piece, words);
    }
}
