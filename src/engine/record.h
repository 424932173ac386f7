/* record.h: the rows of containers: what each was asked to be. */
#pragma once

#include "engine/config.h"
#include "engine/endpoint.h"
#include "engine/engine.h"
#include "engine/id_ranges.h"
#include "engine/mount_point.h"
#include "monitor/run_state.h"

typedef struct Record {
	const char *id; /* 64 hexadecimal digits */
	const char *name;
	Digest manifest, image_id; /* algorithm 0: a root directory of the user's */
	int64_t created;           /* ns since 1970 */
	ContainerConfig config;
	HostConfig host;
	MountPointList mounts;
	EndpointRequestList networks; /* that it is connected to while it runs, in the order of their devices */
	bool brief;                   /* host, mounts and networks were not read */
} Record;
typedef LIST_OF(Record) RecordList;

enum { RECORD_ID_LENGTH = 64, RECORD_SHORT_ID = 12 };

/* record_new_id: random, and not all digits in its first twelve (so that it can be a hostname). */
int record_new_id(char id[static RECORD_ID_LENGTH + 1], Err *e) MUST_USE;
/* record_name_check: [a-zA-Z0-9][a-zA-Z0-9_.-]+, a leading '/' aside; docker's words. */
int record_name_check(const char *name, Err *e) MUST_USE;

/* record_find: by name, id or the beginning of an id. -ENOENT "No such container: x"; -EINVAL for a beginning of several. */
int record_find(Engine *g, const char *name, Arena *a, Record *ret, Err *e) MUST_USE;
/* record_list: all, the newest first. record_list_brief: without host and mounts, in half the time: for a table of them. */
int record_list(Engine *g, Arena *a, RecordList *ret, Err *e) MUST_USE;
int record_list_brief(Engine *g, Arena *a, RecordList *ret, Err *e) MUST_USE;

/* record_insert: a container without a name gets one that nobody has. -EEXIST with docker's words when the name is taken; -EBUSY when the image is gone.
 * What ids asks for is reserved and written down in c->host. */
int record_insert(Engine *g, Record *c, UsernsPlan *ids, Arena *a, Err *e) MUST_USE;
/* record_delete: the row; its directory, when it has files, becomes doomed. -ENOENT. */
int record_delete(Engine *g, const char *id, bool has_files, Err *e) MUST_USE;
int record_rename(Engine *g, const char *id, const char *name, Err *e) MUST_USE;
/* record_set_host, record_set_networks: replace the document. */
int record_set_host(Engine *g, const char *id, const HostConfig *host, Err *e) MUST_USE;
int record_set_networks(Engine *g, const char *id, const EndpointRequestList *networks, Err *e) MUST_USE;

/* record_is_there: false only when it is known that there is none. record_no_such: says so. */
bool record_is_there(const Engine *g, const char *id) MUST_USE;
int record_no_such(const char *id, Err *e) MUST_USE;
/* record_dir: the container's directory. record_lock: run_lock_wait on it; -ENOENT "No such container: x" when that has been removed meanwhile: the
 * lock may be that of a directory that has no name any more. */
int record_dir(const Engine *g, const char *id, Err *e) MUST_USE;
int record_lock(const Engine *g, const char *id, int dir, int timeout_ms, Err *e) MUST_USE;
/* record_attributes: those of its events: labels, image, name; sorted. There is room for EVENT_MORE_MAX more. */
enum { EVENT_MORE_MAX = 4 };
int record_attributes(const Record *c, Arena *a, StrMap *ret, Err *e) MUST_USE;
/* record_event: an event of it now; key may be NULL. record_event_more: with up to EVENT_MORE_MAX further attributes. */
void record_event(const Engine *g, const Record *c, const char *action, const char *key, const char *value);
void record_event_more(const Engine *g, const Record *c, const char *action, const StrPair *more, size_t n);
