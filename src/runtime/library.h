/* library.h: what the files of libskepruntime share. A function of the library is a Call: its arena, its error and, where it is about
 * one, its container; what container.h does happens in between.
 */
#pragma once

#include <skep-runtime.h>

#include "runtime/container.h"

struct skep_error {
	Err err;
};

struct skep_runtime {
	Arena arena; /* of root and name */
	Runtime rt;
	Log log;
	skep_log_function sink;
	void *sink_data;
};

enum {
	LIBRARY_TEXT_MAX = 64 * 1024 * 1024,
	LIBRARY_ARENA_MAX = 64 * 1024 * 1024,
	/* kinds of calls: see call_begin */
	CALL_ALONE = 1,
};

typedef struct Call {
	Arena arena;
	Container container;
	Err own; /* when the caller wants none */
	Err *e;
} Call;

/* call_plain: empties the caller's error, for calls that need no runtime. */
void call_plain(Call *c, skep_error *error);
/* call_begin: the same, and refuses a missing runtime; always followed by call_end (AUTO_CALL with CALL_INIT). CALL_ALONE: the call
 * starts processes: -EBUSY in a process with several threads. */
int call_begin(Call *c, const skep_runtime *runtime, unsigned kind, skep_error *error) MUST_USE;
/* call_container: the same, and loads the container. */
int call_container(Call *c, const skep_runtime *runtime, const char *id, unsigned kind, skep_error *error) MUST_USE;
void call_end(Call *c);
#define AUTO_CALL AUTO(call_end) Call
#define CALL_INIT ((Call){ .arena = ARENA_INIT(LIBRARY_ARENA_MAX), .container.dir = -1 })

/* call_options: copies an option struct of whatever version into ours, which has own bytes; both begin with their size. */
int call_options(Call *c, const void *options, void *ret, size_t own) MUST_USE;

/* call_text: the buffer's content as the caller's text; -ENOMEM when it has failed. */
int call_text(Call *c, Buf *b, char **ret) MUST_USE;
