/* cgroup.h: control groups of a container: v1, v2 and hybrid layouts, by the cgroup file system or through systemd.
 *
 * A Cgroup names the container's directory in each hierarchy of the machine. It is planned from the configuration
 * (cgroup_plan), made (cgroup_create), and found again later from the paths kept in the container's state (cgroup_load).
 *
 * Invariants
 *  - Nothing outside the container's own directories is ever changed, except that missing parents are made (v1: cpuset of
 *    a new parent is filled from its own parent; v2: controllers are enabled in cgroup.subtree_control on the way down).
 *  - v1: a process joins by writing "0" into `tasks` itself: that skips the grace period of 5-8 ms which a
 *    write of another's pid to cgroup.procs waits for. It must be single-threaded.
 *  - All waits have a deadline.
 */
#pragma once

#include "base/bind.h"
#include "sys/fd.h"

/* ---- resources: mirrors `linux.resources` of the runtime specification ---- */

typedef struct CgroupDeviceRule {
	bool allow;
	const char *type;    /* "a", "b", "c"; NULL or "" means "a" */
	OptInt major, minor; /* absent or -1: any */
	const char *access;  /* of "rwm"; NULL: all */
} CgroupDeviceRule;

typedef struct CgroupMemory {
	OptInt limit, reservation, swap, kernel, kernel_tcp; /* bytes; -1: no limit */
	OptUint swappiness;                                  /* 0 to 100 */
	OptBool disable_oom_killer, use_hierarchy, check_before_update;
} CgroupMemory;

typedef struct CgroupCpu {
	OptUint shares, burst, period, realtime_period;
	OptInt quota, realtime_runtime, idle;
	const char *cpus, *mems;
} CgroupCpu;

typedef struct CgroupBlockDevice { /* weightDevice and throttle entries share it */
	int64_t major, minor;
	OptUint weight, leaf_weight, rate;
} CgroupBlockDevice;

typedef LIST_OF(CgroupBlockDevice) CgroupBlockDevices;

typedef struct CgroupBlockIo {
	OptUint weight, leaf_weight; /* 10 to 1000 */
	CgroupBlockDevices weight_device, read_bps, write_bps, read_iops, write_iops;
} CgroupBlockIo;

typedef struct CgroupHugepage {
	const char *page_size; /* "2MB" */
	uint64_t limit;
} CgroupHugepage;

typedef struct CgroupPriority {
	const char *name;
	uint32_t priority;
} CgroupPriority;

typedef struct CgroupRdma {
	const char *device; /* the key */
	OptUint hca_handles, hca_objects;
} CgroupRdma;

typedef struct CgroupResources {
	LIST_OF(CgroupDeviceRule) devices;
	CgroupMemory memory;
	CgroupCpu cpu;
	OptInt pids_limit; /* set: linux.resources.pids.limit; -1 and 0: see the specification */
	CgroupBlockIo block_io;
	LIST_OF(CgroupHugepage) hugepages;
	OptUint net_class_id;
	LIST_OF(CgroupPriority) net_priorities;
	LIST_OF(CgroupRdma) rdma;
	StrMap unified;
} CgroupResources;

/* ---- the control group ---- */

typedef enum { CGROUP_V1 = 1, CGROUP_HYBRID, CGROUP_V2 } CgroupLayout;
typedef enum { CGROUP_FS = 1, CGROUP_SYSTEMD, CGROUP_DISABLED } CgroupDriver;

typedef struct CgroupHierarchy {
	const char *name;  /* controllers as in /proc/self/cgroup: "memory", "cpu,cpuacct", "name=systemd"; "" is v2 */
	const char *mount; /* mount point: "/sys/fs/cgroup/memory" */
	const char *path;  /* the container's directory as a path of the file system: "/sys/fs/cgroup/memory/x" */
} CgroupHierarchy;

typedef LIST_OF(CgroupHierarchy) CgroupHierarchies;

typedef struct Cgroup {
	int layout;         /* CgroupLayout */
	int driver;         /* CgroupDriver */
	bool rootless;      /* failures to create or to limit for want of permission are skipped where nothing was asked for */
	bool explicit_path; /* the configuration named the path: then a failure to create it is never skipped */
	const char *unit;   /* systemd: "cri-containerd-x.scope"; NULL with cgroupfs */
	const char *slice;  /* systemd: "system.slice" */
	CgroupHierarchies hierarchies;
} Cgroup;

extern const BindTable cgroup_table; /* a Cgroup as JSON, for the container's state file */

typedef struct CgroupRequest {
	const char *path; /* linux.cgroupsPath: absolute, relative, or "slice:prefix:name" with systemd; NULL: default from id */
	const char *id;   /* of the container */
	int driver;       /* CgroupDriver */
	bool rootless;
	const StrMap *annotations; /* org.systemd.property.*, may be NULL */
} CgroupRequest;

/* cgroup_plan: finds the machine's hierarchies and where in them the container goes; makes nothing. Own descriptors: none. */
int cgroup_plan(const CgroupRequest *req, Arena *a, Cgroup *ret, Err *e) MUST_USE;

/* cgroup_is_busy: some hierarchy already has the container's directory with processes in it (runc refuses then). */
bool cgroup_is_busy(const Cgroup *cg);

/* cgroup_create: makes the directories (cgroupfs) and sets what must stand before a process enters: cpuset and the realtime
 * limits of v1, the controllers of v2. With systemd nothing is made until cgroup_start_unit(): the call then only refuses
 * a group in use. On failure everything it made is gone again. A directory that exists already must be empty (-EBUSY:
 * "container's cgroup is not empty") and not frozen (-EBUSY: "container's cgroup unexpectedly frozen"); no call of
 * cgroup_is_busy() is needed before.
 * Hierarchies without permission, when rootless and no path was asked for, and an unusable v2 tree of a hybrid layout are
 * taken out of cg->hierarchies; a limit that needs one of them then fails in cgroup_apply(). r may be NULL here and below: no
 * limits. */
int cgroup_create(Cgroup *cg, const CgroupResources *r, Err *e) MUST_USE;

/* cgroup_start_unit: systemd only: StartTransientUnit for the process (a pid in this pid namespace), waits for the job, then
 * makes the directories in the hierarchies that systemd does not manage and moves the process there (v1). annotations as in the
 * request. */
int cgroup_start_unit(Cgroup *cg, const CgroupResources *r, const StrMap *annotations, const char *id, pid_t pid, Err *e) MUST_USE;

/* cgroup_apply: sets the limits (create and update). r may set a few fields only; as with runc, 0 means "not set" for all
 * numbers but pids.limit, cpu.idle, cpu.burst, memory.swappiness and the throttle rates. update: processes are in it already;
 * without it the call follows cgroup_create() with the same r, which has written cpuset and realtime limits. */
int cgroup_apply(const Cgroup *cg, const CgroupResources *r, bool update, Err *e) MUST_USE;

/* Entering. cgroup_open_join: what a child needs to enter by itself: *ret_n descriptors (`tasks` of each v1 hierarchy,
 * cgroup.procs of v2 unless into_fd is wanted). cgroup_join_self: called in the child: writes "0" to each.
 * cgroup_open_v2: directory descriptor for CLONE_INTO_CGROUP, -ENOENT when the layout has no v2 directory for it. */
enum { CGROUP_JOIN_MAX = 32 };
int cgroup_open_join(const Cgroup *cg, bool with_v2, int fds[static CGROUP_JOIN_MAX], size_t *ret_n, Err *e) MUST_USE;
int cgroup_join_self(const int *fds, size_t n) MUST_USE;
int cgroup_open_v2(const Cgroup *cg) MUST_USE;
/* cgroup_open_v2_of: the v2 directory at or below ours that a process is in: where to enter when ours has become an inner node of
 * the tree (-EBUSY from clone3). -ENOENT when the process is elsewhere. */
int cgroup_open_v2_of(const Cgroup *cg, pid_t pid) MUST_USE;
/* cgroup_add: moves a process (whole thread group) from outside; slow on v1. */
int cgroup_add(const Cgroup *cg, pid_t pid, Err *e) MUST_USE;

/* cgroup_delegate: gives the directories and the delegatable files to uid, gid (specification: "Cgroup ownership"). */
int cgroup_delegate(const Cgroup *cg, uid_t uid, gid_t gid, Err *e) MUST_USE;

/* cgroup_freeze: stops or continues everything in it; waits until the kernel says so, 10 s at most. -EOPNOTSUPP without a freezer. */
int cgroup_freeze(const Cgroup *cg, bool frozen, Err *e) MUST_USE;
/* cgroup_is_frozen: 1, 0, or -errno. */
int cgroup_is_frozen(const Cgroup *cg);

/* cgroup_pids: the processes in it and below; a U32List in the arena. */
int cgroup_pids(const Cgroup *cg, Arena *a, U32List *ret, Err *e) MUST_USE;
/* cgroup_signal: sends signal to all of them (SIGKILL: cgroup.kill where the kernel has it, else until none is left, thawing first). */
int cgroup_signal(const Cgroup *cg, int signal, Err *e) MUST_USE;

/* cgroup_remove: removes the container's directories and those below (not the parents), stops the unit. Waits up to
 * timeout_ms for killed processes to leave. Nothing there is success. */
int cgroup_remove(const Cgroup *cg, int timeout_ms, Err *e) MUST_USE;

/* ---- statistics ---- */

/* cgroup_stats_write: the object that `runc events --stats` prints as "data": cpu, cpuset, memory, pids, blkio, hugetlb, an
 * empty intel_rdt and a null network_interfaces, with PSI on v2, from the files of whichever layout; numbers as the kernel
 * gives them, zeros left out where runc leaves them out. -ENOENT when the group is gone. */
int cgroup_stats_write(const Cgroup *cg, JsonWriter *w, Err *e) MUST_USE;

/* OomWatch: hears of the out-of-memory kills in a group, from cgroup_oom_watch() on. fd becomes readable (POLLIN) when it is time to
 * look; the rest is the module's. The Cgroup must outlive it. */
typedef struct OomWatch {
	int fd;
	const char *dir;    /* of the memory controller; NULL once it is gone */
	bool v1;            /* fd is an eventfd, and else an inotify descriptor */
	uint64_t kills;     /* the kernel's count, as far as it was told */
	uint64_t signals;   /* v1: heard, but no kill seen for them yet */
	int64_t owed_until; /* CLOCK_MONOTONIC ns: then they were somebody else's */
} OomWatch;
#define OOM_WATCH_INIT ((OomWatch){ .fd = -1 })
#define AUTO_OOM_WATCH AUTO(oom_watch_done) OomWatch

/* cgroup_oom_take: how many kills there were since the last call, or -errno; may be called at any time, and must be once more when
 * the container has ended. After it, cgroup_oom_owes says that the kernel signalled a kill that it has not counted yet: look again
 * after OOM_RECHECK_MS, whether fd is readable or not. On v2 the kills of a group that was removed before are not known. */
enum { OOM_RECHECK_MS = 5 };
int cgroup_oom_watch(const Cgroup *cg, OomWatch *ret, Err *e) MUST_USE;
int cgroup_oom_take(OomWatch *w) MUST_USE;
bool cgroup_oom_owes(const OomWatch *w);
void oom_watch_done(OomWatch *w);
