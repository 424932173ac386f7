/* serve.h: the worker's side of image/transfer_wire.h: takes requests, runs each in a thread, tells what came of it. */
#pragma once

#include "base/err.h"

typedef struct ServeOptions {
	int sock;
	bool offline; /* requests that need the network are refused */
} ServeOptions;

/* serve: until the other side hangs up: 0, and the caller ends the process at once, whatever the threads are at. */
int serve(const ServeOptions *o, Err *e) MUST_USE;
