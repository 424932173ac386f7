/* log_frame.h: a line of a log as bytes: in the files of the driver "local", and on the way to a driver's own process.
 *
 *   length   4 bytes, little endian as all numbers here: of the payload
 *   sum      4 bytes, FNV-1a of the payload
 *   payload  flags 1 (LogStream | 4: a piece | 8: the last one | 16: fields follow), time 8, [piece 4],
 *            [number of fields 2, each: key NUL value NUL], the text to its end
 *   length   again: a file can be read from its end, and what a crash has left of a frame is seen for what it is
 */
#pragma once

#include "base/bind.h"
#include "monitor/log_line.h"
#include "monitor/log_options.h"

enum { LOG_FRAME_HEAD = 8, LOG_FRAME_TAIL = 4, LOG_FRAME_OVERHEAD = LOG_FRAME_HEAD + LOG_FRAME_TAIL };
enum { LOG_PAYLOAD_MIN = 9, LOG_PAYLOAD_MAX = 2 << 20 };

/* LogEntry: a line as it was read back. */
typedef struct LogEntry {
	LogLine line;
	StrMap fields; /* in pairs */
	StrPair pairs[LOG_FIELDS_MAX];
} LogEntry;

/* log_frame_put: appends a frame. fields may be NULL. */
void log_frame_put(Buf *b, const LogLine *l, const StrMap *fields);
/* log_frame_get: the frame that p begins with: its size, 0 when its end is not there yet, -EBADMSG when it is none. *ret points into p, and at
 * itself. */
ssize_t log_frame_get(const char *p, size_t n, LogEntry *ret) MUST_USE;
/* log_frame_size: of the frame whose first LOG_FRAME_HEAD bytes are p (no more is looked at), or whose last LOG_FRAME_TAIL; -EBADMSG. */
ssize_t log_frame_size_by_head(const char *p) MUST_USE;
ssize_t log_frame_size_by_tail(const char *p) MUST_USE;
/* log_frame_text: bytes of text in a whole frame that has no fields. */
size_t log_frame_text(const char *p) MUST_USE;
/* log_frames_end: where the whole frames of a file of that size end. */
int log_frames_end(int fd, int64_t size, int64_t *ret) MUST_USE;
