/* own_program.h: the other programs of this product. */
#pragma once

#include "base/err.h"

/* own_program_open: an O_PATH descriptor of the program of that name: beside the running program, then in the directory `installed`. -ENOENT. */
int own_program_open(const char *name, const char *installed, Err *e) MUST_USE;
/* own_path: the path of the running program. */
enum { OWN_PATH_MAX = 4096 };
int own_path(char path[static OWN_PATH_MAX], Err *e) MUST_USE;
