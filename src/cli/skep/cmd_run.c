/* cmd_run.c: create, run, exec: new containers, and new processes in them. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/skep/container_options.h"
#include "cli/skep/containers.h"
#include "cli/skep/transfers.h"
#include "engine/attach.h"
#include "engine/control.h"
#include "engine/create.h"
#include "engine/exec.h"
#include "engine/monitor_spawn.h"
#include "engine/network_rules.h"
#include "engine/networking.h"
#include "engine/start.h"
#include "image/siblings.h"
#include "sys/fd.h"

enum { STATUS_FAILED = 125 };

/* ---- create ---- */

static int find_here(Invocation *in, Engine *g, const char *name, const Platform *wanted, Image *ret, Err *e)
{
	Image found;
	Err why = ERR_INIT;
	int r = image_find(g->store, name, in->arena, &found, e);
	if (r < 0 || (r = siblings_choose(g->store, name, &found, wanted, in->arena, ret, &why)) >= 0) return r;
	*e = why;
	if (r != -ENOENT) return r;
	const char *has = platform_format(&found.platform, in->arena), *asked = platform_format(wanted, in->arena);
	return err_set(e, ERR_NOT_FOUND, ENOENT,
		       "image with reference %s was found but its platform (%s) does not match the specified platform (%s)", name,
		       has ? has : "unknown", asked ? asked : "unknown");
}

/* The image, pulled when that is asked for, or when it is missing and may be. */
static int find_image(Invocation *in, Engine *g, const ContainerRequest *q, Image *ret, Err *e)
{
	const char *name = q->config.image, *pull = q->pull ? q->pull : "missing";
	Platform platform = { 0 };
	const Platform *wanted = q->platform ? &platform : NULL;
	int r = wanted ? platform_parse(str_of(q->platform), in->arena, &platform, e) : 0;
	if (r < 0) return r;
	if (!streq(pull, "always")) {
		r = find_here(in, g, name, wanted, ret, e);
		if (r != -ENOENT || streq(pull, "never")) return r;
		if (!q->quiet) dprintf(2, "Unable to find image '%s' locally\n", name);
	}
	if ((r = pull_image(in, g->store, name, q->platform, q->quiet, e)) < 0) return r;
	return find_here(in, g, name, wanted, ret, e);
}

/* The file for the id: made before the container, so that one that cannot be made leaves none. */
typedef struct CidFile {
	const char *path;
	int fd;
} CidFile;

static void cid_file_done(CidFile *f)
{
	if (f->fd >= 0) (void)unlink(f->path); /* there is no container */
	f->fd = fd_close(f->fd);
}

static int cid_file_open(CidFile *f, Err *e)
{
	if (!f->path) return 0;
	f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (f->fd >= 0) return 0;
	if (errno == EEXIST)
		return err_set(e, ERR_EXISTS, EEXIST, "container ID file found, make sure the other container isn't running or delete %s",
			       f->path);
	return err_sys(e, errno, "failed to create the container ID file: open %s", f->path);
}

static int cid_file_write(CidFile *f, const char *id, Err *e)
{
	int r = f->fd < 0 ? 0 : fd_write_all(f->fd, id, strlen(id));
	f->fd = fd_close(f->fd);
	return r < 0 ? err_sys(e, -r, "write the container ID file %s", f->path) : 0;
}

/* podman's --replace: a container of that name goes first. */
static int replace(Engine *g, const ContainerRequest *q, Arena *a, Err *e)
{
	Record old;
	Err none = ERR_INIT;
	if (!q->replace) return 0;
	if (!q->name) return err_set(e, ERR_USAGE, EINVAL, "cannot replace container without --name being set");
	if (record_find(g, q->name, a, &old, &none) < 0 || !streq(old.name, q->name)) return 0;
	return engine_remove(g, &old, &(RemoveOptions){ .force = true }, e);
}

/* monitor, when it is to run: the one that will attend it. It comes to life while this is done. */
static int create(Invocation *in, Engine *g, const ContainerRequest *q, MonitorSeed *monitor, Record *ret, Err *e)
{
	Image image;
	StrList warnings;
	CreateRequest c = { .config = q->config, .host = q->host, .networks = q->endpoints, .name = q->name };
	AUTO(cid_file_done) CidFile cid = { q->cid_file, -1 };
	int r = cid_file_open(&cid, e);
	if (r < 0) return r;
	if (!q->host.rootfs || !*q->host.rootfs) {
		if ((r = find_image(in, g, q, &image, e)) < 0) return r;
		c.image = &image;
	}
	if ((r = replace(g, q, in->arena, e)) < 0) return r;
	if (monitor && (r = monitor_spawn(monitor, e)) < 0) return r;
	if ((r = engine_create(g, &c, in->arena, ret, &warnings, e)) < 0) return r;
	for (size_t i = 0; i < q->warnings.n; i++)
		dprintf(2, "WARNING: %s\n", q->warnings.items[i]);
	for (size_t i = 0; i < warnings.n; i++)
		dprintf(2, "WARNING: %s\n", warnings.items[i]);
	return cid_file_write(&cid, ret->id, e);
}

int create_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	ContainerRequest q;
	Record c;
	int r = container_options_parse(in, &q, e);
	if (r < 0) return r;
	r = skep_engine(in, &g, e);
	if (r < 0) return r;
	if ((r = create(in, &g, &q, NULL, &c, e)) < 0) return r;
	return dprintf(1, "%s\n", c.id) < 0 ? err_sys(e, errno, "write to standard output") : 0;
}

/* ---- run ---- */

static StartOptions start_options(const Record *c, const ContainerRequest *q)
{
	struct winsize w;
	StartOptions o = { .wait = !q->detach, .promise_remove = !q->detach && c->host.auto_remove };
	if (!q->detach) o.streams = (c->config.attach_stdout ? WIRE_OUT : 0) | (c->config.attach_stderr ? WIRE_ERR : 0);
	if (c->config.tty && (ioctl(0, TIOCGWINSZ, &w) == 0 || ioctl(1, TIOCGWINSZ, &w) == 0)) {
		o.rows = w.ws_row;
		o.columns = w.ws_col;
	}
	return o;
}

/* docker reads the status out of the reason, whatever was not found. */
static int run_status(const Err *e)
{
	if (e->code == ERR_NO_COMMAND || e->code == ERR_NOT_EXECUTABLE) return err_exit_status(e->code);
	if (strstr(e->msg, "no such file or directory")) return err_exit_status(ERR_NO_COMMAND);
	if (strstr(e->msg, "permission denied") || strstr(e->msg, "is a directory")) return err_exit_status(ERR_NOT_EXECUTABLE);
	return STATUS_FAILED;
}

/* What could not be started: the container stays as it is, but for --rm. */
static int start_failed(Invocation *in, Engine *g, const Record *c, Err *e)
{
	Err ignored = ERR_INIT;
	int status = run_status(e);
	if (c->host.auto_remove) (void)!engine_remove(g, c, &(RemoveOptions){ .volumes = true }, &ignored);
	return usage_failure(in, status, e);
}

/* Who publishes a port shall not wonder why nobody gets there. */
static void warn_of_firewall(Engine *g, const Record *c)
{
	char chain[HOST_FIREWALL_NAME_MAX];
	Err ignored = ERR_INIT;
	const bool publishes = c->host.publish_all_ports || (c->host.port_bindings && c->host.port_bindings->n);
	if (!publishes || !networking_is_own(c->host.network_mode) || networking_firewall(g, c, chain, &ignored) <= 0) return;
	dprintf(2,
		"WARNING: the host's firewall decides who reaches the published ports from outside: it drops what it does not know (nft list chain %s). "
		"Allow them there (ufw route allow, firewall-cmd), or see publish-policy in docs/networks.md.\n",
		chain);
}

static int run(Invocation *in, Engine *g, const ContainerRequest *q, Err *e)
{
	Record c;
	DetachKeys ignored;
	int sock = -1, r = q->detach ? 0 : detach_keys_parse(q->detach_keys, &ignored, e);
	if (r < 0) return r; /* before there is a container that nobody attends */
	AUTO_MONITOR_SEED monitor = MONITOR_SEED_NONE;
	if ((r = create(in, g, q, &monitor, &c, e)) < 0) return usage_failure(in, run_status(e), e);
	bool proxy = q->sig_proxy && !q->detach;
	if (proxy && !c.config.tty) attach_block_signals();
	StartOptions o = start_options(&c, q);
	o.monitor = &monitor;
	if (o.streams) record_event(g, &c, "attach", NULL, NULL);
	if (q->detach && dprintf(1, "%s\n", c.id) < 0) return err_sys(e, errno, "write to standard output");
	if (engine_start(g, &c, &o, in->arena, &sock, e) < 0) return start_failed(in, g, &c, e);
	AUTO_FD int own = sock;
	warn_of_firewall(g, &c);
	if (q->detach) return 0;
	r = foreground_run(in, g, &c, own, c.config.attach_stdin, q->detach_keys, proxy, c.host.auto_remove, e);
	return r == -ECANCELED ? 0 : r;
}

int run_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	ContainerRequest q;
	int r = container_options_parse(in, &q, e);
	if (r < 0) return r;
	if (!q.detach && (r = check_input(q.config.attach_stdin, q.config.tty, e)) < 0) return r;
	r = skep_engine(in, &g, e);
	return r < 0 ? usage_failure(in, STATUS_FAILED, e) : run(in, &g, &q, e);
}

/* ---- exec ---- */

/* docker reads the status of what could not be started out of the reason. */
static int exec_status(const ExecRequest *q, const Err *e)
{
	if (q->detach) return 1;
	if (e->code == ERR_NO_COMMAND || e->code == ERR_NOT_EXECUTABLE) return err_exit_status(e->code);
	return strstr(e->msg, "chdir to cwd") ? 127 : 1;
}

int container_exec_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	ExecRequest q;
	Record c;
	struct winsize w = { 0 };
	char id[RECORD_ID_LENGTH + 1];
	ExecStreams s;
	AttachEnd end;
	int status = 0, r = exec_options_parse(in, &q, e);
	if (r < 0 || (r = detach_keys_parse(q.detach_keys, &s.keys, e)) < 0) return r;
	s.detach = q.detach;
	s.interactive = q.interactive;
	if (!q.detach && (r = check_input(q.interactive, q.tty, e)) < 0) return r;
	if ((r = skep_engine(in, &g, e)) < 0 || (r = record_find(&g, q.container, in->arena, &c, e)) < 0) return r;
	if ((r = record_new_id(id, e)) < 0) return r;
	if (q.tty && ioctl(0, TIOCGWINSZ, &w) < 0 && ioctl(1, TIOCGWINSZ, &w) < 0) w = (struct winsize){ 0 };
	const MonitorExec x = { .id = id,
				.args = q.command,
				.env = q.env,
				.user = q.user,
				.working_dir = q.working_dir,
				.tty = q.tty,
				.privileged = q.privileged,
				.rows = w.ws_row,
				.columns = w.ws_col };
	r = engine_exec(&g, &c, &x, &s, &status, &end, e);
	if (r >= 0 && end == ATTACH_DETACHED) return err_set(e, ERR_STATE, ECANCELED, "read escape sequence");
	if (r >= 0) return end == ATTACH_LOST ? 255 : status;
	tell_failure(in, e);
	return exec_status(&q, e);
}
