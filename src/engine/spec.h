/* spec.h: what a container was asked to be, as the OCI runtime specification that the runtime runs.
 *
 *  - The input is complete and resolved: the image's part is merged (config.h), names of other containers and of volumes have become paths,
 *    ranges of ids have been given out. Nothing here makes or changes anything; what is looked up is the container's passwd and
 *    group file, the host's devices, and what the machine grants.
 *  - Defaults, words and rules are docker's; where they differ the code says so. The defaults for safety are podman's where
 *    those are stricter.
 *  - What spec_make() makes passes oci_spec_check(). It lives as long as the arena and the input.
 */
#pragma once

#include "engine/config.h"
#include "engine/machine.h"
#include "engine/mount_point.h"
#include "oci/spec.h"

#define SPEC_INIT_PATH "/sbin/docker-init" /* where --init is found in the container */

typedef struct SpecInput {
	const char *id;   /* 64 hexadecimal digits */
	const char *name; /* of the container; may be NULL */
	const ContainerConfig *config;
	const HostConfig *host;
	Machine *machine;
	const MountPointList *mounts; /* resolved, those of lesser depth first; NULL: none */
	/* where each of mounts is on the host once its subpath has been resolved: an absolute path ("/proc/self/fd/7" will do); NULL
	 * as a whole or in part: its source */
	const char *const *sources;
	const char *rootfs; /* root.path; NULL: "rootfs" */
	int root;           /* descriptor of the image's file system, to look users up in; -1: only ids are understood */
	const char *dir;    /* absolute: hosts, hostname and resolv.conf of the container lie in it; NULL: none of them */
	/* --init: the program on the host (skep-runtime) that is bound at SPEC_INIT_PATH; NULL: --init is refused */
	const char *init_program;
	/* what "container:…" and "ns:…" in the modes of the host configuration have become: paths as "/proc/PID/ns/net" */
	const char *network_ns, *ipc_ns, *pid_ns, *user_ns;
	/* directory of the host to be shared as /dev/shm; NULL: a new one, or that of the host with --ipc host */
	const char *shm;
	IdMaps maps;               /* of the container's user namespace, a new one or user_ns; empty: that of the host */
	const char *cgroup_parent; /* where nothing is asked for; NULL: "/skep", with systemd "system.slice" */
} SpecInput;

/* spec_make: -EINVAL with docker's words for what cannot be, or what looking something up gave. */
int spec_make(const SpecInput *in, Arena *a, OciSpec *ret, Err *e) MUST_USE;

/* What a container is not to see of the kernel, and not to write to, unless it is privileged or told otherwise. */
extern const StrList spec_masked_paths, spec_readonly_paths;

/* spec_hostname: the name a container has: what was asked for, the host's where it shares the host's names or network, the first 12 digits of
 * its id. NULL: no memory. */
const char *spec_hostname(const char *id, const ContainerConfig *config, const HostConfig *host, Arena *a) MUST_USE;
