/* cmd_container.c: stop, restart, kill, pause, unpause, wait, rm, rename: what is done to containers that are there. */
#include <signal.h>

#include "cli/skep/containers.h"
#include "engine/control.h"
#include "engine/start.h"
#include "sys/proc.h"

/* --signal; 0: not given. */
static int signal_option(const Invocation *in, Err *e)
{
	const char *text = option_value(in, "signal");
	if (!text || !*text) return 0;
	int n = signal_by_name(text);
	return n > 0 ? n : err_set(e, ERR_USAGE, EINVAL, "Invalid signal: %s", text);
}

typedef struct StopArgs {
	int timeout, signal;
} StopArgs;

static int stop_args(const Invocation *in, StopArgs *ret, Err *e)
{
	ret->timeout = option_is_set(in, "timeout") ? (int)option_number(in, "timeout") : WIRE_DEFAULT;
	if (option_is_set(in, "time")) ret->timeout = (int)option_number(in, "time");
	ret->signal = signal_option(in, e);
	return ret->signal < 0 ? ret->signal : 0;
}

static int stop_one(Engine *g, const Record *c, void *arg, Err *e)
{
	const StopArgs *s = arg;
	return engine_stop(g, c, s->timeout, s->signal, e);
}

int container_stop_run(Invocation *in, Err *e)
{
	StopArgs s;
	int r = stop_args(in, &s, e);
	return r < 0 ? r : each_container(in, &(EachContainer){ .fn = stop_one, .arg = &s }, e);
}

static int restart_one(Engine *g, const Record *c, void *arg, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(64 << 20);
	AUTO_FD int keeping = -1;
	int sock = -1, r = c->host.auto_remove ? engine_keep(g, c, &keeping, e) : 0;
	if (r >= 0) r = stop_one(g, c, arg, e);
	if (r < 0 || (r = engine_start(g, c, &(StartOptions){ 0 }, &a, &sock, e)) < 0) return r;
	fd_close(sock);
	record_event(g, c, "restart", NULL, NULL);
	return 0;
}

int container_restart_run(Invocation *in, Err *e)
{
	StopArgs s;
	int r = stop_args(in, &s, e);
	return r < 0 ? r : each_container(in, &(EachContainer){ .fn = restart_one, .arg = &s }, e);
}

static int kill_one(Engine *g, const Record *c, void *arg, Err *e)
{
	return engine_kill(g, c, *(int *)arg, e);
}

/* What docker's daemon says of a signal that it does not know. */
static int bad_signal(const Invocation *in, const char *text, Err *e)
{
	int64_t number;
	const char *first = in->args.items[0];
	if (str_to_i64(str_of(text), &number) >= 0 && number > 0)
		return err_set(e, ERR_USAGE, EINVAL, "cannot kill container: %s: the linux daemon does not support signal %lld", first,
			       (long long)number);
	return err_set(e, ERR_USAGE, EINVAL, "cannot kill container: %s: invalid signal: %s", first, text);
}

int container_kill_run(Invocation *in, Err *e)
{
	const char *text = option_value(in, "signal");
	int n = text && *text ? signal_by_name(text) : SIGKILL;
	if (n <= 0) return bad_signal(in, text, e);
	return each_container(in, &(EachContainer){ .fn = kill_one, .arg = &n, .frame = "cannot kill container" }, e);
}

static int pause_one(Engine *g, const Record *c, void *arg, Err *e)
{
	return engine_pause(g, c, *(bool *)arg, e);
}

int container_pause_run(Invocation *in, Err *e)
{
	bool pause = true;
	return each_container(in, &(EachContainer){ .fn = pause_one, .arg = &pause }, e);
}

int container_unpause_run(Invocation *in, Err *e)
{
	bool pause = false;
	return each_container(in, &(EachContainer){ .fn = pause_one, .arg = &pause }, e);
}

/* Prints statuses, not names. */
int container_wait_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	int status = 0, r = skep_engine(in, &g, e);
	if (r < 0) return r;
	for (size_t i = 0; i < in->args.n; i++) {
		Err why = ERR_INIT;
		Record c;
		int code = 0;
		r = record_find(&g, in->args.items[i], in->arena, &c, &why);
		if (r >= 0) r = engine_wait(&g, &c, WAIT_NOT_RUNNING, &code, &why);
		if (r < 0) {
			tell_failure(in, &why);
			status = 1;
		} else if (dprintf(1, "%d\n", code) < 0) {
			return err_sys(e, errno, "write to standard output");
		}
	}
	return status;
}

static int remove_one(Engine *g, const Record *c, void *arg, Err *e)
{
	return engine_remove(g, c, arg, e);
}

int container_rm_run(Invocation *in, Err *e)
{
	RemoveOptions o = { .force = option_switch(in, "force"), .volumes = option_switch(in, "volumes") };
	if (option_switch(in, "link"))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "--link: links between containers come with the networks, which are not there yet");
	return each_container(in, &(EachContainer){ .fn = remove_one, .arg = &o, .missing_is_well = o.force }, e);
}

static int rename_one(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	Record c;
	int r = skep_engine(in, &g, e);
	if (r < 0 || (r = record_find(&g, in->args.items[0], in->arena, &c, e)) < 0) return r;
	return engine_rename(&g, &c, in->args.items[1], e);
}

int container_rename_run(Invocation *in, Err *e)
{
	int r = rename_one(in, e);
	if (r >= 0) return 0;
	tell_failure(in, e);
	return err_set(e, e->code, e->errnum, "Error: failed to rename container named %s", in->args.items[0]);
}
