/* err.h: an error with its explanation.
 *
 * Fallible functions return an int: 0 or positive is success, a negative errno is failure. Those that owe
 * the user a reason take `Err *e` as last argument; e is owned by the caller and may not be NULL.
 *
 * Invariants
 *  - A function that takes an Err and fails has set it; one that succeeds has not touched it.
 *  - The message is one line without a final newline: what was attempted, on which object, why it failed. Control
 *    characters in it (from names in a document or an image) are replaced.
 *  - err_wrap puts context in front, outermost first: "mount /data: open /srv/x: no such file or directory".
 */
#pragma once

#include "base/defs.h"

typedef enum {
#define ERROR(name, exit_status, http, grpc, text) ERR_##name,
#include "base/errors.def"
#undef ERROR
	ERR_COUNT
} ErrCode;

enum { ERR_MESSAGE_MAX = 1024 };

typedef struct Err {
	ErrCode code;
	int errnum; /* positive errno, 0 when none applies */
	char msg[ERR_MESSAGE_MAX];
} Err;

/* ERR_INIT: the empty error. */
#define ERR_INIT ((Err){ .code = ERR_NONE })

/* err_set: sets code and message; errnum is a positive errno. Returns -errnum for `return err_set(…)`. */
int err_set(Err *e, ErrCode code, int errnum, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* err_sys: the same for a failed system call: ": " and the text of errnum follow the message. The code is
 * derived from errnum (ENOENT gives ERR_NOT_FOUND, EPERM and EACCES ERR_PERMISSION, …). */
int err_sys(Err *e, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* err_wrap: puts "context: " before the message. Returns -e->errnum (or -EIO when that is 0). */
int err_wrap(Err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* err_text: the text of a positive errno as Go and so docker's users know it ("no such file or directory"). */
const char *err_text(int errnum);

/* The derived columns of errors.def. */
int err_exit_status(ErrCode code);
int err_http_status(ErrCode code);
const char *err_name(ErrCode code);
