/* create.c: making a container (create, run), and undoing it when it fails half-way.
 *
 * Order for a kill at any moment: the state directory, with the paths of the cgroup in state.json, stands before the cgroup is made,
 * and the init dies with the command until everything is written. So `delete --force` always finds what is left.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"
#include "runtime/foreground.h"
#include "runtime/launch.h"
#include "runtime/notify_socket.h"
#include "sys/path.h"

enum { ARENA_MAX = 64 * 1024 * 1024 };

typedef struct Creation {
	const Runtime *rt;
	const CreateOptions *o;
	Arena arena;
	OciSpec spec;
	Container container;
	Launch launch;
	char *text; /* config.json as it was read */
	size_t text_n;
	int caller_dir; /* where the caller was; the bundle is the working directory meanwhile */
	bool made_dir, made_cgroup, made_rdt;
} Creation;

static void creation_done(Creation *c)
{
	launch_done(&c->launch);
	container_done(&c->container);
	if (c->caller_dir >= 0) {
		(void)!fchdir(c->caller_dir);
		fd_close(c->caller_dir);
	}
	arena_done(&c->arena);
}

/* Paths from the command line mean the caller's directory. */
static int absolute(Creation *c, const char *path, const char **ret, Err *e)
{
	char cwd[4096];
	*ret = path;
	if (!path || path[0] == '/') return 0;
	if (!getcwd(cwd, sizeof cwd)) return err_sys(e, errno, "getcwd");
	*ret = arena_printf(&c->arena, "%s/%s", cwd, path);
	return *ret ? 0 : err_sys(e, ENOMEM, "%s", path);
}

static int read_config(Creation *c, Err *e)
{
	char *parsed;
	char path[FD_PATH_MAX];
	int r = fd_read_file(AT_FDCWD, c->o->config ? fd_path(c->o->config, path) : "config.json", OCI_SPEC_MAX, &c->arena, &c->text,
			     &c->text_n, e);
	if (r == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "JSON specification file config.json not found in bundle %s",
			       c->container.state.bundle);
	if (r < 0) return r;
	parsed = arena_str(&c->arena, (Str){ c->text, c->text_n });
	if (!parsed) return err_sys(e, ENOMEM, "config.json");
	return oci_spec_parse(parsed, c->text_n, &c->arena, &c->spec, e);
}

static int check_terminal(const Creation *c, bool detached, Err *e)
{
	bool tty = c->spec.process && c->spec.process->terminal;
	if (tty && detached && !c->o->console_socket)
		return err_set(e, ERR_USAGE, EINVAL, "cannot allocate tty if %s will detach without setting console socket", c->rt->name);
	if (c->o->console_socket && !(tty && detached))
		return err_set(e, ERR_USAGE, EINVAL, "cannot use console socket if %s will not detach or allocate tty", c->rt->name);
	return 0;
}

static int open_bundle(Creation *c, Err *e)
{
	ContainerState *s = &c->container.state;
	char bundle[4096];
	struct stat st;
	int r;
	if ((r = absolute(c, c->o->pid_file, &c->launch.pid_file, e)) < 0) return r;
	if ((r = absolute(c, c->o->pidfd_socket, &c->launch.pidfd_socket, e)) < 0) return r;
	if ((r = launch_connect(&c->launch, c->o->console_socket, e)) < 0) return r;
	c->caller_dir = openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->o->bundle && *c->o->bundle && chdir(c->o->bundle) < 0) return err_sys(e, errno, "chdir to bundle %s", c->o->bundle);
	if (!getcwd(bundle, sizeof bundle)) return err_sys(e, errno, "getcwd");
	s->bundle = arena_strdup(&c->arena, bundle);
	if (!s->bundle) return err_sys(e, ENOMEM, "bundle");
	if ((r = read_config(c, e)) < 0) return r;
	const char *root = c->spec.root->path;
	s->rootfs = root[0] == '/' ? path_clean(&c->arena, root) : arena_printf(&c->arena, "%s/%s", s->bundle, root);
	s->rootfs = s->rootfs ? path_clean(&c->arena, s->rootfs) : NULL;
	if (!s->rootfs) return err_sys(e, ENOMEM, "rootfs");
	if (stat(root, &st) < 0) return err_sys(e, errno, "rootfs (%s)", s->rootfs);
	if (!S_ISDIR(st.st_mode)) return err_set(e, ERR_CONFIG, ENOTDIR, "rootfs (%s): not a directory", s->rootfs);
	return 0;
}

static int make_parents(const char *path, Arena *a)
{
	char *p = arena_strdup(a, path);
	if (!p) return -ENOMEM;
	for (char *at = p + 1; *at; at++) {
		if (*at != '/') continue;
		*at = 0;
		if (mkdir(p, 0711) < 0 && errno != EEXIST) return -errno;
		*at = '/';
	}
	return mkdir(p, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int make_state_dir(Creation *c, Err *e)
{
	const char *id = c->o->id;
	char *path = arena_printf(&c->arena, "%s/%s", c->rt->root, id);
	if (!path) return err_sys(e, ENOMEM, "state directory");
	int r = mkdir(path, 0700) < 0 ? -errno : 0;
	if (r == -ENOENT) {
		if ((r = make_parents(c->rt->root, &c->arena)) < 0) return err_sys(e, r, "create state directory %s", c->rt->root);
		r = mkdir(path, 0700) < 0 ? -errno : 0;
	}
	if (r == -EEXIST) return err_set(e, ERR_EXISTS, EEXIST, "container with given ID already exists: \"%s\"", id);
	if (r < 0) return err_sys(e, r, "create state directory %s", path);
	c->made_dir = true;
	c->container.dir = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (c->container.dir < 0 || flock(c->container.dir, LOCK_EX | LOCK_NB) < 0)
		return err_sys(e, errno, "lock state directory %s", path);
	return 0;
}

static int write_config(Creation *c, Err *e)
{
	AUTO_FD int fd = openat(c->container.dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : fd_write_all(fd, c->text, c->text_n);
	return r < 0 ? err_sys(e, r, "write %s/%s/config.json", c->rt->root, c->o->id) : 0;
}

/* All but the pid. The init has a copy from the clone, for its hooks. */
static void describe(Creation *c)
{
	ContainerState *s = &c->container.state;
	char when[TIME_TEXT_MAX];
	time_format(time_now(), TIME_NANOSECONDS, when);
	s->created = arena_strdup(&c->arena, when);
	s->oci_version = c->spec.version;
	s->annotations = c->spec.annotations;
	s->owner = geteuid();
	s->host_mounts = !oci_namespace(&c->spec, CLONE_NEWNS);
	s->systemd_cgroup = s->cgroup.driver == CGROUP_SYSTEMD;
}

static int make_cgroup(Creation *c, Err *e)
{
	Cgroup *cg = &c->container.state.cgroup;
	CgroupResources *res = c->spec.lnx->resources;
	int r;
	if (devices_default_rules(res, &c->spec, &c->arena) < 0) return err_sys(e, ENOMEM, "device rules");
	if ((r = cgroup_create(cg, res, e)) < 0) return r;
	c->made_cgroup = true;
	if (cg->driver == CGROUP_SYSTEMD) return 0; /* with the process, later */
	if ((r = cgroup_apply(cg, res, false, e)) < 0) return r;
	if ((r = cgroup_give_away(&c->launch, e)) < 0) return r;
	if ((r = cgroup_open_join(cg, false, c->launch.cgroup_fds, &c->launch.n_cgroup_fds, e)) < 0) return r;
	c->launch.cgroup_v2 = cgroup_open_v2(cg);
	if (c->launch.cgroup_v2 == -ENOENT) return 0;
	return c->launch.cgroup_v2 < 0 ? err_sys(e, c->launch.cgroup_v2, "open the container's cgroup") : 0;
}

static int make_rdt(Creation *c, Err *e)
{
	const IntelRdt *r = c->spec.lnx->intel_rdt;
	if (!r) return 0;
	int x = rdt_check(r, c->o->id, e);
	if (x < 0) return x;
	AUTO_FD int root = rdt_open(NULL, &c->arena, NULL, e);
	if (root < 0) return root;
	x = rdt_create(root, r, c->o->id, &c->arena, &c->container.state.rdt, e);
	c->made_rdt = x >= 0;
	return x < 0 ? x : container_save(&c->container, e);
}

/* The program is pid 1 of its namespace; what the configuration said of an activation was the caller's. */
static int add_listen_fds(Creation *c, OciProcess *p)
{
	const char **items = arena_array(&c->arena, p->env.n + 3, sizeof *items);
	size_t n = 0;
	if (!items) return -ENOMEM;
	for (size_t i = 0; i < p->env.n; i++)
		if (!starts_with(p->env.items[i], "LISTEN_FDS=") && !starts_with(p->env.items[i], "LISTEN_PID="))
			items[n++] = p->env.items[i];
	items[n] = arena_printf(&c->arena, "LISTEN_FDS=%u", c->o->listen_fds);
	if (!items[n++]) return -ENOMEM;
	items[n++] = "LISTEN_PID=1";
	p->env = (StrList){ items, n };
	return 0;
}

static int plan_launch(Creation *c, Err *e)
{
	Launch *l = &c->launch;
	int r;
	l->spec = &c->spec;
	if ((r = launch_set_process(l, c->spec.process, e)) < 0) return r;
	l->no_pivot = c->o->no_pivot;
	l->root_mount = c->o->root_mount;
	l->sources = c->o->sources;
	l->n_sources = c->o->n_sources;
	l->netns = c->o->netns;
	l->userns = c->o->userns;
	l->stdio = c->o->stdio;
	l->new_keyring = !c->o->no_new_keyring;
	if ((r = launch_preserve(l, c->o->preserve_fds + c->o->listen_fds, e)) < 0) return r;
	if (c->o->listen_fds && c->spec.process && (r = add_listen_fds(c, c->spec.process)) < 0) return err_sys(e, r, "LISTEN_FDS");
	l->host_work = c->spec.hooks.prestart.n || c->spec.hooks.create_runtime.n || c->spec.lnx->net_devices.n;
	if ((r = launch_plan_namespaces(l, e)) < 0) return r;
	if ((r = launch_plan_mounts(l, e)) < 0) return r;
	if ((r = mounts_open_sources(l, e)) < 0) return r;
	return launch_open_host(l, e);
}

static int undo(Creation *c)
{
	Err ignored = ERR_INIT;
	launch_kill(&c->launch);
	if (c->made_cgroup) {
		(void)!cgroup_signal(&c->container.state.cgroup, 9, &ignored);
		(void)!cgroup_remove(&c->container.state.cgroup, 2000, &ignored);
	}
	if (c->made_rdt) {
		AUTO_FD int root = rdt_open(NULL, &c->arena, NULL, &ignored);
		if (root >= 0) (void)!rdt_remove(root, &c->container.state.rdt, &ignored);
	}
	if (c->container.state.host_mounts) (void)!rootfs_unmount(&c->container, &c->spec);
	if (c->made_dir) (void)!container_remove_dir(&c->container, &ignored);
	return 0;
}

/* The container's record on the host and its cgroup. The record comes first: what is made later can be found by it. */
static int make_surroundings(void *data, Err *e)
{
	Creation *c = data;
	int r;
	if ((r = write_config(c, e)) < 0 || (r = container_save(&c->container, e)) < 0 || (r = make_cgroup(c, e)) < 0) return r;
	return make_rdt(c, e);
}

static int creation_go(Creation *c, bool wait_start, bool detached, Err *e)
{
	Launch *l = &c->launch;
	int r;
	if ((r = container_id_check(c->o->id, e)) < 0) return r;
	c->container.state.id = c->o->id;
	if ((r = open_bundle(c, e)) < 0) return r;
	if ((r = check_terminal(c, detached, e)) < 0) return r;
	if (!wait_start && !c->spec.process) return err_set(e, ERR_CONFIG, EINVAL, "config.json: process: required to run a container");
	if ((r = make_state_dir(c, e)) < 0) return r;
	if ((r = notify_socket_plan(&c->container, l, &c->spec, e)) < 0) return r;
	if ((r = plan_launch(c, e)) < 0) return r;
	CgroupRequest req = { .path = c->spec.lnx->cgroups_path,
			      .id = c->o->id,
			      .driver = c->rt->cgroup_driver,
			      .rootless = c->rt->rootless,
			      .annotations = &c->spec.annotations };
	if ((r = cgroup_plan(&req, &c->arena, &c->container.state.cgroup, e)) < 0) return r;
	/* v1: many directories, and a child that can enter them by itself: it makes its namespaces meanwhile. (A v2 tree beside them must be
	 * entered by the clone: later would wait for a grace period.) */
	l->late_cgroup = c->container.state.cgroup.layout == CGROUP_V1 && c->rt->cgroup_driver == CGROUP_FS && !l->staged && !l->new_user;
	describe(c);
	l->late_filter = l->late_cgroup && c->spec.lnx->seccomp && !launch_asks(l);
	if (!l->late_filter && (r = launch_compile_filter(l, e)) < 0) return r;
	if (l->late_cgroup) {
		l->meanwhile = make_surroundings;
		l->meanwhile_data = c;
	} else if ((r = make_surroundings(c, e)) < 0) {
		return r;
	}
	l->wait_start = wait_start;
	if (wait_start) {
		l->listen = fd_listen_unix(c->container.dir, "start.sock", SOCK_SEQPACKET, 0600);
		if (l->listen < 0) return err_sys(e, l->listen, "create start.sock");
	}
	if ((r = launch_go(l, e)) < 0) return err_wrap(e, "unable to start container process");
	return 0;
}

static void creation_init(Creation *c, const Runtime *rt, const CreateOptions *o)
{
	*c = (Creation){ .rt = rt, .o = o, .arena = ARENA_INIT(ARENA_MAX), .caller_dir = -1 };
	c->container = (Container){ .rt = rt, .arena = &c->arena, .dir = -1 };
	launch_init(&c->launch, rt, &c->arena, &c->container);
}

int container_create(const Runtime *rt, const CreateOptions *o, Err *e)
{
	AUTO(creation_done) Creation c;
	creation_init(&c, rt, o);
	int r = creation_go(&c, true, true, e);
	if (r < 0) undo(&c);
	return r;
}

int container_spawn(const Runtime *rt, const CreateOptions *o, ContainerProcess *ret, Err *e)
{
	AUTO(creation_done) Creation c;
	creation_init(&c, rt, o);
	c.launch.spawned = true;
	int r = creation_go(&c, false, false, e);
	if (r >= 0) r = hooks_run("poststart", &c.spec.hooks.poststart, &c.container, STATUS_RUNNING, c.launch.pid, NULL, e);
	if (r < 0) {
		undo(&c);
		return r;
	}
	*ret = (ContainerProcess){ .pid = c.launch.pid, .pidfd = take_fd(c.launch.pidfd), .pty = take_fd(c.launch.pty) };
	return 0;
}

int container_run(const Runtime *rt, const CreateOptions *o, Err *e)
{
	AUTO(creation_done) Creation c;
	creation_init(&c, rt, o);
	int status = 0, r = creation_go(&c, false, o->detach, e);
	if (r >= 0) r = hooks_run("poststart", &c.spec.hooks.poststart, &c.container, STATUS_RUNNING, c.launch.pid, NULL, e);
	if (r < 0) {
		undo(&c);
		return r;
	}
	if (o->detach) return c.launch.notify_dir ? notify_socket_serve(&c.container, c.launch.notify_fd, c.launch.pidfd, true, e) : 0;
	r = foreground_attend(&c.launch, &status, e);
	if (r < 0) {
		undo(&c);
		return r;
	}
	if (!o->keep && (r = container_finish(&c.container, &c.spec, e)) < 0) return r;
	return status;
}
