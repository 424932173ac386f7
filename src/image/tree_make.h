/* tree_make.h: the part of tree_extract that makes the files; it runs in the confined child. */
#pragma once

#include "image/tree_extract.h"
#include "sys/erofs.h"

/* tree_make: the tree t, whose device i + 1 is tars[i], in the directory dir, of which it is the owner. The current directory is changed. */
int tree_make(ErofsTree *t, const int *tars, size_t n, int dir, TreeStats *stats, Err *e) MUST_USE;
