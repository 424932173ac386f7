/* top.h: the processes of a running container, seen from the host. */
#pragma once

#include "engine/record.h"

typedef struct ProcessRow {
	StrList cells; /* as many as there are titles */
} ProcessRow;

typedef struct ProcessTable {
	StrList titles;
	LIST_OF(ProcessRow) rows;
} ProcessTable;

/* engine_top: options: those of ps(1); none: what `ps -ef` shows, without ps. -ESRCH "container … is not running"; what ps says when it fails. */
int engine_top(Engine *g, const Record *c, const StrList *options, Arena *a, ProcessTable *ret, Err *e) MUST_USE;

/* top_parse: the rows of those pids out of what ps has printed. */
int top_parse(Str text, const U32List *pids, Arena *a, ProcessTable *ret, Err *e) MUST_USE;
