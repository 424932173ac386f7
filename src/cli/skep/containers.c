/* containers.c: see containers.h. */
#include "cli/skep/containers.h"

#include <unistd.h>

#include "engine/attach.h"
#include "engine/control.h"
#include "engine/start.h"
#include "sys/fd.h"

enum { OUTPUT_MAX = 16 << 20 };

static void tell_lost(const void *arg, const char *message)
{
	const Invocation *in = arg;
	log_write(&in->log, LOG_WARN, "%s", message);
}

int skep_engine(const Invocation *in, Engine *ret, Err *e)
{
	int r = engine_open(skep_of(in)->root, skep_of(in)->run_root, ret, e);
	ret->lost = tell_lost;
	ret->arg = in;
	return r;
}

void tell_failure(const Invocation *in, const Err *e)
{
	if (in->log.json)
		log_write(&in->log, LOG_ERROR, "%s", e->msg);
	else
		dprintf(2, "%s\n", e->msg);
}

/* One of them: 0, 1 when it has failed. */
static int do_one(Invocation *in, Engine *g, const EachContainer *each, const char *name)
{
	AUTO_ARENA a = ARENA_INIT(64 << 20);
	Err why = ERR_INIT;
	Record c;
	int r = record_find(g, name, &a, &c, &why);
	if (r >= 0) r = each->fn(g, &c, each->arg, &why);
	if (r >= 0) return 0;
	bool missing = r == -ENOENT; /* or removed by somebody else meanwhile */
	if (each->frame) err_wrap(&why, "%s: %s", each->frame, name);
	tell_failure(in, &why);
	return missing && each->missing_is_well ? -1 : 1;
}

int each_container(Invocation *in, const EachContainer *each, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	AUTO_BUF failed = BUF_INIT(OUTPUT_MAX);
	int status = 0, r = skep_engine(in, &g, e);
	if (r < 0) return r;
	for (size_t i = 0; i < in->args.n; i++) {
		const char *name = in->args.items[i];
		int one = do_one(in, &g, each, name);
		if (one > 0) {
			status = 1;
			buf_printf(&failed, failed.n ? ", %s" : "%s", name);
		}
		if (!one && dprintf(1, "%s\n", name) < 0) return err_sys(e, errno, "write to standard output");
	}
	if (status && each->summary) dprintf(2, "Error: %s: %s\n", each->summary, buf_str(&failed));
	return status;
}

int check_input(bool input, bool tty, Err *e)
{
	if (!input || !tty || isatty(0)) return 0;
	return err_set(e, ERR_USAGE, ENOTTY, "the input device is not a TTY");
}

int foreground_run(const Invocation *in, Engine *g, const Record *c, int sock, bool input, const char *detach_keys, bool sig_proxy,
		   bool remove, Err *e)
{
	AttachOptions o = { .tty = c->config.tty, .input = input, .forward_signals = sig_proxy && !c->config.tty };
	AttachEnd end = ATTACH_LOST;
	int status = 0, r = detach_keys_parse(detach_keys, &o.keys, e);
	if (r >= 0) r = attach_run(sock, &o, &status, &end, e);
	if (r < 0) return r;
	if (end == ATTACH_DETACHED) return err_set(e, ERR_STATE, ECANCELED, "read escape sequence");
	if (end == ATTACH_EXITED && remove) {
		r = engine_discard(g, c, sock, e);
		return r < 0 && r != -ENOENT ? r : status;
	}
	if (end == ATTACH_LOST) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		RunState s;
		/* somebody else may just be ending what is left of it */
		if ((r = engine_wait(g, c, WAIT_NOT_RUNNING, &status, e)) < 0 || (r = engine_state(g, c, &a, &s, e)) < 0) return r;
		if (s.error) dprintf(2, "skep: container %s: %s\n", c->name, s.error);
		status = s.exit_code;
	}
	if (remove && (r = engine_remove(g, c, &(RemoveOptions){ .volumes = true }, e)) < 0 && r != -ENOENT) return r;
	return status;
}
