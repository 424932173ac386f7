/* config_check_impl.h: between the files of config_check.h. */
#pragma once

#include "engine/config_check.h"

enum { WARNINGS_MAX = 32 };

typedef struct Checker {
	ContainerConfig *config; /* NULL: update */
	HostConfig *host;
	Machine *machine;
	Arena *a;
	StrList warnings; /* room for WARNINGS_MAX */
	Err *e;
} Checker;

void check_warn(Checker *c, const char *text); /* text: not copied */
/* check_fail: for `return check_fail(…)`. */
int check_fail(Checker *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

int check_resources(Checker *c) MUST_USE;
int check_modes(Checker *c) MUST_USE;
