/* cmd_events.c: events: statistics and out-of-memory notices, a JSON document a line. */
#include <limits.h>
#include <poll.h>

#include "base/time.h"
#include "cli/runtime/commands.h"
#include "sys/proc.h"

enum { OUTPUT_MAX = 16 * 1024 * 1024 };

/* Go's durations: "5s", "1m30s", "100ms"; *ret in ns. */
static int parse_duration(const char *text, int64_t *ret, Err *e)
{
	static const struct {
		const char *unit;
		int64_t ns;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { "m", 60000000000 }, { "h", 3600000000000 } };
	int64_t total = 0;
	const char *p = text;
	while (*p) {
		size_t digits = strspn(p, "0123456789"), letters = strspn(p + digits, "nmush");
		uint64_t n;
		int64_t unit = 0, part;
		for (size_t i = 0; i < ARRAY_LEN(units); i++)
			if (strlen(units[i].unit) == letters && memcmp(units[i].unit, p + digits, letters) == 0) unit = units[i].ns;
		if (!unit || str_to_u64((Str){ p, digits }, &n) < 0 || __builtin_mul_overflow(n, unit, &part) ||
		    __builtin_add_overflow(total, part, &total))
			return err_set(e, ERR_USAGE, EINVAL, "--interval: expected a duration such as 5s or 100ms, got \"%.32s\"", text);
		p += digits + letters;
	}
	if (total <= 0) return err_set(e, ERR_USAGE, EINVAL, "--interval: duration must be greater than 0");
	*ret = total;
	return 0;
}

static int print_event(const Container *c, const char *type, bool stats, Err *e)
{
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	JsonWriter w = JSON_WRITER(&out);
	json_begin_object(&w);
	json_put_string(&w, "type", type);
	json_put_string(&w, "id", c->state.id);
	if (stats) {
		json_key(&w, "data");
		int r = cgroup_stats_write(&c->state.cgroup, &w, e);
		if (r < 0) return r;
	}
	json_end_object(&w);
	buf_putc(&out, '\n');
	return print_buf(&out, e);
}

static int print_kills(const Container *c, OomWatch *oom, Err *e)
{
	int kills = oom->fd >= 0 ? cgroup_oom_take(oom) : 0, r = 0;
	for (int i = 0; i < kills && r == 0; i++)
		r = print_event(c, "oom", false, e);
	return r;
}

/* How long to wait, in ms as poll() wants them. */
static int patience(int64_t next, const OomWatch *oom)
{
	int64_t left = next - time_monotonic(), ms = left > 0 ? left / 1000000 + 1 : 0;
	if (cgroup_oom_owes(oom) && ms > OOM_RECHECK_MS) return OOM_RECHECK_MS;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static int stream(const Container *c, int pidfd, int64_t interval, Err *e)
{
	Err no_oom = ERR_INIT;
	AUTO_OOM_WATCH oom = OOM_WATCH_INIT;
	int64_t next = time_monotonic() + interval;
	int r = cgroup_oom_watch(&c->state.cgroup, &oom, &no_oom);
	if (r < 0) log_write(c->rt->log, LOG_WARN, "no out-of-memory notices: %s", no_oom.msg);
	for (;;) {
		struct pollfd p[2] = { { pidfd, POLLIN, 0 }, { oom.fd, POLLIN, 0 } };
		if (poll(p, 2, patience(next, &oom)) < 0 && errno != EINTR) return err_sys(e, errno, "events");
		/* After the poll that saw the end: the kill that ended it is counted by then. */
		if ((r = print_kills(c, &oom, e)) < 0) return r;
		if (p[0].revents) return 0;
		if (time_monotonic() < next) continue;
		next += interval;
		r = print_event(c, "stats", true, e);
		if (r == -ENOENT) return 0;
		if (r < 0) return r;
	}
}

int events_run(Invocation *in, Err *e)
{
	AUTO_CONTAINER c = { .dir = -1 };
	int64_t interval = INT64_C(5000000000);
	const char *text = option_value(in, "interval");
	int r = text ? parse_duration(text, &interval, e) : 0;
	if (r < 0 || (r = container_load(runtime_of(in), in->args.items[0], in->arena, &c, e)) < 0) return r;
	AUTO_FD int pidfd = container_pidfd(&c);
	if (pidfd < 0 || container_status(&c) == STATUS_STOPPED)
		return err_set(e, ERR_STATE, ESRCH, "container with id %s is not running", c.state.id);
	if (option_switch(in, "stats")) return print_event(&c, "stats", true, e);
	return stream(&c, pidfd, interval, e);
}
