/* cgroup_impl.h: what the files of the cgroup module share. Only src/sys/cgroup*.c and its tests include it.
 *
 * All paths are absolute and come from cgroup_plan(): they never pass through a directory that a container controls,
 * except below the container's own directory, where only names read from the kernel are used.
 */
#pragma once

#include "sys/cgroup.h"

/* CgroupPlace: where the machine shows its control groups; the tests put a fake one here. */
typedef struct CgroupPlace {
	const char *root;      /* "/sys/fs/cgroup" */
	const char *self;      /* "/proc/self/cgroup" */
	const char *mountinfo; /* "/proc/self/mountinfo" */
	unsigned long magic;   /* of root's file system; 0: ask the kernel */
} CgroupPlace;

int cgroup_plan_in(const CgroupPlace *place, const CgroupRequest *req, Arena *a, Cgroup *ret, Err *e) MUST_USE;

/* cgroup_find: the hierarchy with that controller ("memory", "name=systemd"; "" for v2), NULL when there is none. */
const CgroupHierarchy *cgroup_find(const Cgroup *cg, const char *controller);
/* cgroup_path_v1, cgroup_path_v2: the container's directory there or NULL. */
const char *cgroup_path_v1(const Cgroup *cg, const char *controller);
const char *cgroup_path_v2(const Cgroup *cg);
/* cgroup_path_processes: the directory that surely holds all processes of the container; NULL when there is none. */
const char *cgroup_path_processes(const Cgroup *cg);

/* Files of one directory. cgroup_file: "dir/name" into to, -ENAMETOOLONG. */
enum { CGROUP_PATH_MAX = 4096 };
int cgroup_file(char to[static CGROUP_PATH_MAX], const char *dir, const char *name) MUST_USE;
/* cgroup_put: one write; only -errno. cgroup_write: the same, a failure names the file, the value and the reason. */
int cgroup_put(const char *dir, const char *name, const char *value) MUST_USE;
int cgroup_write(const char *dir, const char *name, const char *value, Err *e) MUST_USE;
int cgroup_write_error(const char *dir, const char *name, const char *value, int errnum, Err *e) MUST_USE;
/* cgroup_get: the content without the final newline; the length or -errno. cgroup_get_u64: "max" gives UINT64_MAX. */
ssize_t cgroup_get(const char *dir, const char *name, char *to, size_t size) MUST_USE;
int cgroup_get_u64(const char *dir, const char *name, uint64_t *ret) MUST_USE;
/* cgroup_key_u64: the number after "key " on its own line of a file such as memory.events; -ENODATA when there is none. */
int cgroup_key_u64(const char *dir, const char *name, const char *key, uint64_t *ret) MUST_USE;

/* A number as text, for a write. cgroup_limit: -1 becomes `none` ("-1" on v1, "max" on v2). */
enum { CGROUP_NUMBER_MAX = 24 };
const char *cgroup_number(char to[static CGROUP_NUMBER_MAX], int64_t v);
const char *cgroup_unsigned(char to[static CGROUP_NUMBER_MAX], uint64_t v);
/* cgroup_pids_limit: pids.max for a limit of the specification. 0 becomes "1" as with runc (systemd cannot express 0). */
const char *cgroup_pids_limit(char to[static CGROUP_NUMBER_MAX], int64_t limit);

/* cgroup_make: mkdir with missing parents (below mount). Returns 0 made, 1 existed; *ret_made is the length of the first
 * part of path that was made, for cgroup_unmake(). */
int cgroup_make(const CgroupHierarchy *h, size_t *ret_made, Err *e) MUST_USE;
void cgroup_unmake(const char *path, size_t made);

/* Walking. cgroup_walk: visits path and all directories below, deepest first; stops when fn returns non-zero. */
typedef int CgroupVisit(const char *dir, void *p);
int cgroup_walk(const char *path, CgroupVisit *fn, void *p) MUST_USE;
/* cgroup_dir_pids: appends the pids of path and below to *list (capacity doubled in the arena). */
int cgroup_dir_pids(const char *path, Arena *a, U32List *list) MUST_USE;
/* cgroup_nap: sleeps, a little longer each time (from 0.2 ms to 10 ms); false when deadline (CLOCK_MONOTONIC ns) has passed. */
bool cgroup_nap(int64_t deadline, int64_t *step);

/* The layouts. */
int cgroup_v1_create(const Cgroup *cg, const CgroupHierarchy *h, bool existed, const CgroupResources *r, Err *e) MUST_USE;
int cgroup_v1_apply(const Cgroup *cg, const CgroupResources *r, bool update, Err *e) MUST_USE;
int cgroup_v2_enable(const CgroupHierarchy *h, const CgroupResources *r, Err *e) MUST_USE;
int cgroup_v2_apply(const Cgroup *cg, const CgroupResources *r, bool update, Err *e) MUST_USE;
int cgroup_rdma_apply(const char *dir, const CgroupResources *r, Err *e) MUST_USE; /* the same file in both */
/* cgroup_hugepage_file: "hugetlb.2MB" + suffix; refuses a size that is none. */
int cgroup_hugepage_file(const CgroupHugepage *h, const char *suffix, char to[static 64], Err *e) MUST_USE;
/* cgroup_v2_apply_hybrid: what only the v2 tree of a hybrid layout can do: hugepages, rdma and `unified`. */
int cgroup_v2_apply_hybrid(const Cgroup *cg, const CgroupResources *r, Err *e) MUST_USE;
uint64_t cgroup_weight_from_shares(uint64_t shares);
uint64_t cgroup_io_weight(uint64_t blkio_weight);
/* cgroup_swap_from_total: memory.swap.max for memory+swap; *ret -1: max, 0 with *ret_set: "0". */
int cgroup_swap_from_total(const CgroupMemory *m, bool *ret_set, int64_t *ret, Err *e) MUST_USE;
/* cgroup_unified_check: may this key of `unified` be written? */
int cgroup_unified_check(const char *key, Err *e) MUST_USE;

/* Devices. A rule of the configuration, checked; access has the bits of the kernel (BPF_DEVCG_ACC_*). */
enum { CGROUP_MKNOD = 1, CGROUP_READ = 2, CGROUP_WRITE = 4, CGROUP_ACCESS_ALL = 7, CGROUP_DEVICE_ANY = -1, CGROUP_DEVICE_LINE_MAX = 64 };
typedef struct CgroupDevice {
	bool allow;
	char type; /* 'a', 'b', 'c'; an 'a' sets aside all rules before it, whatever its numbers, as on v1 */
	uint8_t access;
	int64_t major, minor; /* or CGROUP_DEVICE_ANY */
} CgroupDevice;
int cgroup_device_parse(const CgroupDeviceRule *rule, CgroupDevice *ret, Err *e) MUST_USE;
/* cgroup_device_line: "c 1:3 rwm" as devices.allow reads it; "a" for all. */
const char *cgroup_device_line(const CgroupDevice *d, char to[static CGROUP_DEVICE_LINE_MAX]);
int cgroup_device_v1(const char *dir, const CgroupResources *r, bool update, Err *e) MUST_USE;
int cgroup_device_v2(const char *dir, const CgroupResources *r, Err *e) MUST_USE;
/* cgroup_program: the device program of v2 for these rules. */
struct bpf_insn;
typedef struct CgroupProgram {
	struct bpf_insn *items;
	size_t n, max;
	bool failed;
} CgroupProgram;
int cgroup_program(const CgroupResources *r, Arena *a, CgroupProgram *ret, Err *e) MUST_USE;

/* cgroup_create_all: the directories of all hierarchies. fresh: an existing one must be empty and not frozen. */
int cgroup_create_all(Cgroup *cg, const CgroupResources *r, bool fresh, Err *e) MUST_USE;

/* Systemd. cgroup_slice_path: "/a.slice/a-b.slice" for "a-b.slice"; NULL with e set. */
char *cgroup_slice_path(Arena *a, const char *slice, Err *e) MUST_USE;
int cgroup_plan_unit(const CgroupPlace *place, const CgroupRequest *req, Arena *a, Cgroup *ret, const char **ret_path, Err *e) MUST_USE;
int cgroup_stop_unit(const Cgroup *cg, Err *e) MUST_USE;
int cgroup_update_unit(const Cgroup *cg, const CgroupResources *r, Err *e) MUST_USE;
/* cgroup_attach_unit: lets systemd move a process into the unit, where we may not. */
int cgroup_attach_unit(const Cgroup *cg, pid_t pid, Err *e) MUST_USE;

/* Properties of the unit, appended to *b as items of an a(sv). version: of systemd, 0 when not known (then what needs a recent
 * one is left out); cgroup_unit_wants_version: is there such? */
bool cgroup_unit_wants_version(const CgroupResources *r);
int cgroup_unit_resources(const Cgroup *cg, const CgroupResources *r, bool update, int version, Buf *b, Err *e) MUST_USE;
/* cgroup_unit_annotation: org.systemd.property.<name> with a value in GVariant's text form. */
int cgroup_unit_annotation(const char *name, const char *text, Buf *b, Err *e) MUST_USE;
/* cgroup_unit_start: the whole body of StartTransientUnit, "ssa(sv)a(sa(sv))". pid 0: none. */
int cgroup_unit_start(const Cgroup *cg, const CgroupResources *r, const StrMap *annotations, const char *id, pid_t pid, int version, Buf *b,
		      Err *e) MUST_USE;
