/* log_json.h: a line of docker's json-file, read back. */
#pragma once

#include "monitor/log_frame.h"

/* log_json_decode: p[0..n) is the line without its newline; strings are unescaped in place, so it is used up. Whatever JSON a text can be is taken, NUL
 * characters too; members that are not known are passed over. -EBADMSG: no line of a log. */
int log_json_decode(char *p, size_t n, LogEntry *ret) MUST_USE;
