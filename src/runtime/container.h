/* container.h: containers as this runtime keeps them: what the commands and libskepruntime call.
 *
 * A container is a directory <root>/<id> with state.json (facts, written by the command that makes the container),
 * config.json (the configuration it was made with) and start.sock (while created). Whether it runs is never written
 * down: it is asked of the kernel each time, by pid and start time.
 *
 * Functions take an Err; none of them logs, exits or keeps global state. The calling process must be single-threaded for
 * container_create, _run and _exec, as they make namespaces.
 */
#pragma once

#include "base/log.h"
#include "oci/spec.h"
#include "sys/fd.h"
#include "sys/rdt.h"

/* Runtime: the options that hold for every command. */
typedef struct Runtime {
	const char *root;  /* directory of the containers' state */
	const char *name;  /* what the program is called, for messages */
	int cgroup_driver; /* CgroupDriver */
	bool rootless;     /* without full privileges: skip what only root can do where nothing was asked for */
	const Log *log;    /* debug and warnings of the launch; never NULL */
} Runtime;

/* runtime_is_rootless: the caller is not the machine's root. runtime_default_root: where containers are unless told; in the arena
 * or static, NULL without memory. */
bool runtime_is_rootless(void);
const char *runtime_default_root(bool rootless, Arena *a) MUST_USE;

typedef enum { STATUS_CREATING, STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED, STATUS_STOPPED } ContainerStatus;

/* ContainerState: state.json. */
typedef struct ContainerState {
	const char *oci_version, *id, *bundle, *rootfs, *created;
	int64_t pid;         /* of init in the runtime's pid namespace; 0 until it exists */
	uint64_t start_time; /* of init, see proc.h */
	uint32_t owner;      /* uid of who made it */
	StrMap annotations;
	Cgroup cgroup;
	RdtGroup rdt;
	bool host_mounts; /* no mount namespace: the mounts lie in the host's and go with the container */
	bool systemd_cgroup;
} ContainerState;

extern const BindTable container_state_table;

/* Container: a loaded container. */
typedef struct Container {
	const Runtime *rt;
	Arena *arena;
	int dir; /* of <root>/<id>, owned */
	ContainerState state;
} Container;

/* container_load: -ENOENT "container does not exist" when there is none. container_done: closes. */
int container_load(const Runtime *rt, const char *id, Arena *a, Container *ret, Err *e) MUST_USE;
void container_done(Container *c);
#define AUTO_CONTAINER AUTO(container_done) Container

/* container_id_check: [A-Za-z0-9_+.-], not starting with a dot or a dash, at most 1024 bytes. */
int container_id_check(const char *id, Err *e) MUST_USE;

ContainerStatus container_status(const Container *c);
const char *container_status_name(ContainerStatus s);
/* container_spec: the configuration kept with the container. */
int container_spec(const Container *c, OciSpec *ret, Err *e) MUST_USE;
/* container_pidfd: pidfd of init, checked against its start time; -ESRCH when it is gone. */
int container_pidfd(const Container *c);
/* container_remove_dir: its directory and the files this runtime put there; anything else in it is an error. */
int container_remove_dir(Container *c, Err *e) MUST_USE;
/* container_save: writes state.json. */
int container_save(const Container *c, Err *e) MUST_USE;

/* container_state_write: the State of the runtime specification; with details also rootfs, created and owner, as runc prints them. */
void container_state_write(const Container *c, ContainerStatus status, bool details, JsonWriter *w);

/* container_list: ids of the containers below root, sorted. A root that does not exist has none unless must_exist. */
int container_list(const Runtime *rt, bool must_exist, Arena *a, StrList *ret, Err *e) MUST_USE;

/* MountSource: a mount that the caller has made: the bind at destination is this one, whatever the configuration calls its source. */
typedef struct MountSource {
	const char *destination; /* as the configuration has it */
	int fd;                  /* detached; borrowed */
} MountSource;

typedef struct CreateOptions {
	const char *id, *bundle;
	const char *pid_file, *console_socket, *pidfd_socket; /* NULL: none */
	bool no_pivot, no_new_keyring, no_subreaper;
	unsigned preserve_fds; /* descriptors 3 to 3 + n - 1 reach the container */
	unsigned listen_fds;   /* as many more, told the program as LISTEN_FDS (sd_listen_fds(3)) */
	bool detach, keep;     /* of run */
	int config;            /* config.json as a file, borrowed; 0: the bundle's */
	int root_mount;        /* a detached mount that becomes the root, borrowed; 0: the directory that the configuration names */
	const MountSource *sources;
	size_t n_sources;
	const int *stdio; /* three descriptors for the program's standard streams, borrowed; NULL: our own */
	/* namespaces of a container that is to have new ones, borrowed; 0: they are made. The network's has its loopback device up; the user's has the mappings
	 * of the configuration, and is the owner of the other. */
	int netns, userns;
} CreateOptions;

/* container_create: makes it and leaves its init waiting for container_start. */
int container_create(const Runtime *rt, const CreateOptions *o, Err *e) MUST_USE;
/* container_start: releases the init of a created container. */
int container_start(Container *c, Err *e) MUST_USE;
/* container_run: create, start and, unless detached, stay until it ends and delete it. Returns the exit status (128 + signal when
 * killed), 0 when detached. */
int container_run(const Runtime *rt, const CreateOptions *o, Err *e) MUST_USE;

/* ContainerProcess: a process that was started, for a caller that stays with it; the process is the caller's child. */
typedef struct ContainerProcess {
	pid_t pid;
	int pidfd; /* owned by the caller */
	int pty;   /* the master of its terminal, owned by the caller; -1: it has none */
} ContainerProcess;

/* container_spawn: create and start; the caller attends the process, and calls container_delete when it has ended. */
int container_spawn(const Runtime *rt, const CreateOptions *o, ContainerProcess *ret, Err *e) MUST_USE;

typedef struct ExecOptions {
	const OciProcess *process; /* complete */
	const OciSpec *spec;       /* the container's, when it has been read already; may be NULL */
	const char *pid_file, *console_socket, *pidfd_socket;
	unsigned preserve_fds;
	bool detach, ignore_paused;
	const StrMap *sub_cgroups; /* controller list -> path below the container's cgroup; "" for all; may be NULL */
	const int *stdio;          /* as in CreateOptions */
} ExecOptions;

/* container_exec: another process in a created or running container. Returns its exit status, 0 when detached. */
int container_exec(Container *c, const ExecOptions *o, Err *e) MUST_USE;
/* container_exec_spawn: the same, for a caller that attends the process. */
int container_exec_spawn(Container *c, const ExecOptions *o, ContainerProcess *ret, Err *e) MUST_USE;

/* container_kill: signal to init, or with all (or without a pid namespace of its own) to every process of the cgroup. */
int container_kill(Container *c, int signal, bool all, Err *e) MUST_USE;
/* container_delete: of a stopped or created one; with force kills first. container_delete_remains: what a killed runtime
 * left of an id whose state cannot be loaded. */
int container_delete(Container *c, bool force, Err *e) MUST_USE;
int container_delete_remains(const Runtime *rt, const char *id, Err *e) MUST_USE;
int container_pause(Container *c, bool pause, Err *e) MUST_USE;
int container_update(Container *c, const CgroupResources *r, const IntelRdt *rdt, Err *e) MUST_USE;

/* container_features_write: the features document of the specification (features.md). */
void container_features_write(JsonWriter *w);
