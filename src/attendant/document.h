/* document.h: what one container may ask and is called, as the process with the database writes it for the one that answers (helper.h). Both are of one program, so structs go as
 * they are; it is read as carefully as if they were not.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "link/resolver.h"

enum { DOCUMENT_MAX = 64 << 10 /* one message; 250 bytes for a container with one network */ };

typedef struct Document {
	NamesContainer container;
	ResolverAddress servers[RESOLVER_SERVERS_MAX];
	size_t servers_n;
	bool ndots_set;
} Document;

/* document_write: to is reset first. -E2BIG: more than DOCUMENT_MAX. */
int document_write(const Document *d, Buf *to, Err *e) MUST_USE;
/* document_read: strings lie in [p, p + n), arrays in the arena. -EBADMSG, -ENOMEM. */
int document_read(const char *p, size_t n, Arena *a, Document *ret, Err *e) MUST_USE;
