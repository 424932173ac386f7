/* events.h: what happened (monitor/event_log.h), chosen and in the form of docker's API.
 *
 * An event has a number; numbers rise, so who has seen one asks for what came after it, and misses nothing that is kept.
 */
#pragma once

#include "monitor/event_log.h"

typedef struct EventsOptions {
	int64_t since, until; /* ns since 1970; 0: from now on; without an end */
	bool resume;          /* from the event behind number `after` on, instead of since */
	uint64_t after;
	const StrList *filters; /* "key=value", as docker's --filter; those of one key are alternatives, but labels all must be there */
	int leaver;             /* a descriptor: nobody wants more when it is hung up; -1: none */
} EventsOptions;

/* EventShown: one event. The text and the tree are the same object: that of docker's API ("status", "id" and "from" where it has them). */
typedef struct EventShown {
	uint64_t number;
	Event event;
	Str json;
} EventShown;

typedef struct EventsSink {
	int (*show)(void *arg, const EventShown *e, Err *err); /* a negative errno ends it */
	int (*idle)(void *arg, Err *err);                      /* all that there is now has been shown */
	void (*gap)(void *arg);                                /* events that were asked for are not kept any more */
	void *arg;
} EventsSink;

/* events_check_filters: -EINVAL with docker's words. */
int events_check_filters(const StrList *filters, Err *e) MUST_USE;
/* engine_events: of the state directory root, until `until`, or for ever. */
int engine_events(int root, const EventsOptions *o, const EventsSink *to, Err *e) MUST_USE;
