/* spill.h: output on its way to somebody slow: nothing is lost and nobody waits. What memory shall not hold goes to an unnamed file. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum { SPILL_MEMORY = 1 << 20 };

typedef struct Spill {
	int out;      /* where it goes; borrowed */
	size_t piece; /* bytes that a ready descriptor takes without blocking */
	Buf mem;      /* the next bytes */
	int file;     /* what follows them, from head to tail; -1: none yet */
	int64_t head, tail;
	bool broken; /* out does not take anything any more: all is dropped */
} Spill;

/* spill_init: for a descriptor that may block: a terminal, a pipe, a file. */
void spill_init(Spill *s, int out);
void spill_done(Spill *s);
/* spill_put: takes n bytes; writes what can be written now. -ENOSPC and the like when it can keep no more. */
int spill_put(Spill *s, const char *p, size_t n) MUST_USE;
/* spill_waits: there is something left to write: poll for POLLOUT, then spill_write. */
bool spill_waits(const Spill *s);
void spill_write(Spill *s);
/* spill_flush: writes all of it, waiting. */
void spill_flush(Spill *s);
