#include "framing.h"

#include <string.h>

/* CRC-32 of the sixteen values of a nibble: small, and two steps a byte are fast enough for a UART. */
static const uint32_t crc_of_nibble[16] = {
    0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
    0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
};

uint32_t frame_crc32(uint32_t crc, const uint8_t *bytes, size_t count)
{
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ crc_of_nibble[crc & 15u];
        crc = (crc >> 4) ^ crc_of_nibble[crc & 15u];
    }
    return ~crc;
}

static void put16(uint8_t *to, uint16_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, (uint16_t)value);
    put16(to + 2, (uint16_t)(value >> 16));
}

static uint16_t get16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static uint32_t get32(const uint8_t *from)
{
    return get16(from) | (uint32_t)get16(from + 2) << 16;
}

/* COBS output: `code` is where the length of the current run of non-zero bytes will stand. */
typedef struct {
    uint8_t *start, *code, *next;
} cobs_t;

static void cobs_begin(cobs_t *cobs, uint8_t *out)
{
    cobs->start = out;
    cobs->code = out;
    cobs->next = out + 1;
}

static void cobs_close_run(cobs_t *cobs)
{
    *cobs->code = (uint8_t)(cobs->next - cobs->code);
    cobs->code = cobs->next++;
}

static void cobs_put(cobs_t *cobs, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (cobs->next - cobs->code == 255) { /* a full run of 254, without a zero after it */
            cobs_close_run(cobs);
        }
        if (bytes[i] == 0) {
            cobs_close_run(cobs);
        } else {
            *cobs->next++ = bytes[i];
        }
    }
}

static size_t cobs_end(cobs_t *cobs)
{
    *cobs->code = (uint8_t)(cobs->next - cobs->code);
    *cobs->next++ = FRAME_DELIMITER;
    return (size_t)(cobs->next - cobs->start);
}

size_t frame_encode(const frame_t *frame, uint8_t *out)
{
    uint8_t header[FRAME_HEADER_BYTES];
    header[0] = (uint8_t)(FRAME_VERSION << 4 | frame->kind);
    header[1] = frame->stream;
    put16(header + 2, frame->plan);
    put16(header + 4, frame->transfer);
    put16(header + 6, frame->fragment);
    put16(header + 8, frame->count);
    put32(header + 10, frame->run);

    uint8_t check[FRAME_CRC_BYTES];
    uint32_t crc = frame_crc32(0, header, sizeof header);
    put32(check, frame_crc32(crc, frame->payload, frame->size_bytes));

    cobs_t cobs;
    cobs_begin(&cobs, out);
    cobs_put(&cobs, header, sizeof header);
    cobs_put(&cobs, frame->payload, frame->size_bytes);
    cobs_put(&cobs, check, sizeof check);
    return cobs_end(&cobs);
}

static void decoder_store(decoder_t *decoder, uint8_t byte)
{
    if (decoder->size_bytes < sizeof decoder->plain) {
        decoder->plain[decoder->size_bytes++] = byte;
    } else {
        decoder->damaged = true;
    }
}

static bool decoder_check(decoder_t *decoder)
{
    const uint8_t *plain = decoder->plain;
    if (decoder->damaged || decoder->run_left != 0 || decoder->size_bytes < FRAME_HEADER_BYTES + FRAME_CRC_BYTES) {
        return false;
    }
    uint16_t checked = (uint16_t)(decoder->size_bytes - FRAME_CRC_BYTES);
    if (frame_crc32(0, plain, checked) != get32(plain + checked) || plain[0] >> 4 != FRAME_VERSION) {
        return false;
    }
    decoder->frame = (frame_t){
        .kind = plain[0] & 15u,
        .stream = plain[1],
        .plan = get16(plain + 2),
        .transfer = get16(plain + 4),
        .fragment = get16(plain + 6),
        .count = get16(plain + 8),
        .run = get32(plain + 10),
        .size_bytes = (uint16_t)(checked - FRAME_HEADER_BYTES),
        .payload = plain + FRAME_HEADER_BYTES,
    };
    return true;
}

static void decoder_reset(decoder_t *decoder)
{
    decoder->size_bytes = 0;
    decoder->run_left = 0;
    decoder->zero_pending = false;
    decoder->damaged = false;
}

static decoder_result_t decoder_finish(decoder_t *decoder)
{
    bool empty = decoder->size_bytes == 0 && decoder->run_left == 0 && !decoder->damaged && !decoder->zero_pending;
    bool good = !empty && decoder_check(decoder);
    decoder_reset(decoder);
    if (empty) {
        return DECODER_MORE; /* delimiters may be repeated */
    }
    return good ? DECODER_FRAME : DECODER_DAMAGED;
}

decoder_result_t decoder_push(decoder_t *decoder, uint8_t byte)
{
    if (byte == FRAME_DELIMITER) {
        return decoder_finish(decoder);
    }
    if (decoder->run_left != 0) {
        decoder_store(decoder, byte);
        decoder->run_left--;
        return DECODER_MORE;
    }
    if (decoder->zero_pending) {
        decoder_store(decoder, 0);
    }
    decoder->run_left = (uint8_t)(byte - 1u);
    decoder->zero_pending = byte != 255u;
    return DECODER_MORE;
}
