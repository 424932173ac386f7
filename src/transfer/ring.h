/* ring.h: chunks of bytes from one thread to another, in order, in bounded memory.
 *
 * One producer, one consumer. Either side may give up: the other then gets -EPIPE, not a wait. Free it when both have ended.
 */
#pragma once

#include "base/defs.h"

typedef struct Ring Ring;

/* ring_new: at most count chunks of size bytes; they are allocated as they are first needed. -ENOMEM. */
int ring_new(size_t size, unsigned count, Ring **ret) MUST_USE;
void ring_free(Ring *r);

/* Producer. ring_room: where to put bytes, at least 1; waits for the consumer. -EPIPE: it has given up; -ENOMEM. ring_done: n of
 * them were put. Chunks are handed over when they are full, and at the end. */
int ring_room(Ring *r, uint8_t **ret_p, size_t *ret_n) MUST_USE;
void ring_done(Ring *r, size_t n);
/* ring_put: a copy of n bytes. */
int ring_put(Ring *r, const void *p, size_t n) MUST_USE;
/* ring_end: nothing more comes. */
void ring_end(Ring *r);

/* Consumer. ring_next: the next bytes, valid until the next call: 1; 0 at the end, -EPIPE when the producer has given up. */
int ring_next(Ring *r, const uint8_t **ret_p, size_t *ret_n) MUST_USE;

/* ring_abort: by either side: from now on everything is -EPIPE. */
void ring_abort(Ring *r);
