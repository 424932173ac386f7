/* engine.h: the containers of one state directory.
 *
 *   skep.db                  rows of containers (record.h), beside those of images
 *   containers/<id>/         lock, state.json (monitor/), rootfs/, upper/ and work/ of the overlay, hosts, hostname,
 *                            resolv.conf, the log
 *   events/                  monitor/event_log.h
 *   $RUN/runtime/<id>/       the runtime's state while it runs
 *   $RUN/monitors/<id>       the socket of its monitor
 *
 * Invariants
 *  - There is no daemon: every command does its work itself, and a monitor stays with each running container.
 *  - A row is written after the container's directory, and removed before it; what is to be removed stands in the table `doomed` meanwhile.
 *  - Who starts or removes a container holds its lock; the monitor inherits it and keeps it.
 *  - A container whose monitor was killed is put right by the next command that meets it (engine_recover).
 */
#pragma once

#include "image/catalog.h"

typedef struct Engine {
	ImageStore *store;
	Db *db;
	const char *root, *run_root; /* absolute */
	int root_dir;
	/* told of each container that is found without its monitor, in a sentence; NULL: nobody */
	void (*lost)(const void *arg, const char *message);
	const void *arg;
} Engine;

/* engine_open: makes the directories that are missing. The strings are borrowed. */
int engine_open(const char *root, const char *run_root, Engine *ret, Err *e) MUST_USE;
void engine_close(Engine *g);
#define AUTO_ENGINE AUTO(engine_close) Engine
