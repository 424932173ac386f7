/* box.h: a running container as the runtime knows it: its control group, its first process. */
#pragma once

#include "engine/record.h"
#include "runtime/container.h"

typedef struct Box {
	Arena arena;
	Log log;
	Runtime rt;
	Container container;
} Box;
#define BOX_INIT ((Box){ .container = { .dir = -1 } })

/* box_load: -ENOENT when it does not run. */
int box_load(const Engine *g, const Record *c, Box *b, Err *e) MUST_USE;
void box_done(Box *b);
#define AUTO_BOX AUTO(box_done) Box
