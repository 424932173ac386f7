/* log_line.h: a line of a container's output, as logs have it. */
#pragma once

#include "base/str.h"

typedef enum { LOG_STDOUT = 1, LOG_STDERR = 2 } LogStream;

/* A longer line comes in pieces of this size, or a little less: none ends within a character of UTF-8. */
enum { LOG_LINE_MAX = 16384 };

typedef struct LogLine {
	LogStream stream;
	int64_t time;   /* ns since 1970, of its first piece */
	Str text;       /* with the newline, where the line has one */
	uint32_t piece; /* 0: the whole line; from 1: which piece of it */
	bool last;      /* piece */
} LogLine;
