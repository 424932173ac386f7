/* collect.h: the garbage collection: what nobody needs any more goes, while everything else goes on.
 *
 * It is a row of small steps. Each is one commit among those of the pushes (committer.h) and looks at a few hundred
 * rows; the conditions are in the statements that delete, so nothing can have changed between looking and deleting. A file is removed after
 * the row that named it is durably gone, in the same thread that moves files to their place. What was pushed, mounted or
 * asked for within the grace stays: it is the lease of a push that has not sent its manifest yet.
 */
#pragma once

#include "registry/catalog.h"
#include "registry/committer.h"
#include "registry/registry.h"
#include "registry/storage.h"

typedef enum {
	COLLECT_TAGS,         /* retention */
	COLLECT_MANIFESTS,    /* untagged, dangling; again until a pass finds nothing */
	COLLECT_LINKS,        /* blobs of a repository that no manifest of it refers to */
	COLLECT_BLOBS,        /* blobs of no repository */
	COLLECT_REPOSITORIES, /* empty ones */
	COLLECT_FILES,        /* files without a row: a crash between the two; once per process */
	COLLECT_END,
} CollectStage;

enum { COLLECT_BATCH = 200, COLLECT_REMOVED_MAX = COLLECT_BATCH };

typedef struct Collection {
	const RegistryOptions *o;
	const Storage *storage;
	int64_t now, before; /* what is older than before may go */
	bool files;          /* look for files without rows */
	CollectStage stage;
	char cursor[DIGEST_TEXT_MAX + NAME_MAX_LENGTH]; /* where the stage stands */
	int64_t cursor_id;
	uint64_t found;                      /* in this pass over the manifests */
	Digest removed[COLLECT_REMOVED_MAX]; /* files to be removed when the step is durable */
	size_t n_removed;
	RegistryGcResult result;
} Collection;

void collection_init(Collection *c, const RegistryOptions *o, const Storage *s, bool files);
/* collection_step: within a transaction. 1: there is more; 0: that was all. */
int collection_step(Collection *c, Db *db, Err *e) MUST_USE;
/* collection_after: when the step is durable, before any other commit. */
void collection_after(Collection *c, Db *db);

/* In the server. */
typedef struct Registry Registry;
typedef struct Collector {
	LoopTimer timer;
	Collection now;
	Commit commit;
	bool running, files_done;
	uint64_t runs;
	RegistryGcResult total;
} Collector;

/* collector_start: begins one now unless one runs. collector_plan: sets the timer for the next. */
void collector_start(Registry *reg);
void collector_plan(Registry *reg);
