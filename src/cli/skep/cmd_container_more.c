/* cmd_container_more.c: update, port, prune, boot. */
#include "base/duration.h"
#include "base/time.h"
#include "cli/skep/confirm.h"
#include "cli/skep/container_options.h"
#include "cli/skep/containers.h"
#include "engine/boot.h"
#include "engine/control.h"
#include "engine/start.h"
#include "engine/update.h"
#include "engine/view.h"
#include "sys/fd.h"

enum { OUTPUT_MAX = 16 << 20 };

/* ---- update ---- */

static int update_one(Engine *g, const Record *c, void *arg, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(64 << 20);
	StrList warnings = { 0 };
	int r = engine_update(g, c, arg, &a, &warnings, e);
	for (size_t i = 0; r >= 0 && i < warnings.n; i++)
		dprintf(2, "WARNING: %s\n", warnings.items[i]);
	return r;
}

int container_update_run(Invocation *in, Err *e)
{
	HostConfig change;
	int r = update_options_parse(in, &change, e);
	return r < 0 ? r : each_container(in, &(EachContainer){ .fn = update_one, .arg = &change }, e);
}

/* ---- port ---- */

int container_port_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	Record c;
	int r = skep_engine(in, &g, e);
	if (r < 0 || (r = record_find(&g, in->args.items[0], in->arena, &c, e)) < 0) return r;
	if (in->args.n < 2) return 0; /* none is published before there are networks */
	return err_set(e, ERR_NOT_FOUND, ENOENT, "no public port '%s' published for %s", in->args.items[1], in->args.items[0]);
}

/* ---- prune ---- */

/* "24h" ago, or a point in time. */
static int parse_until(Str text, int64_t *ret, Err *e)
{
	int64_t length;
	Err ignored = ERR_INIT;
	if (time_parse(text, ret) >= 0) return 0;
	if (duration_parse(text, &length, &ignored) < 0)
		return err_set(e, ERR_USAGE, EINVAL, "failed to parse value as time or duration: \"%.*s\"", (int)text.n, text.p);
	*ret = time_now() - length;
	return 0;
}

static bool has_label(const Record *c, Str want)
{
	Str key, value;
	bool with_value = str_cut(want, '=', &key, &value);
	for (size_t i = 0; i < c->config.labels.n; i++)
		if (str_eq(key, c->config.labels.items[i].key) && (!with_value || str_eq(value, c->config.labels.items[i].value)))
			return true;
	return false;
}

static int passes(const Invocation *in, const Record *c, Err *e)
{
	const StrList *filters = option_list(in, "filter");
	for (size_t i = 0; i < filters->n; i++) {
		Str key, value;
		int64_t until = 0;
		if (!str_cut(str_of(filters->items[i]), '=', &key, &value))
			return err_set(e, ERR_USAGE, EINVAL, "invalid argument \"%s\" for \"--filter\" flag: invalid filter '%s'",
				       filters->items[i], filters->items[i]);
		if (str_eq(key, "until")) {
			int r = parse_until(value, &until, e);
			if (r < 0) return r;
			if (c->created >= until) return 0;
		} else if (str_eq(key, "label")) {
			if (!has_label(c, value)) return 0;
		} else if (str_eq(key, "label!")) {
			if (has_label(c, value)) return 0;
		} else {
			return err_set(e, ERR_USAGE, EINVAL, "invalid filter '%.*s'", (int)key.n, key.p);
		}
	}
	return 1;
}

static int prune_one(Invocation *in, Engine *g, const Record *c, Buf *out, Err *e)
{
	ContainerView v;
	int r = container_view(g, c, in->arena, &v, e);
	if (r < 0) return r;
	if (v.state.status == RUN_RUNNING || v.state.status == RUN_RESTARTING) return 0;
	if ((r = passes(in, c, e)) <= 0) return r;
	if ((r = engine_remove(g, c, &(RemoveOptions){ .volumes = false }, e)) < 0) return r;
	buf_printf(out, "%s\n", c->id);
	return 0;
}

int prune_containers(Invocation *in, Engine *g, Buf *out, Err *e)
{
	RecordList l;
	int r = record_list(g, in->arena, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++)
		r = prune_one(in, g, &l.items[i], out, e);
	if (r < 0) return r;
	return engine_sweep(g, e);
}

int container_prune_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	AUTO_BUF ids = BUF_INIT(OUTPUT_MAX), out = BUF_INIT(OUTPUT_MAX);
	if (!confirmed(in, "WARNING! This will remove all stopped containers.")) return 0;
	int r = skep_engine(in, &g, e);
	if (r < 0 || (r = prune_containers(in, &g, &ids, e)) < 0) return r;
	if (ids.n) buf_printf(&out, "Deleted Containers:\n%s\n", buf_str(&ids));
	buf_puts(&out, "Total reclaimed space: 0B\n");
	return print_buf(&out, e);
}

/* ---- boot ---- */

static int boot_one(Engine *g, const Record *c, Arena *a, Err *e)
{
	RunState s;
	int sock = -1, r = engine_state(g, c, a, &s, e);
	if (r < 0) return r == -ENOENT ? 0 : r;
	if (s.status == RUN_RUNNING) return 0;
	if (c->host.auto_remove && s.status != RUN_CREATED) /* whose monitor had no time for it */
		return engine_remove(g, c, &(RemoveOptions){ .volumes = true }, e);
	if (!engine_should_boot(c, &s)) return 0;
	r = engine_start(g, c, &(StartOptions){ 0 }, a, &sock, e);
	fd_close(sock);
	if (r < 0) return r == -EALREADY ? 0 : r;
	return dprintf(1, "%s\n", c->name) < 0 ? err_sys(e, errno, "write to standard output") : 0;
}

int boot_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	RecordList l;
	int status = 0, r = skep_engine(in, &g, e);
	if (r < 0 || (r = engine_sweep(&g, e)) < 0 || (r = record_list(&g, in->arena, &l, e)) < 0) return r;
	for (size_t i = l.n; i > 0; i--) { /* the oldest first */
		Err why = ERR_INIT;
		if (boot_one(&g, &l.items[i - 1], in->arena, &why) >= 0) continue;
		err_wrap(&why, "boot %s", l.items[i - 1].name);
		tell_failure(in, &why);
		status = 1;
	}
	return status;
}
