/* view.h: a container as docker's API shows it. */
#pragma once

#include "engine/record.h"

/* ContainerView: a row and how it is doing. */
typedef struct ContainerView {
	const Record *record;
	RunState state;
	bool paused;
} ContainerView;

/* container_view: looks; see engine_state. */
int container_view(Engine *g, const Record *c, Arena *a, ContainerView *ret, Err *e) MUST_USE;

/* container_status: "created", "running", "paused", "restarting", "removing", "exited", "dead". */
const char *container_view_status(const ContainerView *v);
/* container_view_text: the same in words, as `ps` has it: "Up 3 minutes (healthy)", "Exited (0) 2 hours ago". */
enum { VIEW_TEXT_MAX = 128 };
void container_view_text(const ContainerView *v, char text[static VIEW_TEXT_MAX]);
/* container_view_command: path and arguments, as one line; arguments with blanks in quotes. NULL: no memory. */
const char *container_view_command(const Record *c, Arena *a);

/* container_view_json: the answer to GET /containers/{id}/json. size: with SizeRw and SizeRootFs. */
int container_view_json(Engine *g, const ContainerView *v, bool size, Arena *a, JsonWriter *w, Err *e) MUST_USE;
