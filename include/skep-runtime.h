/* skep-runtime.h: libskepruntime, the OCI runtime as a library for C99 and C++.
 *
 * What it is
 *   Everything that the program skep-runtime does with containers: create, start, run, exec, kill, delete, pause, resume, update,
 *   state, list, statistics. Containers are directories below a root (skep_runtime_options.root); library and program see the
 *   same ones. Nothing is kept in the process between calls: no globals, no threads, no caches.
 *
 * Errors
 *   Functions that return int return 0 or a positive result on success and a negative errno on failure. The explanation goes
 *   to the skep_error given as last argument (NULL: not wanted), which a success leaves empty. The library never exits,
 *   never writes to standard output or error, and logs only to the function given in skep_runtime_options.
 *
 * Ownership
 *   Arguments stay the caller's and are not kept after the call, except the log function and its data. Handles are freed with the
 *   function of their name, texts (char **ret_…) with skep_free(). A text is written only on success, is UTF-8, ends with a NUL,
 *   and is JSON without line breaks unless said otherwise. Functions that free take NULL.
 *
 * Threads and processes
 *   skep_container_create, _start, _run, _exec and _delete start processes and make namespaces: they must be called from a process
 *   with one thread, and return -EBUSY (SKEP_ERROR_USAGE) otherwise; a threaded server executes the program skep-runtime. All
 *   other functions may be called from any thread; one skep_runtime may serve several threads, one skep_error only one at a time.
 *   - create, run and exec change the working directory while they run, and use signals and children of the process: SIGCHLD must
 *     not be ignored. The container's init (and a detached exec) is a child of the calling process: reap it with waitpid(2) when
 *     it has ended; its pid stands in the state. A process that shall not care executes skep-runtime.
 *   - The child is a copy of the calling process until it becomes the container's program: see skep_seal_self().
 *   - Descriptors 0 to 2 become the container's, unless it has a terminal; others are closed in it, unless preserve_fds says otherwise.
 *
 * Stability
 *   The library's ABI only grows. Option structs begin with their size: set it to sizeof the struct and everything else to zero
 *   first (SKEP_OPTIONS_INIT). A library that is older than its caller refuses members that it does not know and that are not zero
 *   (-E2BIG); one that is newer takes zero for what its caller does not know. Zero always means the default. Numbers of error
 *   codes and flags never change; new codes may appear, so treat an unknown one as SKEP_ERROR_INTERNAL.
 */
#ifndef SKEP_RUNTIME_H
#define SKEP_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SKEP_API __attribute__((visibility("default")))
#else
#define SKEP_API
#endif

/* skep_version: "0.1.0", of the library that is linked. skep_spec_version: the newest version of the OCI runtime specification
 * that it implements, "1.3.0". Static texts. */
SKEP_API const char *skep_version(void);
SKEP_API const char *skep_spec_version(void);

/* skep_free: a text that the library returned. */
SKEP_API void skep_free(char *text);

/* ---- errors ---- */

typedef enum skep_error_code {
	SKEP_ERROR_NONE = 0,
	SKEP_ERROR_INTERNAL = 1,  /* a fault of the library */
	SKEP_ERROR_USAGE = 2,     /* wrong arguments */
	SKEP_ERROR_CONFIG = 3,    /* the configuration (or a part of it) is invalid */
	SKEP_ERROR_NOT_FOUND = 4, /* no such container, file, device */
	SKEP_ERROR_EXISTS = 5,    /* the id is in use */
	SKEP_ERROR_STATE = 6,     /* not in this state of the container */
	SKEP_ERROR_PERMISSION = 7,
	SKEP_ERROR_UNSUPPORTED = 8, /* by this kernel or this library */
	SKEP_ERROR_RESOURCE = 9,    /* memory, disk, descriptors, a limit of the kernel */
	SKEP_ERROR_TIMEOUT = 10,
	SKEP_ERROR_SECURITY = 11,       /* refused because it would reach out of the container */
	SKEP_ERROR_NOT_EXECUTABLE = 12, /* the container's program cannot be executed (a shell says 126) */
	SKEP_ERROR_NO_COMMAND = 13,     /* the container's program is not there (a shell says 127) */
	SKEP_ERROR_IO = 14
} skep_error_code;

/* skep_error: why a call failed. One object may be used for any number of calls; each call starts by emptying it. */
typedef struct skep_error skep_error;

/* skep_error_new: an empty one; NULL when there is no memory. */
SKEP_API skep_error *skep_error_new(void);
SKEP_API void skep_error_free(skep_error *error);
/* Of the last call that was given it. code: a skep_error_code. errnum: a positive errno, 0 when there was no error.
 * message: one line without control characters, "" when there was no error; valid until the next call with this object. */
SKEP_API int skep_error_get_code(const skep_error *error);
SKEP_API int skep_error_get_errno(const skep_error *error);
SKEP_API const char *skep_error_get_message(const skep_error *error);
/* skep_error_code_name: "NOT_FOUND" and so on, "?" for a number that is none. A static text. */
SKEP_API const char *skep_error_code_name(int code);

/* ---- the runtime ---- */

/* SKEP_OPTIONS_INIT(o): everything zero but the size, for any of the option structs. Needs <string.h>. */
#define SKEP_OPTIONS_INIT(o) (memset((o), 0, sizeof *(o)), (o)->size = sizeof *(o))

enum skep_cgroup_manager {
	SKEP_CGROUP_CGROUPFS = 0, /* by the cgroup file system */
	SKEP_CGROUP_SYSTEMD = 1,  /* through systemd's D-Bus interface */
	SKEP_CGROUP_DISABLED = 2  /* containers stay in the caller's cgroup, without limits */
};

enum skep_rootless {
	SKEP_ROOTLESS_AUTO = 0, /* unless the caller is the machine's root */
	SKEP_ROOTLESS_NO = 1,
	SKEP_ROOTLESS_YES = 2 /* skip what only root can do where nothing was asked for */
};

enum skep_log_level { SKEP_LOG_DEBUG = 0, SKEP_LOG_INFO = 1, SKEP_LOG_WARNING = 2, SKEP_LOG_ERROR = 3 };

/* skep_log_function: gets one message without a line break; it is valid during the call only. Called from within the functions
 * below, in the thread that called them. It must not call the library. */
typedef void (*skep_log_function)(void *data, int level, const char *message);

typedef struct skep_runtime_options {
	size_t size;
	const char *root;   /* absolute directory of the containers' state, made when the first container is; NULL: /run/skep-runtime
	                     * or, when rootless, $XDG_RUNTIME_DIR/skep-runtime */
	const char *name;   /* how messages call the runtime; NULL: "skep-runtime" */
	int cgroup_manager; /* enum skep_cgroup_manager */
	int rootless;       /* enum skep_rootless */
	int log_level;      /* enum skep_log_level: the lowest that is told */
	int reserved;
	skep_log_function log; /* NULL: messages are dropped */
	void *log_data;
} skep_runtime_options;

/* skep_runtime: where containers are, and how they are made. It holds no descriptors and nothing is done on opening it. */
typedef struct skep_runtime skep_runtime;

/* skep_runtime_open: options may be NULL: all defaults. *ret_runtime is the caller's, for skep_runtime_free.
 * -EINVAL, -E2BIG (USAGE), -ENOMEM. */
SKEP_API int skep_runtime_open(const skep_runtime_options *options, skep_runtime **ret_runtime, skep_error *error);
SKEP_API void skep_runtime_free(skep_runtime *runtime);

/* skep_seal_self: for programs that create containers or exec in them: makes sure that no container can write to the program's own
 * file through /proc (CVE-2019-5736). Returns 0 when it is out of reach already; otherwise executes the program again from a read-only
 * or sealed copy, with the arguments and environment given. Call it first thing in main. -errno when that is not possible. The copy has
 * no directory: a run path with $ORIGIN does not work in it. */
SKEP_API int skep_seal_self(char *const *argv, char *const *envp, skep_error *error);

/* ---- the life of a container ---- */

enum skep_create_flags {
	SKEP_CREATE_NO_PIVOT = 1,       /* chroot and move instead of pivot_root(2), for a root on the initial RAM disk */
	SKEP_CREATE_NO_NEW_KEYRING = 2, /* keep the caller's session keyring */
	SKEP_RUN_DETACH = 4,            /* run: return when the program runs */
	SKEP_RUN_KEEP = 8               /* run: do not delete the container when it has ended */
};

typedef struct skep_create_options {
	size_t size;
	const char *id;       /* required: letters, digits, '_', '+', '-', '.', not starting with '-' or '.'; at most 1024 bytes */
	const char *bundle;   /* directory with config.json; NULL: the working directory */
	const char *pid_file; /* the pid of the container's init is written there; NULL: nowhere */
	const char
		*console_socket;  /* AF_UNIX stream socket that gets the terminal's master; needed with process.terminal unless run stays */
	const char *pidfd_socket; /* AF_UNIX stream socket that gets a pidfd of the init */
	unsigned flags;           /* enum skep_create_flags */
	unsigned preserve_fds;    /* descriptors 3 to 3 + preserve_fds - 1 reach the program: open, without FD_CLOEXEC */
	unsigned listen_fds;      /* as many more after those, told the program as LISTEN_FDS (sd_listen_fds(3)) */
	unsigned reserved;
} skep_create_options;

/* skep_container_create: makes the container (runtime-spec, "Create"): namespaces, cgroup, mounts, hooks. Its init waits for
 * skep_container_start. When it fails nothing is left behind. -EEXIST (EXISTS): the id is in use; CONFIG: the message names the
 * place in config.json. */
SKEP_API int skep_container_create(skep_runtime *runtime, const skep_create_options *options, skep_error *error);

/* skep_container_start: lets a created container run its program ("Start"). STATE when it is in another state. A program that cannot
 * be executed is NO_COMMAND or NOT_EXECUTABLE. */
SKEP_API int skep_container_start(skep_runtime *runtime, const char *id, skep_error *error);

/* skep_container_run: create and start in one and, unless SKEP_RUN_DETACH, stay until the program has ended, then delete the container.
 * Returns the program's exit status, 128 + n when signal n ended it; 0 when detached. While it stays, signals that the caller
 * has blocked are taken from it and passed on to the container, and a terminal is relayed to descriptors 0 and 1. */
SKEP_API int skep_container_run(skep_runtime *runtime, const skep_create_options *options, skep_error *error);

enum skep_exec_flags {
	SKEP_EXEC_DETACH = 1,        /* return when the program runs */
	SKEP_EXEC_IGNORE_PAUSED = 2, /* also in a paused container: the program starts when it is resumed */
	SKEP_EXEC_TERMINAL = 4,      /* a terminal of its own */
	SKEP_EXEC_NO_NEW_PRIVILEGES = 8,
	SKEP_EXEC_USER = 16 /* uid and gid below hold; otherwise those of the container's process */
};

typedef struct skep_exec_options {
	size_t size;
	const char *process_json; /* a whole "process" object of the specification; then args to gid and TERMINAL, NO_NEW_PRIVILEGES,
	                             * USER must be zero. NULL: the container's own process with the changes below */
	const char *const *args;  /* the program and its arguments, ended by NULL */
	const char *const *env;   /* added to the environment: "NAME=value", ended by NULL; may be NULL */
	const char *cwd;          /* absolute; NULL: the process's */
	uint32_t uid, gid;
	const char *pid_file;       /* as for create */
	const char *console_socket; /* as for create; only with DETACH and a terminal */
	const char *pidfd_socket;
	unsigned flags; /* enum skep_exec_flags */
	unsigned preserve_fds;
} skep_exec_options;

/* skep_container_exec: another process in a created or running container. Returns as skep_container_run does. */
SKEP_API int skep_container_exec(skep_runtime *runtime, const char *id, const skep_exec_options *options, skep_error *error);

enum skep_kill_flags { SKEP_KILL_ALL = 1 }; /* every process of the container, not just its init */

/* skep_container_kill: sends a signal. STATE (-ESRCH) when the container does not run. */
SKEP_API int skep_container_kill(skep_runtime *runtime, const char *id, int signal, unsigned flags, skep_error *error);

enum skep_delete_flags { SKEP_DELETE_FORCE = 1 }; /* kill it first; an id that does not exist, or whose creation was interrupted, is fine */

/* skep_container_delete: removes a stopped container, or a created one: cgroup, state, and the poststop hooks run. STATE when it runs. */
SKEP_API int skep_container_delete(skep_runtime *runtime, const char *id, unsigned flags, skep_error *error);

/* skep_container_pause, _resume: stop and continue all its processes (cgroup freezer). STATE when it does not run, or is not paused. */
SKEP_API int skep_container_pause(skep_runtime *runtime, const char *id, skep_error *error);
SKEP_API int skep_container_resume(skep_runtime *runtime, const char *id, skep_error *error);

/* skep_container_update: resources_json is an object like linux.resources; only what it names is changed. */
SKEP_API int skep_container_update(skep_runtime *runtime, const char *id, const char *resources_json, skep_error *error);

/* ---- what there is ---- */

/* skep_container_state: the State object of the specification and, beyond it, "rootfs", "created", "owner". NOT_FOUND. */
SKEP_API int skep_container_state(skep_runtime *runtime, const char *id, char **ret_json, skep_error *error);

/* skep_container_list: an array of such objects, sorted by id. Containers that are made or removed meanwhile may be missing. */
SKEP_API int skep_container_list(skep_runtime *runtime, char **ret_json, skep_error *error);

/* skep_container_processes: an array of the pids (in the caller's pid namespace) of all its processes. */
SKEP_API int skep_container_processes(skep_runtime *runtime, const char *id, char **ret_json, skep_error *error);

/* skep_container_stats: the object that `skep-runtime events --stats` prints as "data". STATE when the container has ended. */
SKEP_API int skep_container_stats(skep_runtime *runtime, const char *id, char **ret_json, skep_error *error);

/* skep_features: the features document of the specification (features.md). */
SKEP_API int skep_features(char **ret_json, skep_error *error);

/* skep_spec_default: a configuration to start from, as `skep-runtime spec` writes it: several lines, indented. rootless not 0: for a
 * caller without privileges, uid and gid mapped to root. */
SKEP_API int skep_spec_default(int rootless, uint32_t uid, uint32_t gid, char **ret_json, skep_error *error);

/* skep_spec_check: reads a configuration of n bytes as create would, and does nothing else. CONFIG with the place and what is
 * allowed there. What depends on the machine (files, devices, privileges) is not looked at. */
SKEP_API int skep_spec_check(const char *text, size_t n, skep_error *error);

#ifdef __cplusplus
}
#endif

#endif
