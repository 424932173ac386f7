/* box.c: see box.h. */
#include "engine/box.h"

enum { RUNTIME_ARENA = 8 << 20 };

void box_done(Box *b)
{
	container_done(&b->container);
	arena_done(&b->arena);
}

int box_load(const Engine *g, const Record *c, Box *b, Err *e)
{
	*b = (Box){ .arena = ARENA_INIT(RUNTIME_ARENA), .log = { .fd = -1, .level = LOG_ERROR }, .container = { .dir = -1 } };
	const char *root = arena_printf(&b->arena, "%s/runtime", g->run_root);
	if (!root) return err_sys(e, ENOMEM, "container %s", c->name);
	b->rt = (Runtime){ .root = root, .name = "skep", .cgroup_driver = CGROUP_FS, .rootless = runtime_is_rootless(), .log = &b->log };
	return container_load(&b->rt, c->id, &b->arena, &b->container, e);
}
