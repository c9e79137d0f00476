#include "prepare.h"

#include <string.h>

/* The index that the axes but the last one give. */
static uint32_t place_of_row(const prepare_t *prepare, uint32_t row)
{
    uint32_t place = 0;
    for (uint32_t i = prepare->axis_count - 1u; i-- > 0;) {
        const prepare_axis_t *axis = &prepare->axes[i];
        place += axis->places[row % axis->size];
        row /= axis->size;
    }
    return place;
}

void prepare_values(
    const prepare_t *prepare, const int8_t *values, uint32_t first, uint32_t count, uint32_t *words)
{
    const prepare_axis_t *columns = &prepare->axes[prepare->axis_count - 1u];
    uint32_t row = first / columns->size;
    uint32_t column = first % columns->size;
    if (first == 0) {
        memset(words, 0, prepare->words * sizeof *words);
    }
    for (uint32_t i = 0; i < count; row++) {
        uint32_t place = place_of_row(prepare, row);
        for (; column < columns->size && i < count; column++) {
            uint32_t byte = values_byte(prepare->layout, place + columns->places[column]);
            ((int8_t *)words)[byte] = values[i];
            i++;
        }
        column = 0;
    }
}
