/* launch.h: one launch of a process into a container: of its init (create, run) or of another process (exec).
 *
 * The command fills a Launch before it forks; the child has the same memory and reads it. Everything the child needs from the
 * host (descriptors of namespaces, cgroups, bind sources, the listening socket) stands in it by then, opened once.
 *
 * Who does what
 *   command  parses, opens, makes the cgroup, clones, writes id maps, runs the hooks of the runtime's namespaces, writes the state
 *   stage    only where a user, pid or time namespace must be entered or made first: enters it, clones the init as
 *            the command's child (CLONE_PARENT), exits
 *   init     joins the cgroup and the other namespaces, builds the root, waits for the start, becomes the program
 */
#pragma once

#include "runtime/container.h"
#include "runtime/sync.h"
#include "sys/mount.h"

typedef struct LaunchJoin {
	int type; /* CLONE_NEW* */
	int fd;   /* of the namespace, or of a pidfd with several types */
} LaunchJoin;

typedef struct LaunchMount {
	const OciMount *mount;
	MountOptions options;
	const char *destination; /* inside the root, cleaned */
	const char *source_path; /* of a bind: absolute */
	int source;              /* of a bind: detached tree made by the command or its caller, or -1: the init makes it */
	bool mapped;             /* an id mapped mount */
} LaunchMount;

typedef LIST_OF(LaunchMount) LaunchMounts;

typedef struct Launch {
	const Runtime *rt;
	Arena *arena;
	Container *container; /* its state holds id, bundle, rootfs, cgroup */
	const OciSpec *spec;
	const OciProcess *process; /* NULL: the init only waits and exits */
	bool exec;                 /* another process, not the init */
	bool wait_start;           /* create: wait for container_start */
	bool detach, no_pivot, new_keyring;
	bool spawned;               /* the terminal's master goes to somebody who copies to terminals in raw mode */
	const int *stdio;           /* the program's standard streams; NULL: ours */
	int root_mount;             /* a detached mount to be the root; 0: the directory rootfs is */
	int netns, userns;          /* to be joined in place of new ones; 0: none */
	const MountSource *sources; /* of binds */
	size_t n_sources;
	unsigned preserve_fds;

	/* Namespaces: what the clone makes, what the init makes by unshare, what is entered, by whom. */
	int clone_new, unshare_new;
	bool late_cgroup; /* the cgroup is made while the init already works; it enters when its descriptors come */
	bool late_filter; /* so is the seccomp filter, and sent before SYNC_GO */
	/* meanwhile: the command's work right after the clone, beside the init; may be NULL */
	int (*meanwhile)(void *data, Err *e);
	void *meanwhile_data;
	bool staged; /* a stage is needed */
	LaunchJoin joins[10];
	size_t n_joins;
	bool new_user; /* the command writes id maps */

	/* Opened by the command. */
	int sync[2]; /* 0: the command's end, 1: the init's */
	int listen;  /* start.sock, or -1 */
	int console; /* connected console socket, or -1 */
	int proc;    /* the host's /proc */
	int null;    /* init only: a tree of the host's null device, for masks */
	int dev;     /* init only: the tmpfs just mounted on /dev, while nothing else covers it; or -1 */
	int cgroup_fds[CGROUP_JOIN_MAX];
	size_t n_cgroup_fds;
	int cgroup_v2; /* for CLONE_INTO_CGROUP, or -1 */
	LaunchMounts mounts;

	SeccompFilter filter;
	bool has_filter;
	bool host_work;         /* the command has work at SYNC_ASK_HOST */
	bool asks_idmap;        /* some mount is id mapped: the init asks for it */
	const char *notify_dir; /* sd_notify: the directory that is mounted into the container, or NULL */
	int notify_fd;          /* our socket in it, or -1 */

	/* Known after the clone; all owned by the command. */
	pid_t pid;
	int pidfd;
	OciConsoleSize tty_size; /* of the terminal in the foreground, 0 x 0: none */
	uint32_t ignored;        /* signals that the child inherited as ignored, see proc.h */
	int pty;                 /* master of a foreground terminal, or -1 */
	const char *pid_file, *pidfd_socket;
} Launch;

/* launch.c: the command's side */
void launch_init(Launch *l, const Runtime *rt, Arena *a, Container *c);
void launch_done(Launch *l);               /* closes; the child is none of its business */
int launch_go(Launch *l, Err *e) MUST_USE; /* clones and attends the child until it waits for its start, or is executed */
int launch_kill(Launch *l);                /* ends a child that is not wanted any more and reaps it */
int launch_connect(Launch *l, const char *console_socket, Err *e) MUST_USE;
/* launch_preserve: the caller's descriptors 3 to 3 + n - 1 go on to the process; each must be open. */
int launch_preserve(Launch *l, unsigned n, Err *e) MUST_USE;
/* launch_set_process: p, without labels of a security module that the machine does not run: those are said and left out. */
int launch_set_process(Launch *l, const OciProcess *p, Err *e) MUST_USE;
int launch_compile_filter(Launch *l, Err *e) MUST_USE;
bool launch_asks(const Launch *l);                /* will the init ask the command for something before it is ready? */
int launch_open_host(Launch *l, Err *e) MUST_USE; /* proc, sync pair */

/* ---- the parts of the init, each in the file of its name ---- */

/* init.c: the whole life of the child; never returns. */
void init_main(Launch *l) NORETURN;
/* init_fail: reports e to the command (or to the starter) and exits. */
void init_fail(int sock, const Err *e) NORETURN;

/* namespaces.c */
int launch_plan_namespaces(Launch *l, Err *e) MUST_USE; /* create: from the configuration */
int launch_plan_exec_namespaces(Launch *l, int pidfd, Err *e) MUST_USE;
/* launch_clone: starts the child (through a stage where needed); returns its pid; *ret_pidfd its pidfd, or -1 from a stage. */
int launch_clone(Launch *l, pid_t *ret_pid, int *ret_pidfd, Err *e) MUST_USE;
int namespaces_hide(const Launch *l, Err *e) MUST_USE; /* stage and init, before they join anything */
int namespaces_enter(Launch *l, Err *e) MUST_USE;      /* init: the joins that are not the stage's, and unshare_new */

/* rootfs.c: from mounts to pivot_root */
int rootfs_build(Launch *l, int *ret_root, Err *e) MUST_USE;
int rootfs_enter(Launch *l, int root, Err *e) MUST_USE;
int rootfs_seal(Launch *l, int root, Err *e) MUST_USE;
int rootfs_unmount(const Container *c, const OciSpec *s); /* host_mounts only */

/* mounts.c */
int launch_plan_mounts(Launch *l, Err *e) MUST_USE;
int mounts_make(Launch *l, int root, Err *e) MUST_USE;
int mounts_open_sources(Launch *l, Err *e) MUST_USE;
/* launch_sets_oom_score: whether the command does it: of an init, and of a process in a user namespace, which is not let at its own file. */
bool launch_sets_oom_score(const Launch *l);
/* mounts_map: gives the tree of mount i its id mapping; own_userns: the container's user namespace, or -1. */
int mounts_map(const Launch *l, size_t i, int tree, int own_userns, Err *e) MUST_USE;

/* cgroup_mount.c */
int cgroup_mount(Launch *l, const LaunchMount *m, int target, Err *e) MUST_USE;
/* cgroup_give_away: makes the user of the process the owner of the container's v2 cgroup, when it has a cgroup namespace of its own
 * and the cgroup file system is mounted writable. */
int cgroup_give_away(const Launch *l, Err *e) MUST_USE;

/* devices.c */
int devices_make(Launch *l, int root, Err *e) MUST_USE;
int devices_default_rules(CgroupResources *r, const OciSpec *s, Arena *a) MUST_USE;

/* masks.c: masks_open takes what masks are made of, while the host's files are still there; masks_apply after the root is entered. */
int masks_open(Launch *l, Err *e) MUST_USE;
int masks_apply(Launch *l, int root, Err *e) MUST_USE;

/* identity.c: user, capabilities, limits, labels; and the program */
/* identity_become: everything between the start and the program; the last thing that needs privileges. root is "/". */
int identity_become(Launch *l, int root, Err *e) MUST_USE;
/* identity_environment: the program's: of a name given twice the last holds; HOME from the container's passwd when missing or empty. */
int identity_environment(Launch *l, int root, char ***ret, Err *e) MUST_USE;

/* program.c */
int program_find(Launch *l, int root, char *const *env, const char **ret, Err *e) MUST_USE;
void program_exec(Launch *l, const char *path, char *const *env, Err *e); /* returns on failure only */

/* terminal.c */
int terminal_make(Launch *l, int root, Err *e) MUST_USE;

/* delete.c: container_finish: what is left of a container whose init is gone: other processes, cgroup, mounts, state; poststop hooks. spec: its
 * configuration, or NULL when it could not be read. */
int container_finish(Container *c, const OciSpec *spec, Err *e) MUST_USE;

/* hooks.c: runs a list in order; -EIO "error running createRuntime hook #0: …" at the first failure. status is that of the State on
 * stdin; in_container: environment of the process when a hook has none. */
int hooks_run(const char *kind, const OciHookList *hooks, const Container *c, ContainerStatus status, pid_t pid, char *const *env,
	      Err *e) MUST_USE;

/* seccomp_agent.c: hands a listener descriptor to the agent at listenerPath, with the ContainerProcessState. */
int seccomp_agent_send(const Launch *l, pid_t pid, int fd, Err *e) MUST_USE;
