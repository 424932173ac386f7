/* stats.c: see stats.h. The numbers are those of sys/cgroup_stats.c, so that v1 and v2 are read in one place. */
#include "engine/stats.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "base/time.h"
#include "engine/box.h"
#include "engine/start.h"

enum { STATS_MAX = 4 << 20, STATE_ARENA = 1 << 20, NET_DEV_MAX = 1 << 20, PATH_ROOM = 64 };

static uint64_t number(const JsonValue *of, const char *name)
{
	const JsonValue *v = json_get(of, name);
	return !v ? 0 : v->type == JSON_INT && v->i > 0 ? (uint64_t)v->i : v->type == JSON_UINT ? v->u : 0;
}

static void read_memory(const JsonValue *memory, bool v2, StatsSample *s)
{
	struct sysinfo machine = { 0 };
	const JsonValue *usage = json_get(memory, "usage"), *raw = json_get(memory, "raw");
	uint64_t idle = number(raw, v2 ? "inactive_file" : "total_inactive_file");
	(void)!sysinfo(&machine);
	uint64_t all = (uint64_t)machine.totalram * machine.mem_unit;
	s->memory = number(usage, "usage");
	if (idle < s->memory) s->memory -= idle;
	s->memory_limit = number(usage, "limit");
	if (!s->memory_limit || s->memory_limit > all) s->memory_limit = all;
}

static void read_block(const JsonValue *blkio, StatsSample *s)
{
	const JsonValue *list = json_get(blkio, "ioServiceBytesRecursive");
	for (size_t i = 0; list && list->type == JSON_ARRAY && i < list->n; i++) {
		const JsonValue *op = json_get(&list->items[i], "op");
		if (!op || op->type != JSON_STRING) continue;
		if (strcasecmp(op->s, "read") == 0) s->read += number(&list->items[i], "value");
		if (strcasecmp(op->s, "write") == 0) s->written += number(&list->items[i], "value");
	}
}

static int read_cgroup(Box *b, StatsSample *s, Err *e)
{
	AUTO_BUF text = BUF_INIT(STATS_MAX);
	JsonWriter w = JSON_WRITER(&text);
	JsonValue v;
	const Cgroup *cg = &b->container.state.cgroup;
	int r = cgroup_stats_write(cg, &w, e);
	if (r < 0) return r;
	char *copy = buf_failed(&text) ? NULL : arena_str(&b->arena, (Str){ text.p, text.n });
	if (!copy) return err_sys(e, ENOMEM, "stats");
	if ((r = json_parse(copy, text.n, &b->arena, &v, e)) < 0) return r;
	s->cpu = number(json_get(json_get(&v, "cpu"), "usage"), "total");
	s->processes = number(json_get(&v, "pids"), "current");
	read_memory(json_get(&v, "memory"), cg->layout == CGROUP_V2, s);
	read_block(json_get(&v, "blkio"), s);
	return 0;
}

/* "  eth0: 1296  16 0 0 0 0 0 0  1296 16 …": received bytes, and behind seven more columns sent ones. */
void stats_network_parse(Str text, StatsSample *to)
{
	Str line, device, rest, word;
	while (str_next(&text, '\n', &line)) {
		uint64_t values[9] = { 0 };
		size_t n = 0;
		if (!str_cut(line, ':', &device, &rest) || str_eq(str_trim(device), "lo")) continue;
		while (n < ARRAY_LEN(values) && str_next(&rest, ' ', &word))
			if (word.n && str_to_u64(word, &values[n]) >= 0) n++;
		to->received += values[0];
		to->sent += values[8];
	}
}

static bool has_own_network(int64_t pid)
{
	char path[PATH_ROOM];
	struct stat own, its;
	snprintf(path, sizeof path, "/proc/%lld/ns/net", (long long)pid);
	return stat(path, &its) == 0 && stat("/proc/self/ns/net", &own) == 0 && (own.st_ino != its.st_ino || own.st_dev != its.st_dev);
}

static void read_network(Box *b, StatsSample *s)
{
	char path[PATH_ROOM], *text;
	size_t n;
	Err ignored = ERR_INIT;
	int64_t pid = b->container.state.pid;
	if (!has_own_network(pid)) return;
	snprintf(path, sizeof path, "/proc/%lld/net/dev", (long long)pid);
	if (fd_read_file(AT_FDCWD, path, NET_DEV_MAX, &b->arena, &text, &n, &ignored) >= 0) stats_network_parse((Str){ text, n }, s);
}

int engine_stats(Engine *g, const Record *c, StatsSample *ret, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(STATE_ARENA);
	AUTO_BOX b = BOX_INIT;
	RunState state;
	Err gone = ERR_INIT;
	*ret = (StatsSample){ .at = time_monotonic() };
	int r = engine_state(g, c, &a, &state, e);
	if (r < 0 || state.status != RUN_RUNNING) return r;
	r = box_load(g, c, &b, &gone);
	if (r >= 0) r = read_cgroup(&b, ret, &gone);
	if (r < 0) { /* it has ended meanwhile */
		*ret = (StatsSample){ .at = ret->at };
		return r == -ENOMEM ? err_sys(e, ENOMEM, "stats") : 0;
	}
	read_network(&b, ret);
	ret->runs = true;
	return 0;
}

double stats_cpu_percent(const StatsSample *before, const StatsSample *now)
{
	if (!before->runs || !now->runs || now->cpu <= before->cpu || now->at <= before->at) return 0;
	return (double)(now->cpu - before->cpu) / (double)(now->at - before->at) * 100;
}

double stats_memory_percent(const StatsSample *s)
{
	return s->memory_limit ? (double)s->memory / (double)s->memory_limit * 100 : 0;
}
