/* monitor.c: the life of a monitor: start, attend, end. See monitor.h. */
#include "monitor/monitor.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/heap.h"
#include "base/time.h"
#include "monitor/begin.h"
#include "monitor/event_log.h"
#include "monitor/monitor_impl.h"
#include "monitor/network_hold.h"
#include "monitor/volume_hold.h"
#include "sys/proc.h"
#include "sys/tree_remove.h"

enum { ARENA_MAX = 8 << 20, OOM_SCORE_ARENA = 65536, PROMISE_SECONDS = 30 };
#define BACKOFF_FIRST (100 * DURATION_MILLISECOND)
#define BACKOFF_MAX DURATION_MINUTE
#define BACKOFF_FORGOTTEN (10 * DURATION_SECOND) /* a container that ran so long starts anew */

extern char **environ;

/* ---- what others see ---- */

int monitor_save(Monitor *m)
{
	Err ignored = ERR_INIT;
	return run_state_write(m->dir, &m->state, false, &ignored);
}

static void event_more(Monitor *m, const char *action, const StrPair *more, size_t n)
{
	Err ignored = ERR_INIT;
	const StrMap *own = &m->config.attributes;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	StrMap all = { arena_array(&a, own->n + n + 1, sizeof *all.items), own->n };
	if (!all.items) return;
	memcpy(all.items, own->items, own->n * sizeof *all.items);
	for (size_t i = 0; i < n; i++)
		all.items[all.n++] = more[i];
	str_map_sort(&all);
	(void)!event_append(m->root_dir, &(Event){ .type = "container", .action = action, .id = m->config.id, .attributes = all }, NULL,
			    &ignored);
}

void monitor_event(Monitor *m, const char *action, const char *key, const char *value)
{
	event_more(m, action, &(StrPair){ key, value }, key ? 1 : 0);
}

static void event_died(Monitor *m)
{
	char code[16], ran[24];
	snprintf(code, sizeof code, "%d", m->status);
	snprintf(ran, sizeof ran, "%lld", (long long)((m->state.finished_at - m->state.started_at) / DURATION_SECOND));
	event_more(m, "die", (const StrPair[]){ { "execDuration", ran }, { "exitCode", code } }, 2);
}

static void event_unmounted(const Monitor *m)
{
	Err ignored = ERR_INIT;
	StrPair attributes[] = { { "container", m->config.id }, { "driver", "local" } };
	for (size_t i = m->config.unmounts.n; i > 0; i--)
		(void)!event_append(m->root_dir,
				    &(Event){ .type = "volume",
					      .action = "unmount",
					      .id = m->config.unmounts.items[i - 1],
					      .attributes = { attributes, ARRAY_LEN(attributes) } },
				    NULL, &ignored);
}

/* ---- signals and stops ---- */

static int configured_stop_signal(const Monitor *m)
{
	const char *name = m->config.stop_signal;
	int n = name && *name ? signal_by_name(name) : SIGTERM;
	return n > 0 ? n : SIGTERM;
}

static int send_signal(Monitor *m, int signal, Err *e)
{
	if (m->ended || m->process.pidfd < 0) return err_set(e, ERR_STATE, ESRCH, "container %s is not running", m->config.id);
	int r = pid_send(m->process.pidfd, signal);
	return r < 0 && r != -ESRCH ? err_sys(e, -r, "send signal %d to the container", signal) : 0;
}

int monitor_signal(Monitor *m, int signal, Err *e)
{
	bool own = m->config.stop_signal && *m->config.stop_signal;
	/* as docker has it: a signal that is meant to end the container means that it shall stay ended */
	if (!own || signal == SIGKILL || signal == configured_stop_signal(m)) {
		m->killed_by_user = true;
		if (!m->state.stopped_by_user) {
			m->state.stopped_by_user = true;
			(void)!monitor_save(m);
		}
	}
	return send_signal(m, signal, e);
}

static void kill_now(void *arg)
{
	Monitor *m = arg;
	Err ignored = ERR_INIT;
	m->stop.running = false;
	monitor_event(m, "kill", "signal", "9");
	(void)!send_signal(m, SIGKILL, &ignored);
}

static void finish(Monitor *m);

int monitor_stop(Monitor *m, int timeout, int signal, Err *e)
{
	char text[16];
	m->killed_by_user = true;
	m->restart_once = false;
	if (!m->state.stopped_by_user) {
		m->state.stopped_by_user = true;
		(void)!monitor_save(m);
	}
	if (m->ended) { /* it waits to be started again */
		loop_timer_cancel(&m->again);
		loop_stop(&m->loop, 0);
		return 0;
	}
	if (timeout == WIRE_DEFAULT) timeout = m->config.stop_timeout;
	if (!signal) signal = configured_stop_signal(m);
	snprintf(text, sizeof text, "%d", signal);
	monitor_event(m, "kill", "signal", text);
	int r = send_signal(m, signal, e);
	if (r < 0) return r;
	if (timeout > 0) loop_timer_set(&m->loop, &m->stop.timer, time_monotonic() + timeout * DURATION_SECOND, kill_now, m);
	m->stop.running = timeout > 0;
	if (timeout == 0 && signal != SIGKILL) kill_now(m);
	return 0;
}

/* The machine goes down: the container ends, and is started again after the boot when its policy says so. */
static void stop_for_shutdown(Monitor *m)
{
	Err ignored = ERR_INIT;
	bool by_user = m->state.stopped_by_user;
	(void)!monitor_stop(m, WIRE_DEFAULT, 0, &ignored);
	m->state.stopped_by_user = by_user;
}

/* Children that are not the container's init: helpers, and what they left behind. */
static void reap(Monitor *m)
{
	for (;;) {
		siginfo_t info = { 0 };
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid) return;
		if ((info.si_pid == m->process.pid && !m->ended) || info.si_pid == health_helper(m)) return; /* their pidfds tell */
		int status = 0;
		if (waitpid(info.si_pid, &status, WNOHANG) > 0 && m->sink) log_sink_exited(m->sink, info.si_pid, status);
	}
}

static void take_signal(void *arg, const struct signalfd_siginfo *info)
{
	Monitor *m = arg;
	if (info->ssi_signo == SIGCHLD)
		reap(m);
	else
		stop_for_shutdown(m);
}

/* ---- the end ---- */

static void take_oom(void *arg, uint32_t events)
{
	Monitor *m = arg;
	if (cgroup_oom_take(&m->oom) <= 0) return;
	m->state.oom_killed = true;
	monitor_event(m, "oom", NULL, NULL);
}

static bool shall_start_again(const Monitor *m)
{
	if (m->restart_once) return true;
	const char *policy = m->config.restart ? m->config.restart : "no";
	if (m->killed_by_user) return false;
	if (streq(policy, "always") || streq(policy, "unless-stopped")) return true;
	return streq(policy, "on-failure") && m->status != 0 && (!m->config.restart_max || m->state.restart_count < m->config.restart_max);
}

static void next_backoff(Monitor *m)
{
	int64_t ran = m->state.finished_at - m->state.started_at;
	if (!m->state.backoff || ran > BACKOFF_FORGOTTEN) {
		m->state.backoff = BACKOFF_FIRST;
		return;
	}
	m->state.backoff *= 2;
	if (m->state.backoff > BACKOFF_MAX) m->state.backoff = BACKOFF_MAX;
}

static void start_again(void *arg)
{
	Monitor *m = arg;
	loop_stop(&m->loop, 1);
}

static void release_volumes(Monitor *m)
{
	Err e = ERR_INIT;
	for (size_t i = 0; i < m->config.volumes.n; i++)
		if (volume_release(m->root_dir, m->config.volumes.items[i], m->config.id, &e) < 0)
			log_write(&m->log, LOG_WARN, "%s", e.msg);
}

static void withdraw_layers(Monitor *m)
{
	if (m->config.layers) shared_layers_withdraw(m->config.layers, m->offered);
	m->offered[0] = 0;
	m->layers = fd_close(m->layers);
}

/* What the run has left in the kernel and in the runtime's directory. */
static void clean_up(Monitor *m)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	Container c = { .dir = -1 };
	attendance_stop(&m->attendance);
	if (m->oom.fd >= 0) {
		loop_fd_remove(&m->oom_watch);
		oom_watch_done(&m->oom);
	}
	if (container_load(&m->rt, m->config.id, &a, &c, &e) >= 0) {
		if (container_delete(&c, true, &e) < 0) log_write(&m->log, LOG_WARN, "%s", e.msg);
		container_done(&c);
	}
	m->root = fd_close(m->root);
	m->rules = network_hold_release(&m->config, m->ports, m->n_ports);
	withdraw_layers(m);
	release_volumes(m);
}

/* The container has ended: first what somebody waits for, then the cleaning. */
static void finish(Monitor *m)
{
	if (m->oom.fd >= 0) take_oom(m, 0);
	health_stop(m);
	stdio_drain(m);
	m->ended = true;
	m->kept = m->keeper;
	m->state.finished_at = time_now();
	m->state.exit_code = m->status;
	m->state.pid = 0;
	m->state.start_time = 0;
	bool again = shall_start_again(m);
	m->state.status = again ? RUN_RESTARTING : RUN_EXITED;
	if (again) next_backoff(m);
	(void)!monitor_save(m);
	event_died(m);
	clients_tell_all(m, WIRE_EXITED, m->status, m->state.oom_killed, !again);
	clean_up(m);
	event_unmounted(m);
	if (m->killed_by_user && m->stop.running) loop_timer_cancel(&m->stop.timer);
	if (again)
		loop_timer_set(&m->loop, &m->again, time_monotonic() + m->state.backoff, start_again, m);
	else
		loop_stop(&m->loop, 0);
}

static void init_exited(void *arg, const siginfo_t *info)
{
	Monitor *m = arg;
	m->status = info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
	m->process.pidfd = fd_close(m->process.pidfd);
	finish(m);
}

/* ---- the start ---- */

static int read_files(Monitor *m, int config, Err *e)
{
	int r = monitor_config_read(config, &m->arena, &m->config, e);
	if (r < 0 || (r = run_state_read(m->dir, &m->arena, &m->state, e)) < 0) return r;
	m->root_dir = openat(AT_FDCWD, m->config.state_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->root_dir < 0) return err_sys(e, errno, "open %s", m->config.state_root);
	m->rt = (Runtime){ .root = m->config.runtime_root,
			   .name = "skep-runtime",
			   .cgroup_driver = m->config.cgroup_driver ? m->config.cgroup_driver : CGROUP_FS,
			   .rootless = runtime_is_rootless(),
			   .log = &m->log };
	return 0;
}

static int watch_signals(Monitor *m, Err *e)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	int r = loop_signals_add(&m->loop, &m->signals, &set, take_signal, m);
	return r < 0 ? err_sys(e, -r, "watch signals") : 0;
}

/* The streams stand before the starter is heard: what it sends already is for them. */
static int launch(Monitor *m, Client *starter, Err *e)
{
	int child[3] = { -1, -1, -1 };
	MountSource *sources = arena_array(&m->arena, m->config.sources.n + 1, sizeof *sources);
	if (!sources) return err_sys(e, ENOMEM, "start a container");
	for (size_t i = 0; i < m->config.sources.n; i++) {
		if (i >= m->n_sources)
			return err_set(e, ERR_INTERNAL, EPROTO, "mount %s: its source did not arrive", m->config.sources.items[i]);
		sources[i] = (MountSource){ m->config.sources.items[i], m->sources[i] };
	}
	int r = stdio_open(m, child, e);
	client_receive(starter); /* also when it has failed: a socket closed with something unread would swallow the reason */
	if (r >= 0) {
		const CreateOptions o = { .id = m->config.id,
					  .bundle = "",
					  .config = m->spec,
					  .root_mount = m->root,
					  .sources = sources,
					  .n_sources = m->config.sources.n,
					  .stdio = m->config.tty ? NULL : child,
					  .netns = m->netns < 0 ? 0 : m->netns,
					  .userns = m->userns < 0 ? 0 : m->userns };
		r = container_spawn(&m->rt, &o, &m->process, e);
	}
	m->spec = fd_close(m->spec);
	m->netns = fd_close(m->netns);
	m->userns = fd_close(m->userns);
	for (size_t i = 0; i < m->config.sources.n; i++) /* the container has them now */
		fd_close(sources[i].fd);
	for (size_t i = 0; i < ARRAY_LEN(child); i++)
		fd_close(child[i]);
	return r;
}

static void remember_start(Monitor *m)
{
	char boot[BOOT_ID_SIZE];
	RunState *s = &m->state;
	s->status = RUN_RUNNING;
	s->pid = m->process.pid;
	if (proc_start_time(m->process.pid, &s->start_time) < 0) s->start_time = 0;
	s->started_at = time_now();
	s->finished_at = 0;
	s->exit_code = 0;
	s->error = NULL;
	s->oom_killed = s->stopped_by_user = false;
	s->boot = boot_id(boot) < 0 ? NULL : arena_strdup(&m->arena, boot);
	(void)!monitor_save(m);
	monitor_event(m, "start", NULL, NULL);
}

static int watch_oom(Monitor *m, Err *e)
{
	m->container_arena = ARENA_INIT(ARENA_MAX);
	m->container = (Container){ .dir = -1 };
	int r = container_load(&m->rt, m->config.id, &m->container_arena, &m->container, e);
	if (r < 0) return r;
	r = cgroup_oom_watch(&m->container.state.cgroup, &m->oom, e);
	if (r < 0 || m->oom.fd < 0) return 0; /* no memory controller: nobody will be killed by it */
	r = loop_fd_add(&m->loop, &m->oom_watch, m->oom.fd, EPOLLIN, take_oom, m);
	return r < 0 ? err_sys(e, -r, "watch the memory of the container") : 0;
}

/* What the start has used, of the heap and below this frame: there is a monitor for each container. */
static void give_back_memory(void)
{
	enum { PAGE = 4096, DEEPEST = 256 << 10 };
	uintptr_t end = ((uintptr_t)__builtin_frame_address(0) & -(uintptr_t)PAGE) - PAGE;
	heap_trim();
	(void)!madvise((void *)(end - DEEPEST), DEEPEST, MADV_DONTNEED);
}

static int attend_networks(Monitor *m, Err *e)
{
	const char *run_root = arena_printf(&m->arena, "%s/..", m->config.sockets);
	if (!m->config.attendant.n) return 0;
	if (!run_root) return err_sys(e, ENOMEM, "attend the container");
	attendance_start(&m->attendance, &m->loop,
			 &(AttendanceOptions){ run_root, &m->config.attendant, m->config.id, { m->names[0], m->names[1] } });
	return 0;
}

int monitor_device(Monitor *m, int index, Err *e)
{
	U32List *l = &m->config.devices;
	uint32_t *items = arena_array(&m->arena, l->n + 1, sizeof *items);
	if (!items || index <= 0) return err_sys(e, items ? EINVAL : ENOMEM, "one more device of the container");
	if (l->n) memcpy(items, l->items, l->n * sizeof *items);
	items[l->n] = (uint32_t)index;
	*l = (U32List){ items, l->n + 1 };
	return 0;
}

int monitor_names(Monitor *m, int *fds, size_t n_fds, Err *e)
{
	if (n_fds != ARRAY_LEN(m->names) || !m->config.attendant.n || m->ended)
		return err_set(e, ERR_STATE, EINVAL, "container %s has no networks on which names are answered", m->config.id);
	attendance_stop(&m->attendance);
	m->attendance = (Attendance){ 0 };
	for (size_t i = 0; i < n_fds; i++) {
		fd_close(m->names[i]);
		m->names[i] = take_fd(fds[i]);
	}
	return attend_networks(m, e);
}

static int attend(Monitor *m, Err *e)
{
	int r = stdio_attend(m, e);
	if (r >= 0 && (r = loop_exit_add(&m->loop, &m->exit, m->process.pidfd, init_exited, m)) < 0)
		r = err_sys(e, -r, "attend the container");
	if (r < 0 || (r = watch_oom(m, e)) < 0) return r;
	health_start(m);
	if ((r = attend_networks(m, e)) < 0) return r;
	give_back_memory();
	return 0;
}

/* It could not be started. The exit status is what docker gives: 127 for a program that is not there, 126 for one that is none. */
static void tell_failure(Monitor *m, Client *starter, Err *e)
{
	static const char framed[] = "unable to start container process: ";
	if (starts_with(e->msg, framed)) memmove(e->msg, e->msg + sizeof framed - 1, strlen(e->msg) - sizeof framed + 2);
	m->state.status = m->state.started_at ? RUN_EXITED : RUN_CREATED;
	m->state.exit_code = e->code == ERR_NO_COMMAND ? 127 : e->code == ERR_NOT_EXECUTABLE ? 126 : 128;
	m->state.error = e->msg;
	m->state.health = NULL;
	m->state.pid = 0;
	m->state.finished_at = m->state.started_at ? time_now() : 0;
	(void)!monitor_save(m);
	client_tell_error(starter, e);
}

/* In place of this process; its socket is gone by then. */
static void become(const Monitor *m, const StrList *command)
{
	if (!command->n) return;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)!fd_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "0");
	execve(command->items[0], (char *const *)(uintptr_t)command->items, environ);
}

/* For that command, where it looks for it. */
static int leave_lock(const Monitor *m)
{
	return m->lock == MONITOR_LOCK ? fcntl(m->lock, F_SETFD, 0) : dup2(m->lock, MONITOR_LOCK);
}

/* ---- removal ---- */

void monitor_promise(Monitor *m, const Client *promiser, const char *set_aside)
{
	m->promiser = promiser;
	m->set_aside = set_aside;
	if (m->awaits_promise && !promiser) loop_stop(&m->loop, 0);
}

static void too_late(void *arg)
{
	Monitor *m = arg;
	loop_stop(&m->loop, 0);
}

/* Who has promised to remove the container does it now, or is killed before. */
static void await_promise(Monitor *m)
{
	LoopTimer patience = { 0 };
	m->awaits_promise = true;
	loop_timer_set(&m->loop, &patience, time_monotonic() + PROMISE_SECONDS * DURATION_SECOND, too_late, m);
	if (m->promiser) (void)!loop_run(&m->loop);
	loop_timer_cancel(&patience);
}

static void remove_files(const Monitor *m)
{
	AUTO_FD int aside = openat(m->root_dir, "ingest", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* two at one tree would trip over each other: who sweeps locks it, too */
	if (aside >= 0 && flock(m->dir, LOCK_EX | LOCK_NB) == 0) (void)!tree_remove(aside, m->set_aside);
}

static int live(Monitor *m, Client *starter, Err *e)
{
	int r = health_open(m, e); /* who is told that the container runs reads how it is, too */
	if (r >= 0) r = launch(m, starter, e);
	if (r < 0) {
		withdraw_layers(m);
		release_volumes(m);
		m->rules = network_hold_release(&m->config, m->ports, m->n_ports);
		tell_failure(m, starter, e);
		return r;
	}
	remember_start(m);
	client_tell(starter, WIRE_STARTED, m->process.pid, 0, NULL, 0);
	(void)!fd_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "-999"); /* without the privilege it stays what it is */
	if ((r = attend(m, e)) < 0) {
		Err ignored = ERR_INIT;
		(void)!send_signal(m, SIGKILL, &ignored);
		(void)!pid_wait(m->process.pidfd, &m->status);
		m->status = 255;
		tell_failure(m, starter, e);
		clean_up(m);
		return r;
	}
	return loop_run(&m->loop);
}

/* The end of what is too long tells more. */
static void set_title(char *title, const char *dir)
{
	size_t room = strlen(title), n = strlen(dir);
	if (n > room) dir += n - room;
	memset(title, 0, room);
	memcpy(title, dir, n < room ? n : room);
}

int monitor_run(int control, int begin_socket, char *title, Err *e)
{
	static Monitor m;
	Client *starter = NULL;
	MonitorBegin begin;
	m = (Monitor){ .arena = ARENA_INIT(ARENA_MAX),
		       .dir = -1,
		       .lock = -1,
		       .root = -1,
		       .spec = -1,
		       .layers = -1,
		       .netns = -1,
		       .userns = -1,
		       .names = { -1, -1 },
		       .root_dir = -1,
		       .log = { .fd = -1, .level = LOG_WARN },
		       .process = { .pidfd = -1, .pty = -1 },
		       .input = { .fd = -1 },
		       .output = { { .fd = -1 }, { .fd = -1 } },
		       .listen = -1,
		       .oom = OOM_WATCH_INIT };
	(void)!prctl(PR_SET_NAME, "skep-monitor");
	signal(SIGPIPE, SIG_IGN);
	(void)!prctl(PR_SET_CHILD_SUBREAPER, 1);
	int r = loop_init(&m.loop);
	if (r < 0) return err_sys(e, -r, "start the loop");
	if ((r = begin_receive(begin_socket, &m.arena, &begin, e)) <= 0) return r;
	fd_close(begin_socket);
	set_title(title, begin.dir);
	m.lock = begin.lock;
	m.root = begin.root;
	m.spec = begin.spec;
	m.layers = begin.layers;
	m.netns = begin.netns;
	m.sources = begin.sources;
	m.n_sources = begin.n_sources;
	m.userns = begin.userns;
	m.names[0] = begin.names[0];
	m.names[1] = begin.names[1];
	m.ports = begin.ports;
	m.n_ports = begin.n_ports;
	m.dir = openat(AT_FDCWD, begin.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m.dir < 0 || fchdir(m.dir) < 0) return err_sys(e, errno, "open %s", begin.dir);
	r = read_files(&m, begin.config, e);
	fd_close(begin.config);
	if (r < 0) return r;
	if (m.layers >= 0 && m.config.layers) shared_layers_offer(m.config.layers, m.layers, m.offered);
	if ((r = client_add(&m, control, &starter)) < 0) return err_sys(e, -r, "attend the starter");
	if ((r = clients_listen(&m, e)) < 0 || (r = watch_signals(&m, e)) < 0) {
		client_tell_error(starter, e);
		return r;
	}
	r = live(&m, starter, e);
	bool again = r == 1;
	if (!again) {
		if (m.state.status == RUN_RESTARTING) {
			m.state.status = RUN_EXITED;
			(void)!monitor_save(&m);
		}
		clients_tell_all(&m, WIRE_GONE, 0, 0, true);
	}
	clients_unlisten(&m); /* before the lock is free: the next monitor's socket has the same name */
	if (!again) m.lock = fd_close(m.lock);
	if (!again && r >= 0 && m.promiser) await_promise(&m);
	const char *set_aside = m.set_aside;
	clients_close(&m);
	if (again && leave_lock(&m) >= 0)
		become(&m, &m.config.again); /* which has the lock from us: nobody must think that the monitor was lost */
	else if (r >= 0 && set_aside)
		remove_files(&m);
	else if (r >= 0 && !m.kept)
		become(&m, &m.config.remove);
	return r < 0 ? r : 0;
}
