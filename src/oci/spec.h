/* spec.h: the container configuration of the OCI runtime specification 1.3.0 (config.md, config-linux.md) as C structs.
 *
 * An OciSpec is read by oci_spec_parse() and lives as long as the arena and the text it was read from. Field names are
 * those of the specification; absent objects are NULL, absent lists empty. Reading checks syntax, types, ranges and enums
 * (the binding tables of spec_tables.c); oci_spec_check() checks combinations.
 */
#pragma once

#include "base/bind.h"
#include "sys/cap.h"
#include "sys/cgroup.h"
#include "sys/idmap.h"
#include "sys/netlink.h"
#include "sys/rdt.h"
#include "sys/sched.h"
#include "sys/seccomp.h"

#define OCI_VERSION "1.3.0"

typedef struct OciUser {
	uint32_t uid, gid;
	OptUint umask;
	U32List additional_gids;
	const char *username; /* Windows only: refused here */
} OciUser;

typedef struct OciConsoleSize {
	uint32_t height, width;
} OciConsoleSize;

typedef struct OciProcess {
	bool terminal;
	OciConsoleSize *console_size;
	OciUser user;
	StrList args, env;
	const char *command_line; /* Windows only */
	const char *cwd;
	Capabilities *capabilities;
	Rlimits rlimits;
	bool no_new_privileges;
	const char *apparmor_profile, *selinux_label;
	OptInt oom_score_adj;
	Scheduler *scheduler;
	IoPriority *io_priority;
	CpuAffinity *exec_cpu_affinity;
} OciProcess;

typedef struct OciRoot {
	const char *path;
	bool readonly;
} OciRoot;

typedef struct OciMount {
	const char *destination, *type, *source;
	StrList options;
	IdMappings uid_mappings, gid_mappings;
} OciMount;

typedef struct OciHook {
	const char *path;
	StrList args, env;
	OptInt timeout; /* seconds, above 0 */
} OciHook;

typedef LIST_OF(OciHook) OciHookList;

typedef struct OciHooks {
	OciHookList prestart, create_runtime, create_container, start_container, poststart, poststop;
} OciHooks;

/* The values of OciNamespace.type are the CLONE_NEW* bits. */
typedef struct OciNamespace {
	int type;
	const char *path;
} OciNamespace;

typedef struct OciTimeOffset {
	const char *clock; /* the key: "monotonic" or "boottime" */
	int64_t secs;
	uint32_t nanosecs;
} OciTimeOffset;

typedef struct OciDevice {
	const char *type, *path;
	OptInt major, minor;
	OptUint file_mode, uid, gid;
} OciDevice;

typedef enum {
	OCI_PROPAGATION_DEFAULT,
	OCI_SHARED,
	OCI_SLAVE,
	OCI_PRIVATE,
	OCI_UNBINDABLE,
	OCI_RSHARED,
	OCI_RSLAVE,
	OCI_RPRIVATE,
	OCI_RUNBINDABLE,
} OciPropagation;

typedef struct OciLinux {
	IdMappings uid_mappings, gid_mappings;
	StrMap sysctl;
	CgroupResources *resources;
	const char *cgroups_path;
	LIST_OF(OciNamespace) namespaces;
	LIST_OF(OciTimeOffset) time_offsets;
	LIST_OF(OciDevice) devices;
	NetDevices net_devices;
	SeccompProfile *seccomp;
	int rootfs_propagation; /* OciPropagation */
	StrList masked_paths, readonly_paths;
	const char *mount_label;
	IntelRdt *intel_rdt;
	MemoryPolicy *memory_policy;
	Personality *personality;
} OciLinux;

typedef struct OciSpec {
	const char *version;
	const char *hostname, *domainname;
	OciProcess *process;
	OciRoot *root;
	LIST_OF(OciMount) mounts;
	OciHooks hooks;
	StrMap annotations;
	OciLinux *lnx; /* "linux" in the document; never NULL after oci_spec_parse */
} OciSpec;

extern const BindTable oci_spec_table, oci_process_table, oci_resources_table, oci_hooks_table;
extern const BindTable seccomp_arg_table; /* one SeccompArg */
extern const BindName oci_namespace_names[];

/* The longest document that is read, in bytes. */
enum { OCI_SPEC_MAX = 16 * 1024 * 1024 };

/* oci_spec_parse: reads text (NUL-terminated, modified; it must outlive *ret) and checks it with oci_spec_check. */
int oci_spec_parse(char *text, size_t n, Arena *a, OciSpec *ret, Err *e) MUST_USE;

/* oci_process_parse: a process alone, as `exec --process` takes it. */
int oci_process_parse(char *text, size_t n, Arena *a, OciProcess *ret, Err *e) MUST_USE;

/* oci_resources_parse: linux.resources alone, as `update -r` takes it. */
int oci_resources_parse(char *text, size_t n, Arena *a, CgroupResources *ret, Err *e) MUST_USE;

/* oci_spec_check: combinations of fields that cannot work or that the specification forbids; -EINVAL. */
int oci_spec_check(const OciSpec *s, Err *e) MUST_USE;
int oci_process_check(const OciProcess *p, Err *e) MUST_USE;
/* oci_resources_check: where is what messages put before a field: "config.json: linux.resources.", "resources: ". */
int oci_resources_check(const CgroupResources *r, const char *where, Err *e) MUST_USE;

/* oci_namespace: the namespace of that CLONE_NEW* type, NULL when the container shares the runtime's. */
const OciNamespace *oci_namespace(const OciSpec *s, int type);
/* oci_is_new: the container gets its own, new namespace of that type. */
bool oci_is_new(const OciSpec *s, int type);

/* oci_spec_write_default: the configuration that `spec` writes: the same defaults as runc's, for root or for a user
 * without privileges (ids of that user mapped to 0). */
void oci_spec_write_default(bool rootless, uid_t uid, gid_t gid, JsonWriter *w);
