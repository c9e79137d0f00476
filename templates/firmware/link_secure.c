#include "link_secure.h"

#include <string.h>

#include "link_parts.h"
#include "monocypher.h"
#include "port.h"

/* What sealing puts around a payload: the counter before it, the tag after it. */
#define COUNTER_BYTES 4u
#define TAG_BYTES 16u
_Static_assert(FRAME_SEAL_BYTES == COUNTER_BYTES + TAG_BYTES, "sizing.py must count what sealing adds");

/* A nonce of ChaCha20-Poly1305 (RFC 8439): four bytes of direction, eight of counter. */
#define CIPHER_NONCE_BYTES 12u

#define PLAN_BYTES 4u
#define HELLO_BYTES (PLAN_BYTES + LINK_NONCE_BYTES)

static bool has_key(const link_t *link)
{
    uint8_t all = 0xFFu;
    for (uint32_t i = 0; i < LINK_KEY_BYTES; i++) {
        all &= link->key[i];
    }
    return all != 0xFFu;
}

/* The end with the lower number begins the handshake. */
bool link_calls(const link_t *link)
{
    return link->own < link->peer;
}

/* Key of the session: the link's key, bound to the random numbers of both ends by HChaCha20. */
static void derive(const link_t *link, link_session_t *session)
{
    uint8_t key[LINK_KEY_BYTES];
    for (uint32_t i = 0; i < LINK_KEY_BYTES; i++) {
        key[i] = link->key[i];
    }
    crypto_chacha20_h(key, key, session->caller);
    crypto_chacha20_h(session->key, key, session->answerer);
    crypto_wipe(key, sizeof key);
    session->next_sent = 0;
    session->next_heard = 0;
}

/* The cipher's state for one frame; `from_caller` is its direction. */
static void begin_frame(crypto_aead_ctx *cipher, const link_session_t *session, bool from_caller, uint32_t counter)
{
    uint8_t nonce[CIPHER_NONCE_BYTES] = {from_caller ? 1u : 0u};
    frame_put32(nonce + 4, counter);
    crypto_aead_init_ietf(cipher, session->key, nonce);
}

/* Bytes of the header that tell sessions apart at a glance: the first ones of both random numbers. */
static uint16_t session_bytes(const link_session_t *session, bool from_caller)
{
    uint8_t from = from_caller ? session->caller[0] : session->answerer[0];
    uint8_t to = from_caller ? session->answerer[0] : session->caller[0];
    return (uint16_t)(from << 8 | to);
}

/* Writes counter, encrypted payload and tag to `sealed`; the header is authenticated with them. */
static bool seal(const link_t *link, link_session_t *session, frame_t *frame, uint8_t *sealed)
{
    if (session->next_sent == UINT32_MAX) {
        return false; /* the peer will miss us, and a new session begins */
    }
    uint32_t counter = session->next_sent++;
    frame->session = session_bytes(session, link_calls(link));
    uint8_t header[FRAME_HEADER_BYTES];
    frame_put_header(frame, header);
    crypto_aead_ctx cipher;
    begin_frame(&cipher, session, link_calls(link), counter);
    frame_put32(sealed, counter);
    uint8_t *text = sealed + COUNTER_BYTES;
    crypto_aead_write(&cipher, text, text + frame->size_bytes, header, sizeof header, frame->payload, frame->size_bytes);
    crypto_wipe(&cipher, sizeof cipher);
    return true;
}

/* Decrypts a sealed payload where it stands if its tag is right; `sealed` has at least FRAME_SEAL_BYTES. */
static bool unseal(const link_t *link, const link_session_t *session, const frame_t *frame, uint8_t *sealed, uint32_t size_bytes)
{
    uint8_t header[FRAME_HEADER_BYTES];
    frame_put_header(frame, header);
    crypto_aead_ctx cipher;
    begin_frame(&cipher, session, !link_calls(link), frame_get32(sealed));
    uint8_t *text = sealed + COUNTER_BYTES;
    size_t text_bytes = size_bytes - FRAME_SEAL_BYTES;
    int wrong = crypto_aead_read(&cipher, text, text + text_bytes, header, sizeof header, text, text_bytes);
    crypto_wipe(&cipher, sizeof cipher);
    return wrong == 0;
}

bool link_seal(link_t *link, frame_t *frame)
{
    static uint8_t sealed[FRAME_PAYLOAD_BYTES + FRAME_SEAL_BYTES];
    link_session_t *session = &link->security->current;
    if (!session->valid || !seal(link, session, frame, sealed)) {
        return false;
    }
    frame->payload = sealed;
    frame->size_bytes = (uint16_t)(frame->size_bytes + FRAME_SEAL_BYTES);
    return true;
}

void link_renew(link_t *link)
{
    link_security_t *security = link->security;
    crypto_wipe(&security->current, sizeof security->current);
    if (link_calls(link)) {
        security->candidate.valid = port_random(security->candidate.caller, LINK_NONCE_BYTES);
    }
}

bool link_may_call(link_t *link)
{
    if (!link_calls(link) || !has_key(link)) {
        return false;
    }
    if (!link->security->candidate.valid) {
        link_renew(link); /* there were no random numbers */
    }
    return link->security->candidate.valid;
}

bool link_may_ask(const link_t *link)
{
    return !link_calls(link) && has_key(link);
}

void link_add_nonce(const link_t *link, uint8_t *nonce)
{
    memcpy(nonce, link->security->candidate.caller, LINK_NONCE_BYTES);
}

/* Frames of the candidate prove that the peer has the key and knows our random number: it is the session now. */
static void adopt(link_t *link)
{
    link_security_t *security = link->security;
    link_restart(link);
    security->current = security->candidate;
    crypto_wipe(&security->candidate, sizeof security->candidate);
    link->peer_known = true;
    link->peer_knows_us = true;
}

/* Answers a call: our random number, and a tag under the key that follows from it. The same call gets the same
 * answer, which therefore always has counter 0. */
static void answer_call(link_t *link)
{
    link_session_t *session = &link->security->candidate;
    uint8_t payload[LINK_NONCE_BYTES + FRAME_SEAL_BYTES];
    frame_t answer = {.kind = FRAME_HELLO_ACK};
    link_address_frame(link, &answer);
    session->next_sent = 0;
    memcpy(payload, session->answerer, LINK_NONCE_BYTES);
    if (seal(link, session, &answer, payload + LINK_NONCE_BYTES)) {
        answer.payload = payload;
        answer.size_bytes = sizeof payload;
        link_write_frame(link, &answer);
        link_note_hello(link);
    }
}

_Static_assert(LINK_NONCE_BYTES == 16u, "crypto_verify16 compares 16 bytes");
static bool is_same_nonce(const uint8_t *one, const uint8_t *other)
{
    return crypto_verify16(one, other) == 0;
}

bool link_receive_call(link_t *link, const frame_t *hello)
{
    link_security_t *security = link->security;
    link_session_t *candidate = &security->candidate;
    if (link_calls(link) || !has_key(link) || hello->size_bytes != HELLO_BYTES) {
        return false;
    }
    const uint8_t *nonce = hello->payload + PLAN_BYTES;
    if (security->current.valid && is_same_nonce(security->current.caller, nonce)) {
        security->replayed_frames++;
        return false;
    }
    if (!candidate->valid || !is_same_nonce(candidate->caller, nonce)) {
        memcpy(candidate->caller, nonce, LINK_NONCE_BYTES);
        candidate->valid = port_random(candidate->answerer, LINK_NONCE_BYTES);
        derive(link, candidate);
    }
    if (candidate->valid) {
        answer_call(link);
    }
    return true;
}

bool link_receive_call_answer(link_t *link, const frame_t *answer)
{
    link_session_t *candidate = &link->security->candidate;
    uint8_t *payload = link->wire->decoder.plain + FRAME_HEADER_BYTES;
    bool expected = link_calls(link) && candidate->valid && answer->size_bytes == LINK_NONCE_BYTES + FRAME_SEAL_BYTES;
    if (!expected) {
        link->security->replayed_frames++;
        return false;
    }
    memcpy(candidate->answerer, payload, LINK_NONCE_BYTES);
    derive(link, candidate);
    uint8_t *sealed = payload + LINK_NONCE_BYTES;
    if (frame_get32(sealed) != 0 || !unseal(link, candidate, answer, sealed, FRAME_SEAL_BYTES)) {
        link->security->forged_frames++;
        return false;
    }
    candidate->next_heard = 1;
    adopt(link);
    frame_t proof = {.kind = FRAME_BEAT};
    link_send_frame(link, &proof);
    return true;
}

/* The session that a frame says it belongs to: the current one or, at the end that was called, the next one. */
static link_session_t *session_of(link_t *link, const frame_t *frame)
{
    link_security_t *security = link->security;
    if (security->current.valid && frame->session == session_bytes(&security->current, !link_calls(link))) {
        return &security->current;
    }
    bool may_be_next = !link_calls(link) && security->candidate.valid;
    if (may_be_next && frame->session == session_bytes(&security->candidate, !link_calls(link))) {
        return &security->candidate;
    }
    return NULL;
}

bool link_unseal(link_t *link, frame_t *frame)
{
    link_security_t *security = link->security;
    link_session_t *session = session_of(link, frame);
    uint8_t *sealed = link->wire->decoder.plain + FRAME_HEADER_BYTES;
    if (frame->size_bytes < FRAME_SEAL_BYTES) {
        security->forged_frames++;
        return false;
    }
    uint32_t counter = frame_get32(sealed);
    if (session == NULL || counter < session->next_heard || counter == UINT32_MAX) {
        security->replayed_frames++;
        return false;
    }
    if (!unseal(link, session, frame, sealed, frame->size_bytes)) {
        security->forged_frames++;
        return false;
    }
    session->next_heard = counter + 1u;
    if (session == &security->candidate) {
        adopt(link);
    }
    frame->payload = sealed + COUNTER_BYTES;
    frame->size_bytes = (uint16_t)(frame->size_bytes - FRAME_SEAL_BYTES);
    return true;
}

const char *link_obstacle(const link_t *link)
{
    const link_security_t *security = link->security;
    if (!has_key(link)) {
        return "no key";
    }
    bool unproven = link_calls(link) ? security->forged_frames != 0 : security->candidate.valid;
    return unproven && !link_is_up(link) ? "refused" : NULL;
}
