/* What the stages of a tail compute. Indices count values in C order. */
#include "fixed_point.h"
#include "tail.h"

#include <stddef.h>

int32_t tail_value(const tail_source_t *source, uint32_t index)
{
    const values_layout_t *layout = source->layout;
    if (layout == NULL) {
        return (int32_t)source->words[index];
    }
    uint32_t byte = values_byte(layout, index);
    if (layout->wide) {
        return (int32_t)source->words[byte / sizeof(uint32_t)];
    }
    return ((const int8_t *)source->words)[byte];
}

/* ---- Along an axis ---- */

/* The first of the values along the axis. */
static uint32_t first_of(const tail_stage_t *stage, uint32_t position)
{
    return position / stage->inner * stage->inner * stage->length + position % stage->inner;
}

/* Which of the values along the axis is the largest, of equal ones the first. */
static uint32_t place_of_largest(const tail_stage_t *stage, const tail_source_t *source, uint32_t first)
{
    uint32_t place = 0;
    int32_t largest = tail_value(source, first);
    for (uint32_t i = 1; i < stage->length; i++) {
        int32_t value = tail_value(source, first + i * stage->inner);
        if (value > largest) {
            largest = value;
            place = i;
        }
    }
    return place;
}

static int32_t largest_of(const tail_stage_t *stage, const tail_source_t *source, uint32_t first)
{
    return tail_value(source, first + place_of_largest(stage, source, first) * stage->inner);
}

static uint64_t distance(int32_t largest, int32_t value)
{
    return (uint64_t)((int64_t)largest - value);
}

void tail_softmax(const tail_stage_t *stage, const tail_source_t *source, uint32_t position, int32_t *target)
{
    uint32_t first = first_of(stage, position);
    int32_t largest = largest_of(stage, source, first);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < stage->length; i++) {
        uint32_t index = first + i * stage->inner;
        uint32_t power = fixed_exponential(distance(largest, tail_value(source, index)), stage->fraction_bits);
        target[index] = (int32_t)power;
        sum += power;
    }
    uint64_t inverse = fixed_inverse(sum);
    for (uint32_t i = 0; i < stage->length; i++) {
        uint32_t index = first + i * stage->inner;
        target[index] = fixed_share((uint32_t)target[index], inverse);
    }
}

void tail_log_softmax(const tail_stage_t *stage, const tail_source_t *source, uint32_t position, int32_t *target)
{
    uint32_t first = first_of(stage, position);
    int32_t largest = largest_of(stage, source, first);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < stage->length; i++) {
        int32_t value = tail_value(source, first + i * stage->inner);
        sum += fixed_exponential(distance(largest, value), stage->fraction_bits);
    }
    int64_t logarithm = fixed_logarithm(sum);
    for (uint32_t i = 0; i < stage->length; i++) {
        uint32_t index = first + i * stage->inner;
        uint64_t below = distance(largest, tail_value(source, index));
        int64_t result = -(int64_t)fixed_rescaled(below, FIXED_RESULT_BITS - stage->fraction_bits, INT32_MAX);
        result -= logarithm;
        target[index] = result < -INT32_MAX ? -INT32_MAX : (int32_t)result;
    }
}

void tail_argmax(const tail_stage_t *stage, const tail_source_t *source, uint32_t position, int32_t *target)
{
    target[position] = (int32_t)place_of_largest(stage, source, first_of(stage, position));
}

void tail_max(const tail_stage_t *stage, const tail_source_t *source, uint32_t position, int32_t *target)
{
    target[position] = largest_of(stage, source, first_of(stage, position));
}

/* ---- Value by value ---- */

void tail_sigmoid(const tail_stage_t *stage, const tail_source_t *source, uint32_t position, int32_t *target)
{
    target[position] = fixed_sigmoid(tail_value(source, position), stage->fraction_bits);
}

void tail_tanh(const tail_stage_t *stage, const tail_source_t *source, uint32_t position, int32_t *target)
{
    target[position] = fixed_tanh(tail_value(source, position), stage->fraction_bits);
}

/* ---- Places ---- */

void tail_move(const tail_stage_t *stage, const tail_source_t *source, uint32_t position, int32_t *target)
{
    const tail_move_t *move = stage->move;
    uint32_t index = move->first;
    uint32_t left = position;
    for (uint32_t i = move->axes; i-- > 0;) {
        index += left % move->axis[i].size * move->axis[i].stride;
        left /= move->axis[i].size;
    }
    target[position] = tail_value(source, index);
}

/* The first value of a map, and the row and column of a position in the new map. */
typedef struct {
    uint32_t map, row, column;
} place_t;

static place_t place_of(const tail_resize_t *resize, uint32_t position)
{
    uint32_t pixels = resize->rows.after * resize->columns.after;
    return (place_t){
        .map = position / pixels * resize->rows.before * resize->columns.before,
        .row = position % pixels / resize->columns.after,
        .column = position % resize->columns.after,
    };
}

void tail_nearest(const tail_stage_t *stage, const tail_source_t *source, uint32_t position, int32_t *target)
{
    const tail_resize_t *resize = stage->resize;
    place_t place = place_of(resize, position);
    uint32_t row = place.row * resize->rows.before / resize->rows.after;
    uint32_t column = place.column * resize->columns.before / resize->columns.after;
    target[position] = tail_value(source, place.map + row * resize->columns.before + column);
}

/* Two neighbours, and the share of the second one times the axis' denominator. */
typedef struct {
    uint32_t lower, upper;
    int32_t second;
} between_t;

static between_t between(const tail_pixels_t *pixels, uint32_t target)
{
    int32_t place = (int32_t)target * pixels->step + pixels->offset;
    place = place < 0 ? 0 : place;
    uint32_t lower = (uint32_t)(place / pixels->denominator);
    uint32_t upper = lower + 1u < pixels->before ? lower + 1u : lower;
    return (between_t){.lower = lower, .upper = upper, .second = place % pixels->denominator};
}

/* Rounded half up. */
static int32_t quotient(int64_t numerator, int64_t denominator)
{
    int64_t raised = numerator + denominator / 2;
    int64_t whole = raised / denominator;
    return (int32_t)(raised % denominator < 0 ? whole - 1 : whole);
}

void tail_bilinear(const tail_stage_t *stage, const tail_source_t *source, uint32_t position, int32_t *target)
{
    const tail_resize_t *resize = stage->resize;
    place_t place = place_of(resize, position);
    between_t row = between(&resize->rows, place.row);
    between_t column = between(&resize->columns, place.column);
    int64_t total = 0;
    for (unsigned i = 0; i < 4u; i++) { /* corners: the low bit of i tells the column, the high one the row */
        uint32_t y = i & 2u ? row.upper : row.lower;
        uint32_t x = i & 1u ? column.upper : column.lower;
        int32_t height = i & 2u ? row.second : resize->rows.denominator - row.second;
        int32_t width = i & 1u ? column.second : resize->columns.denominator - column.second;
        int64_t value = tail_value(source, place.map + y * resize->columns.before + x);
        total += value * height * width;
    }
    int64_t whole = (int64_t)resize->rows.denominator * resize->columns.denominator;
    target[position] = quotient(total * resize->scale, whole);
}
