/* event_log.h: what happened, durably and in order: a file of lines that every command and monitor appends to.
 *
 *   events/<first>   a segment; <first>, 16 hexadecimal digits, is the number of its first byte
 *
 * An event's number is the position of its line in the endless file that all segments are; so numbers rise, are never given twice, and a
 * reader goes on where he was. One line is one event, in the form of docker's API, one write(2) each under a lock. A segment of
 * EVENT_SEGMENT_MAX bytes is followed by a new one; the EVENT_SEGMENTS newest are kept.
 */
#pragma once

#include "base/bind.h"
#include "sys/fd.h"

enum { EVENT_SEGMENT_MAX = 8 << 20, EVENT_SEGMENTS = 4, EVENT_MAX = 65536 };

typedef struct Event {
	const char *type, *action; /* "container", "start" */
	const char *id;            /* of the object */
	StrMap attributes;
	int64_t time; /* ns since 1970; 0: now */
} Event;

/* event_members: of its JSON object, as docker has them. */
void event_members(const Event *ev, JsonWriter *w);
/* event_append: into the directory root/events, made when missing. Returns 0; *ret_number may be NULL. */
int event_append(int root, const Event *ev, uint64_t *ret_number, Err *e) MUST_USE;

/* EventReader: reads on from a number; each line as it stands, with its number. */
typedef struct EventReader {
	int dir;              /* of the segments, owned */
	int segment;          /* the open one, owned; -1 */
	uint64_t first, next; /* the number of the segment's first byte, and of the next event */
	size_t given;         /* bytes of the line handed out last */
	bool gap;             /* events before `next` that were asked for are not kept any more */
	Buf buf;
} EventReader;

/* event_reader_open: from the event of that number on; 0: the oldest that is kept. */
int event_reader_open(int root, uint64_t from, EventReader *ret, Err *e) MUST_USE;
void event_reader_done(EventReader *r);
#define AUTO_EVENT_READER AUTO(event_reader_done) EventReader
/* event_next: 1 with the next event's line (valid until the next call) and number; 0 when there is none yet. */
int event_next(EventReader *r, Str *ret_line, uint64_t *ret_number, Err *e) MUST_USE;
/* event_end: the number that the next event will get. */
int event_end(int root, uint64_t *ret, Err *e) MUST_USE;
