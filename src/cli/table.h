/* table.h: columns: what docker's tables look like. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

/* table_align: text, whose cells end in tabs and whose lines in newlines, with the cells of each column under one another: at least 10
 * wide, at least 3 blanks between them. What follows a line's last tab belongs to no column. A column is aligned over the lines in a
 * row that have it (Go's tabwriter, as docker sets it up). Characters count as one wide. Appends to out; -ENOMEM. */
int table_align(Str text, Arena *a, Buf *out) MUST_USE;
