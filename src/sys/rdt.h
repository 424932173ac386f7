/* rdt.h: Intel RDT through the resctrl file system (config-linux.md, "IntelRdt").
 *
 * Everything happens below a descriptor of the resctrl root (rdt_open), so that a test can give a directory of its own.
 * A container's control group is the directory closID (shared, never removed by us) or else the container's id (made here,
 * removed by us); its monitoring group, when asked for, is mon_groups/<container id> below it.
 */
#pragma once

#include "base/bind.h"

typedef struct IntelRdt {
	const char *clos_id; /* NULL: the container's id; "/": the root group */
	StrList schemata;
	const char *l3_cache_schema, *mem_bw_schema;
	bool enable_monitoring;
} IntelRdt;

extern const BindTable rdt_table;

/* RdtGroup: what the container uses, for its state file. Paths are relative to the resctrl root ("." is the root group). */
typedef struct RdtGroup {
	const char *clos; /* NULL: the container has no RDT */
	const char *mon;  /* NULL: no monitoring group */
	bool created;     /* clos was made here and goes with the container */
} RdtGroup;

extern const BindTable rdt_group_table;

typedef struct RdtFeatures {
	bool l3_cat, mba;                         /* schemata lines L3 and MB */
	bool llc_occupancy, mbm_total, mbm_local; /* monitoring */
} RdtFeatures;

/* rdt_open: descriptor of the mounted resctrl: /sys/fs/resctrl, else the first one in /proc/self/mountinfo. path (may be NULL)
 * names the directory instead and is taken as it is. *ret_path (may be NULL) gets where it is, in the arena.
 * -ENOENT "Intel RDT not available …". */
int rdt_open(const char *path, Arena *a, const char **ret_path, Err *e) MUST_USE;
/* rdt_is_available: cheap, for `features`. */
bool rdt_is_available(void);
int rdt_features(int root, RdtFeatures *ret) MUST_USE;

/* rdt_check: closID and the schemas, without the file system: -EINVAL. id is the container's. */
int rdt_check(const IntelRdt *r, const char *id, Err *e) MUST_USE;

/* rdt_create: the control group with its schemata and the monitoring group; on failure what it made is gone. A closID that
 * exists must already have the l3CacheSchema and memBwSchema given; without any schema it must exist. */
int rdt_create(int root, const IntelRdt *r, const char *id, Arena *a, RdtGroup *ret, Err *e) MUST_USE;
/* rdt_update: writes the schemas that r has (`update`). */
int rdt_update(int root, const RdtGroup *g, const IntelRdt *r, Err *e) MUST_USE;
/* rdt_join: puts a process (all future children follow) into both groups. */
int rdt_join(int root, const RdtGroup *g, pid_t pid, Err *e) MUST_USE;
/* rdt_remove: what belongs to the container alone. Nothing there is success. */
int rdt_remove(int root, const RdtGroup *g, Err *e) MUST_USE;

/* rdt_stats_write: the object that `events --stats` prints as "intel_rdt": l3_cache_info, schemata, mbm_stats, cmt_stats, … */
int rdt_stats_write(int root, const RdtGroup *g, JsonWriter *w, Err *e) MUST_USE;
