/* The block hook of the emulated CPU: virtual time in CPU cycles.
 *
 * The engine calls it before each block of instructions. It charges the block's cost, or stops the
 * engine before the block when the time has come to look at events. synergyc/emulate/clock.py does
 * exactly the same in Python, and fills the cost table of this one; structures match field by field. */
#include <stdint.h>

enum { FLAG_FLOAT = 1, FLAG_MASKS = 2, FLAG_SPIN = 4 };
enum { REASON_NONE = 0, REASON_LIMIT = 1, REASON_SPIN = 2, REASON_NO_FLOAT = 3 };

#define NO_ADDRESS UINT64_MAX

struct cost {
  uint32_t address; /* odd: empty */
  uint32_t size_bytes;
  uint32_t cycles;
  uint16_t instructions;
  uint16_t flags;
};

struct block_clock {
  uint64_t cycles;
  uint64_t limit;
  uint64_t instructions;
  uint64_t fall_through; /* end of the block before, or NO_ADDRESS */
  uint32_t refill_cycles;
  uint32_t last_flags;
  uint32_t watch_masks;
  uint32_t float_enabled;
  uint32_t float_used;
  uint32_t reason;
  uint64_t table_mask;
  struct cost *table;
  int (*stop)(void *engine);
  void (*fill)(struct cost *entry, uint64_t address, uint32_t size_bytes);
};

/* For the check that this build and clock.py agree about the structure. */
__attribute__((visibility("default"))) const uint32_t synergyc_block_clock_bytes = sizeof(struct block_clock);

static void stop(struct block_clock *clock, void *engine, uint32_t reason) {
  clock->reason = reason;
  clock->stop(engine);
}

__attribute__((visibility("default"))) void synergyc_block_hook(void *engine, uint64_t address,
                                                                uint32_t size_bytes, void *user) {
  struct block_clock *clock = user;
  if (clock->fall_through != NO_ADDRESS) {
    if (address != clock->fall_through) clock->cycles += clock->refill_cycles;
    clock->fall_through = NO_ADDRESS;
  }
  const uint32_t last_flags = clock->last_flags;
  clock->last_flags = 0;
  if (clock->cycles >= clock->limit || (clock->watch_masks && (last_flags & FLAG_MASKS))) {
    stop(clock, engine, REASON_LIMIT);
    return;
  }
  struct cost *entry = &clock->table[(address >> 1) & clock->table_mask];
  if (entry->address != address || entry->size_bytes != size_bytes) clock->fill(entry, address, size_bytes);
  if (entry->flags & FLAG_SPIN) {
    stop(clock, engine, REASON_SPIN);
    return;
  }
  if (entry->flags & FLAG_FLOAT) {
    if (!clock->float_enabled) {
      stop(clock, engine, REASON_NO_FLOAT);
      return;
    }
    clock->float_used = 1;
  }
  clock->cycles += entry->cycles;
  clock->instructions += entry->instructions;
  clock->fall_through = address + size_bytes;
  clock->last_flags = entry->flags;
}
