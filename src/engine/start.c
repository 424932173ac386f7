/* start.c: see start.h. */
#include "engine/start.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/control.h"
#include "engine/diff.h"
#include "engine/etc_files.h"
#include "engine/log_fields.h"
#include "engine/monitor_spawn.h"
#include "engine/mount_source.h"
#include "engine/mounts.h"
#include "engine/network_rules.h"
#include "engine/networking.h"
#include "engine/owner_ids.h"
#include "engine/root.h"
#include "engine/spec.h"
#include "link/redirect.h"
#include "monitor/begin.h"
#include "monitor/config.h"
#include "sys/own_program.h"
#include "sys/path.h"
#include "sys/proc.h"

enum { PATH_ROOM = 4096, CHAIN_MAX = 8, STOP_TIMEOUT = 10 };

typedef struct Start {
	Engine *g;
	const Record *c;
	const StartOptions *o;
	Arena *a;
	const char *path; /* of the container's directory */
	int dir, lock, root, layers, config, spec;
	MountSources sources;
	bool holds; /* volumes, until the monitor does */
	MonitorSeed monitor;
	IdMaps maps; /* of its user namespace; empty: it has none */
	int userns;  /* with these; -1: none */
	int owner;   /* the one that is joined in its place; -1: none is */
	Networking network;
} Start;

static void start_done(Start *s)
{
	mount_sources_done(&s->sources);
	if (s->holds) volumes_release(s->g, s->c);
	if (s->network.held) networking_release(s->g, s->c->id);
	fd_close(s->dir);
	fd_close(s->lock);
	fd_close(s->config);
	fd_close(s->spec);
	fd_close(s->root);
	fd_close(s->layers);
	monitor_seed_close(&s->monitor);
	fd_close(s->userns);
	fd_close(s->owner);
	networking_done(&s->network);
}

/* ---- what is prepared ---- */

static int mount_root(Start *s, Err *e)
{
	const RootOptions o = {
		.userns = s->userns, .dir = s->dir, .is_volatile = s->c->host.auto_remove, .locked = true, .layers = &s->layers
	};
	s->root = container_mount(s->g, s->c, &o, e);
	return s->root < 0 ? s->root : 0;
}

static int fill_volumes(Start *s, Err *e)
{
	const RootOptions o = { .userns = -1, .dir = -1, .locked = true };
	if (s->userns < 0) return engine_fill_volumes(s->g, s->c, &s->sources, s->root, s->root, e);
	AUTO_FD int image = container_mount(s->g, s->c, &o, e);
	return image < 0 ? image : engine_fill_volumes(s->g, s->c, &s->sources, s->root, image, e);
}

/* As docker does it, once: a container that removes it does without, and so does an image without /etc, or a root whose owner we cannot be. */
static void link_mtab(const Start *s)
{
	if (s->c->host.rootfs && *s->c->host.rootfs) return;
	AUTO_FD int etc = path_open(s->root, "/etc", O_PATH | O_DIRECTORY, 0);
	if (etc >= 0) (void)!symlinkat(MTAB_TARGET, etc, basename(MTAB_PATH));
}

/* Who shares another's network has its names, too: the same files. */
static int share_names(Start *s, SpecInput *in, ContainerConfig *config, Err *e)
{
	Record other = *s->c;
	for (int i = 0; i < CHAIN_MAX && starts_with(other.host.network_mode, "container:"); i++) {
		int r = record_find(s->g, other.host.network_mode + strlen("container:"), s->a, &other, e);
		if (r < 0) return err_wrap(e, "joining network namespace of container");
	}
	config->hostname = spec_hostname(other.id, &other.config, &other.host, s->a);
	in->dir = arena_printf(s->a, "%s/containers/%s", s->g->root, other.id);
	return config->hostname && in->dir ? 0 : err_sys(e, ENOMEM, "start a container");
}

/* --link of the default network: the other's address under the alias, its own name and hostname. */
static int add_links(Start *s, EtcFiles *f, Err *e)
{
	const Networks all = networking_networks(s->g);
	for (size_t i = 0; streq(s->c->host.network_mode, "bridge") && i < s->c->host.links.n; i++) {
		Str name, alias;
		Record other;
		Network bridge;
		IpAddress at4, at6;
		char text[IP_TEXT_MAX];
		str_cut(str_of(s->c->host.links.items[i]), ':', &name, &alias);
		const char *who = arena_str(s->a, name);
		if (!who) return err_sys(e, ENOMEM, "start a container");
		int r = record_find(s->g, who, s->a, &other, e);
		const int runs = r < 0 ? r : all.runs(all.arg, other.id, e);
		if (runs < 0) return runs;
		if ((r = network_find(&all, "bridge", s->a, &bridge, e)) >= 0) r = ipam_of(&all, bridge.id, other.id, &at4, &at6, e);
		if (r < 0) return r;
		if (!runs || !at4.family)
			return err_set(e, ERR_STATE, EINVAL, "Cannot link to a non running container: /%s AS /%s/%.*s", who, s->c->name,
				       (int)alias.n, alias.p);
		EtcAddress *to = &f->addresses.items[f->addresses.n++];
		to->address = arena_strdup(s->a, ip_format(&at4, text));
		to->names =
			arena_printf(s->a, "%.*s %s%s%s", (int)alias.n, alias.p, spec_hostname(other.id, &other.config, &other.host, s->a),
				     str_eq(alias, who) ? "" : " ", str_eq(alias, who) ? "" : who);
		if (!to->address || !to->names) return err_sys(e, ENOMEM, "start a container");
	}
	return 0;
}

static int write_names(Start *s, Machine *machine, Err *e)
{
	const Networking *n = &s->network;
	EtcFiles f = { .host = &s->c->host,
		       .hostname = spec_hostname(s->c->id, &s->c->config, &s->c->host, s->a),
		       .ipv6 = etc_ipv6(&s->c->host, machine),
		       .gateways = n->gateways,
		       .resolver = n->names[0] < 0 ? NULL : REDIRECT_ADDRESS };
	f.addresses.items = arena_array(s->a, n->addresses.n + s->c->host.links.n + 1, sizeof *f.addresses.items);
	if (!f.hostname || !f.addresses.items) return err_sys(e, ENOMEM, "start a container");
	const char *domain = s->c->config.domainname, *names = f.hostname;
	if (domain && *domain && !(names = arena_printf(s->a, "%s.%s %s", f.hostname, domain, f.hostname)))
		return err_sys(e, ENOMEM, "start a container");
	for (size_t i = 0; i < n->addresses.n; i++)
		f.addresses.items[f.addresses.n++] = (EtcAddress){ n->addresses.items[i], names };
	int r = add_links(s, &f, e);
	return r < 0 ? r : etc_files_write(s->dir, &f, e);
}

/* What a container must be to share its namespace of that kind. */
static int check_donor(const Record *other, const RunState *state, const char *kind, Err *e)
{
	bool running = state->status == RUN_RUNNING;
	const char *shown = streq(kind, "ipc") ? "IPC" : streq(kind, "pid") ? "PID" : kind;
	if (!running && streq(kind, "net"))
		return err_set(e, ERR_STATE, EINVAL, "cannot join network namespace of a non running container: container %s is %s",
			       other->name, bind_name(run_status_names, state->status));
	if (!running) return err_set(e, ERR_STATE, EINVAL, "failed to join %s namespace: container %s is not running", shown, other->id);
	if (streq(kind, "ipc") && !streq(other->host.ipc_mode, "shareable"))
		return err_set(
			e, ERR_STATE, EINVAL,
			"failed to join IPC namespace: container %s: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
			other->id);
	return 0;
}

/* "container:NAME" and "ns:PATH" as the path of that namespace; NULL where something else was asked for. */
static int find_namespace(Start *s, const char *mode, const char *kind, const char **ret, Err *e)
{
	Record other;
	RunState state;
	*ret = NULL;
	if (mode && starts_with(mode, "ns:")) *ret = mode + strlen("ns:");
	if (!mode || !starts_with(mode, "container:")) return 0;
	int r = record_find(s->g, mode + strlen("container:"), s->a, &other, e);
	if (r < 0) return streq(kind, "net") ? err_wrap(e, "joining network namespace of container") : r;
	if ((r = engine_state(s->g, &other, s->a, &state, e)) < 0 || (r = check_donor(&other, &state, kind, e)) < 0) return r;
	*ret = arena_printf(s->a, "/proc/%lld/ns/%s", (long long)state.pid, kind);
	return *ret ? 0 : err_sys(e, ENOMEM, "start a container");
}

/* The container's files have the owners of the maps that it was made with: another namespace is not its own any more. */
static int find_userns(Start *s, SpecInput *in, Err *e)
{
	IdMaps m = s->maps;
	const char *mode = s->c->host.userns_mode;
	if (!m.uids.n) return 0;
	in->maps = s->maps;
	int r = find_namespace(s, mode, "user", &in->user_ns, e);
	if (r >= 0 && in->user_ns && starts_with(mode, "ns:")) r = userns_at(in->user_ns, s->a, &m, e);
	if (r < 0) return r;
	if (idmap_equal(&m.uids, &s->maps.uids) && idmap_equal(&m.gids, &s->maps.gids)) return 0;
	return err_set(e, ERR_STATE, ESTALE, "user namespace %s: its id mappings are not those that container %s was made with",
		       in->user_ns, s->c->name);
}

/* Its network belongs to the user namespace that it joins. */
static int open_owner(Start *s, Err *e)
{
	const char *path;
	int r = s->maps.uids.n ? find_namespace(s, s->c->host.userns_mode, "user", &path, e) : 0;
	if (r < 0 || !s->maps.uids.n || !path) return r;
	s->owner = open(path, O_RDONLY | O_CLOEXEC);
	return s->owner < 0 ? err_sys(e, errno, "open user namespace %s", path) : 0;
}

/* The /dev/shm of who shares its IPC namespace belongs to it. */
static int find_shm(Start *s, SpecInput *in, Err *e)
{
	if (!in->ipc_ns || !starts_with(s->c->host.ipc_mode, "container:")) return 0;
	in->shm = arena_printf(s->a, "%.*s/root/dev/shm", (int)(strlen(in->ipc_ns) - strlen("/ns/ipc")), in->ipc_ns);
	return in->shm ? 0 : err_sys(e, ENOMEM, "start a container");
}

static int find_init(Start *s, const char **ret, Err *e)
{
	char path[OWN_PATH_MAX];
	*ret = NULL;
	if (!s->c->host.init.set || !s->c->host.init.v) return 0;
	AUTO_FD int fd = own_program_open("skep-runtime", SKEP_LIBEXEC_DIR, e);
	if (fd < 0) return fd;
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n < 0) return err_sys(e, errno, "find skep-runtime");
	path[n] = 0;
	*ret = arena_strdup(s->a, path);
	return *ret ? 0 : err_sys(e, ENOMEM, "start a container");
}

static int write_spec(Start *s, Err *e)
{
	OciSpec spec;
	AUTO_BUF b = BUF_INIT(OCI_SPEC_MAX);
	JsonWriter w = JSON_WRITER(&b);
	Machine machine;
	machine_init(&machine, s->a);
	ContainerConfig config = s->c->config;
	SpecInput in = { .id = s->c->id,
			 .name = s->c->name,
			 .config = &config,
			 .host = &s->c->host,
			 .machine = &machine,
			 .mounts = &s->c->mounts,
			 .sources = s->sources.paths,
			 .root = s->root,
			 .dir = s->path };
	int r = starts_with(s->c->host.network_mode, "container:") ? share_names(s, &in, &config, e) : write_names(s, &machine, e);
	if (r >= 0) r = find_namespace(s, s->c->host.network_mode, "net", &in.network_ns, e);
	if (r >= 0) r = find_namespace(s, s->c->host.ipc_mode, "ipc", &in.ipc_ns, e);
	if (r >= 0) r = find_shm(s, &in, e);
	if (r >= 0) r = find_namespace(s, s->c->host.pid_mode, "pid", &in.pid_ns, e);
	if (r >= 0) r = find_userns(s, &in, e);
	if (r >= 0) r = find_init(s, &in.init_program, e);
	if (r < 0 || (r = spec_make(&in, s->a, &spec, e)) < 0 || (r = mount_sources_own(&s->sources, &s->maps, &spec, e)) < 0) return r;
	bind_encode(&oci_spec_table, &spec, &w);
	if (buf_failed(&b)) return err_set(e, ERR_RESOURCE, EFBIG, "the container's configuration is too large");
	s->spec = fd_memory_file("config.json", b.p, b.n);
	return s->spec < 0 ? err_sys(e, -s->spec, "start a container") : 0;
}

/* "skep container log-pack", for the monitor to start. */
static int pack_command(Start *s, StrList *ret, Err *e)
{
	char self[OWN_PATH_MAX];
	int r = own_path(self, e);
	if (r < 0) return r;
	const char *words[] = { arena_strdup(s->a, self), "container", "log-pack" };
	*ret = (StrList){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_list_add(ret, words[i], s->a) < 0) return err_sys(e, ENOMEM, "start a container");
	return 0;
}

static int describe_log(Start *s, MonitorLog *ret, Err *e)
{
	const LogConfig *l = &s->c->host.log_config;
	*ret = (MonitorLog){ .driver = l->type, .options = l->options };
	int r = log_fields(s->c, s->a, &ret->fields, e);
	if (r < 0 || (r = log_tag(s->c, s->a, &ret->tag, e)) < 0) return r;
	return pack_command(s, &ret->packer, e);
}

/* "skep --root R --run-root N WORDS…", for the monitor to become, or to start. */
static int own_words(Start *s, const char *const *words, size_t n, StrList *ret, Err *e)
{
	char self[OWN_PATH_MAX];
	int r = own_path(self, e);
	if (r < 0) return r;
	const char *first[] = { arena_strdup(s->a, self), "--root", s->g->root, "--run-root", s->g->run_root };
	const char **items = arena_array(s->a, ARRAY_LEN(first) + n + 1, sizeof *items);
	if (!items || !first[0]) return err_sys(e, ENOMEM, "start a container");
	memcpy(items, first, sizeof first);
	memcpy(items + ARRAY_LEN(first), words, n * sizeof *words);
	*ret = (StrList){ items, ARRAY_LEN(first) + n };
	return 0;
}

/* "… container COMMAND OPTION ID" */
static int own_command(Start *s, const char *command, const char *option, StrList *ret, Err *e)
{
	const char *words[] = { "container", command, option, s->c->id };
	return own_words(s, words, ARRAY_LEN(words), ret, e);
}

static int describe_ports(Start *s, MonitorConfig *m, Err *e)
{
	const Publishing *l = &s->network.ports;
	m->ports.items = arena_array(s->a, l->n + 1, sizeof *m->ports.items);
	if (!m->ports.items) return err_sys(e, ENOMEM, "start a container");
	for (size_t i = 0; i < l->n; i++) {
		const RulesPort *p = &s->network.rules[i];
		char host[IP_TEXT_MAX], to[IP_TEXT_MAX];
		MonitorPort *at = &m->ports.items[m->ports.n++];
		*at = (MonitorPort){ .host = arena_strdup(s->a, ip_format(&p->host, host)),
				     .to = arena_strdup(s->a, ip_format(&p->to, to)),
				     .host_port = p->host_port,
				     .port = p->port,
				     .protocol = p->protocol,
				     .direct = p->direct };
		if (!at->host || !at->to) return err_sys(e, ENOMEM, "start a container");
	}
	return 0;
}

/* What of the mounts is the monitor's: sources that were opened, volumes to let go of. */
static int describe_mounts(Start *s, MonitorConfig *m, Err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < s->c->mounts.n; i++) {
		const MountPoint *p = &s->c->mounts.items[i];
		if (s->sources.fds[i] >= 0) r = str_list_add(&m->sources, p->destination, s->a);
		if (r >= 0 && p->held) r = str_list_add(&m->volumes, p->name, s->a);
		if (r >= 0 && streq(p->type, "volume")) r = str_list_add(&m->unmounts, p->name, s->a);
	}
	return r < 0 ? err_sys(e, ENOMEM, "start a container") : 0;
}

static int write_monitor(Start *s, Err *e)
{
	const ContainerConfig *c = &s->c->config;
	const HostConfig *h = &s->c->host;
	MonitorConfig m = { .id = s->c->id,
			    .name = s->c->name,
			    .runtime_root = arena_printf(s->a, "%s/runtime", s->g->run_root),
			    .sockets = arena_printf(s->a, "%s/monitors", s->g->run_root),
			    .state_root = s->g->root,
			    .tty = c->tty,
			    .open_stdin = c->open_stdin,
			    .stdin_once = c->stdin_once,
			    .restart = h->restart_policy.name,
			    .restart_max = h->restart_policy.maximum_retry_count,
			    .stop_signal = c->stop_signal,
			    .stop_timeout = c->stop_timeout.set ? (int32_t)c->stop_timeout.v : STOP_TIMEOUT,
			    .health = c->healthcheck,
			    .health_on_failure = h->health_on_failure };
	m.ended = s->network.ended;
	m.devices = s->network.devices;
	if (s->network.ended && own_words(s, (const char *[]){ "network", "attend" }, 2, &m.attendant, e) < 0)
		return err_sys(e, ENOMEM, "start a container");
	if (s->layers >= 0) m.layers = root_layers(s->g, s->c, s->a);
	if (!m.runtime_root || !m.sockets) return err_sys(e, ENOMEM, "start a container");
	int r = owner_of_root(&s->maps, &m.uid, &m.gid);
	if (r < 0) return err_sys(e, r, "start a container");
	r = record_attributes(s->c, s->a, &m.attributes, e);
	if (r >= 0) r = describe_mounts(s, &m, e);
	if (r >= 0) r = describe_ports(s, &m, e);
	if (r >= 0) r = describe_log(s, &m.log, e);
	if (r >= 0) r = own_command(s, "start", "--again", &m.again, e);
	if (r >= 0 && h->auto_remove) r = own_command(s, "rm", "--volumes", &m.remove, e);
	if (r < 0) return r;
	s->config = monitor_config_file(&m, e);
	return s->config < 0 ? s->config : 0;
}

/* ---- the monitor ---- */

/* All of it is the monitor's then. */
static int hand_over(Start *s, Err *e)
{
	const size_t n = s->c->mounts.n;
	MonitorBegin b = { .dir = s->path,
			   .root = s->root,
			   .lock = s->lock,
			   .config = s->config,
			   .spec = s->spec,
			   .layers = s->layers,
			   .netns = s->network.netns,
			   .userns = s->network.netns < 0 || s->owner >= 0 ? -1 : s->userns,
			   .names = { s->network.names[0], s->network.names[1] },
			   .ports = s->network.ports.sockets,
			   .n_ports = s->network.ports.n };
	b.sources = arena_array(s->a, n + 1, sizeof *b.sources);
	if (!b.sources) return err_sys(e, ENOMEM, "start a monitor");
	for (size_t i = 0; i < n; i++)
		if (s->sources.fds[i] >= 0) b.sources[b.n_sources++] = s->sources.fds[i];
	int r = begin_send(s->monitor.begin, &b, e);
	if (r < 0) return r;
	s->root = fd_close(s->root);
	s->lock = fd_close(s->lock);
	s->layers = fd_close(s->layers);
	s->monitor.begin = fd_close(s->monitor.begin);
	mount_sources_done(&s->sources);
	s->holds = s->network.held = false;
	return 0;
}

/* All requests are on their way before the monitor begins: it hears them before it starts anything. */
static int send_requests(Start *s, Err *e)
{
	int r = 0;
	unsigned streams = s->o->streams | (s->o->promise_remove ? WIRE_PROMISE_REMOVE : 0);
	if (streams) r = wire_send(s->monitor.control, WIRE_ATTACH, (int)streams, 0, NULL, 0, NULL, 0);
	if (r >= 0 && s->o->wait) r = wire_send(s->monitor.control, WIRE_WAIT, 0, 0, NULL, 0, NULL, 0);
	if (r >= 0 && s->o->rows)
		r = wire_send(s->monitor.control, WIRE_RESIZE, (int)(s->o->rows << 16 | (s->o->columns & 0xffff)), 0, NULL, 0, NULL, 0);
	return r < 0 ? err_sys(e, -r, "ask the monitor") : 0;
}

static int await_start(Start *s, Err *e)
{
	static char data[WIRE_DATA_MAX];
	for (;;) {
		WireHead h;
		size_t n = 0, n_fds = 0;
		int fds[WIRE_FDS_MAX];
		int r = wire_receive(s->monitor.control, &h, data, &n, fds, &n_fds);
		if (r == 0) return err_set(e, ERR_INTERNAL, ECHILD, "the container's monitor ended before it had started the container");
		if (r < 0) return err_sys(e, -r, "hear from the container's monitor");
		if (h.kind == WIRE_ERROR) return wire_error(&h, data, n, e);
		if (h.kind == WIRE_STARTED) return 0;
	}
}

/* What a monitor has left us: this container's lock, locked. */
static int inherit_lock(Start *s, Err *e)
{
	struct stat own, given;
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	bool is_it = fstatat(s->dir, "lock", &own, AT_SYMLINK_NOFOLLOW) == 0 && fstat(MONITOR_LOCK, &given) == 0 &&
		     own.st_dev == given.st_dev && own.st_ino == given.st_ino && fcntl(MONITOR_LOCK, F_OFD_SETLK, &l) == 0 &&
		     fcntl(MONITOR_LOCK, F_SETFD, FD_CLOEXEC) == 0;
	if (!is_it) return err_set(e, ERR_USAGE, EBADF, "start --again is for monitors alone");
	s->lock = MONITOR_LOCK;
	return 0;
}

/* Ours from now on. A restart has it from the monitor that executed us. */
static int take_lock(Start *s, Err *e)
{
	RunState state;
	if (s->o->again) return inherit_lock(s, e);
	int r = engine_state(s->g, s->c, s->a, &state, e);
	if (r < 0) return r;
	if (state.status == RUN_RUNNING && engine_is_paused(s->g, s->c) > 0)
		return err_set(e, ERR_STATE, EBUSY, "cannot start a paused container, try unpause instead");
	if (state.status == RUN_RUNNING) return err_set(e, ERR_STATE, EALREADY, "container %s is running already", s->c->name);
	s->lock = record_lock(s->g, s->c->id, s->dir, 10000, e);
	if (s->lock < 0) return s->lock == -ENOENT ? s->lock : err_wrap(e, "start container %s", s->c->name);
	return engine_recover(s->g, s->c, s->dir, s->a, &state, e); /* somebody was faster than we, and his monitor has been killed */
}

static int prepare(Start *s, Err *e)
{
	RunState state;
	s->path = arena_printf(s->a, "%s/containers/%s", s->g->root, s->c->id);
	if (!s->path) return err_sys(e, ENOMEM, "start a container");
	s->dir = record_dir(s->g, s->c->id, e);
	if (s->dir < 0) return s->dir;
	int r = take_lock(s, e);
	if (r >= 0 && s->monitor.control < 0) r = monitor_spawn(&s->monitor, e);
	if (r < 0 || (r = run_state_read(s->dir, s->a, &state, e)) < 0) return r;
	int32_t restarts = s->o->again ? state.restart_count + 1 : 0;
	int64_t backoff = s->o->again ? state.backoff : 0;
	bool changed = state.restart_count != restarts || state.backoff != backoff;
	state.restart_count = restarts;
	state.backoff = backoff;
	if (changed && (r = run_state_write(s->dir, &state, false, e)) < 0) return r;
	if ((r = userns_maps(&s->c->host, s->a, &s->maps, e)) < 0 || (r = userns_open(&s->maps, &s->userns, e)) < 0) return r;
	if ((r = engine_make_sources(s->c, e)) < 0 || (r = mount_root(s, e)) < 0) return r;
	if (state.status == RUN_CREATED) link_mtab(s);
	if ((r = open_owner(s, e)) < 0 ||
	    (r = networking_start(s->g, s->c, s->dir, s->owner < 0 ? s->userns : s->owner, s->a, &s->network, e)) < 0)
		return r;
	s->holds = true;
	if ((r = volumes_hold(s->g, s->c, s->a, e)) < 0 ||
	    (r = mount_sources_open(s->g, s->c, s->dir, s->userns, s->a, &s->sources, e)) < 0)
		return r;
	if ((r = fill_volumes(s, e)) < 0 || (r = write_spec(s, e)) < 0) return r;
	return write_monitor(s, e);
}

/* A restart that did not come about: nobody tries again. */
static void give_up(Start *s, const Err *why)
{
	RunState state;
	Err ignored = ERR_INIT;
	if (!s->o->again || s->dir < 0 || run_state_read(s->dir, s->a, &state, &ignored) < 0 || state.status != RUN_RESTARTING) return;
	state.status = RUN_EXITED;
	state.error = why->msg;
	(void)!run_state_write(s->dir, &state, false, &ignored);
}

int engine_start(Engine *g, const Record *c, const StartOptions *o, Arena *a, int *ret_socket, Err *e)
{
	AUTO(start_done)
	Start s = { .g = g,
		    .c = c,
		    .o = o,
		    .a = a,
		    .dir = -1,
		    .lock = -1,
		    .root = -1,
		    .layers = -1,
		    .config = -1,
		    .spec = -1,
		    .monitor = MONITOR_SEED_NONE,
		    .userns = -1,
		    .owner = -1,
		    .network = NETWORKING_NONE };
	if (o->monitor) {
		s.monitor = *o->monitor;
		*o->monitor = MONITOR_SEED_NONE;
	}
	int r = prepare(&s, e);
	if (r < 0 || (r = send_requests(&s, e)) < 0 || (r = hand_over(&s, e)) < 0 || (r = await_start(&s, e)) < 0) {
		give_up(&s, e);
		return r;
	}
	*ret_socket = take_fd(s.monitor.control);
	return 0;
}

/* ---- running ones ---- */

int monitor_connect(const Engine *g, const char *id)
{
	char path[PATH_ROOM];
	snprintf(path, sizeof path, "%s/monitors/%s", g->run_root, id);
	return fd_connect_unix(AT_FDCWD, path, SOCK_SEQPACKET);
}

int monitor_await(int sock, Err *e)
{
	static char data[WIRE_DATA_MAX];
	int r = 0;
	while (r >= 0) {
		WireHead h;
		size_t n = 0, n_fds = 0;
		int fds[WIRE_FDS_MAX];
		r = wire_receive(sock, &h, data, &n, fds, &n_fds);
		if (r == 0) r = -ECONNRESET;
		if (r > 0 && h.kind == WIRE_OK) return 0;
		if (r > 0 && h.kind == WIRE_ERROR) return wire_error(&h, data, n, e);
	}
	return err_sys(e, -r, "ask the container's monitor");
}

int monitor_ask(int sock, WireKind kind, int value, int more, const char *text, Err *e)
{
	int r = wire_send(sock, kind, value, more, text, text ? strlen(text) : 0, NULL, 0);
	return r < 0 ? err_sys(e, -r, "ask the container's monitor") : monitor_await(sock, e);
}
