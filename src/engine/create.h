/* create.h: making a container. */
#pragma once

#include "engine/record.h"

typedef struct CreateRequest {
	ContainerConfig config; /* as the user gave it */
	HostConfig host;
	EndpointRequestList networks; /* what is asked of them; none: the one that host.network_mode names */
	const char *name;             /* NULL: one is made up */
	const Image *image;           /* NULL: host.rootfs is the root */
} CreateRequest;

/* engine_create: checks all of it, makes the directory and the row. Nothing runs. warnings: sentences for the user. */
int engine_create(Engine *g, const CreateRequest *q, Arena *a, Record *ret, StrList *ret_warnings, Err *e) MUST_USE;
