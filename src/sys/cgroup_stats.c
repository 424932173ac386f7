/* cgroup_stats.c: the statistics object of `events --stats`: names, order and omissions are those of runc's types/events.go
 * (a zero is left out where Go's "omitempty" leaves it out), numbers as the kernel gives them, times in nanoseconds. A file
 * that the kernel does not have counts as zero. */
#include "sys/cgroup_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

enum { FILE_MAX = 4 << 20, CPU_NUMBERS_MAX = 65536 };

typedef struct Stats {
	const Cgroup *cg;
	JsonWriter *w;
	Buf text; /* of the file read last */
} Stats;

/* ---- reading ---- */

static bool stats_read(Stats *s, const char *dir, const char *name, Str *ret)
{
	char path[CGROUP_PATH_MAX];
	buf_reset(&s->text);
	*ret = (Str){ "", 0 };
	if (!dir || cgroup_file(path, dir, name) < 0) return false;
	AUTO_FD int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fd_read_all(fd, &s->text) < 0) return false;
	*ret = (Str){ buf_str(&s->text), s->text.n };
	return true;
}

static uint64_t number(const char *dir, const char *name)
{
	uint64_t v = 0;
	return dir && cgroup_get_u64(dir, name, &v) >= 0 ? v : 0;
}

/* The next "key value" line. */
static bool next_pair(Str *rest, Str *key, uint64_t *value)
{
	Str line, text;
	while (str_next(rest, '\n', &line))
		if (str_cut(line, ' ', key, &text) && str_to_u64(text, value) >= 0) return true;
	return false;
}

static bool next_word(Str *rest, Str *word)
{
	while (str_next(rest, ' ', word))
		if (word->n) return true;
	return false;
}

/* ---- writing ---- */

static void put_nonzero(JsonWriter *w, const char *key, uint64_t v)
{
	if (v) json_put_uint(w, key, v);
}

static void put_pressure_line(JsonWriter *w, Str line)
{
	Str word, key, value;
	json_begin_object(w);
	while (next_word(&line, &word)) {
		char text[32], name[16];
		if (!str_cut(word, '=', &key, &value) || key.n >= sizeof name || value.n >= sizeof text) continue;
		snprintf(name, sizeof name, "%.*s", (int)key.n, key.p);
		snprintf(text, sizeof text, "%.*s", (int)value.n, value.p);
		uint64_t whole;
		double v = strtod(text, NULL);
		json_key(w, name);
		if (str_to_u64(value, &whole) >= 0 || (double)(whole = (uint64_t)v) == v)
			json_uint(w, whole); /* "0.00" is written as 0, like Go does */
		else
			json_double(w, v);
	}
	json_end_object(w);
}

/* Pressure stall information; nothing when the kernel has none or does not want to tell. */
static void put_pressure(Stats *s, const char *dir, const char *file)
{
	Str rest, line, kind, numbers;
	if (s->cg->layout != CGROUP_V2 || !stats_read(s, dir, file, &rest)) return;
	json_key(s->w, "psi");
	json_begin_object(s->w);
	while (str_next(&rest, '\n', &line)) {
		if (!str_cut(line, ' ', &kind, &numbers) || !(str_eq(kind, "some") || str_eq(kind, "full"))) continue;
		json_key(s->w, str_eq(kind, "some") ? "some" : "full");
		put_pressure_line(s->w, numbers);
	}
	json_end_object(s->w);
}

/* ---- cpu ---- */

static void put_percpu(Stats *s, const char *dir)
{
	Str rest, word;
	uint64_t v;
	if (!stats_read(s, dir, "cpuacct.usage_percpu", &rest)) return;
	rest = str_trim(rest);
	if (!rest.n) return;
	json_key(s->w, "percpu");
	json_begin_array(s->w);
	while (next_word(&rest, &word))
		if (str_to_u64(word, &v) >= 0) json_uint(s->w, v);
	json_end_array(s->w);
}

/* One column of cpuacct.usage_all: "cpu user system". */
static void put_column(Stats *s, const char *dir, const char *key, int column)
{
	Str rest, line, word = { 0 };
	uint64_t v;
	if (!stats_read(s, dir, "cpuacct.usage_all", &rest) || !str_next(&rest, '\n', &line)) return;
	json_key(s->w, key);
	json_begin_array(s->w);
	while (str_next(&rest, '\n', &line)) {
		int i = 0;
		while (i <= column && next_word(&line, &word))
			i++;
		if (i > column && str_to_u64(word, &v) >= 0) json_uint(s->w, v);
	}
	json_end_array(s->w);
}

static void put_usage_v1(Stats *s)
{
	enum { NS_PER_TICK = 10000000 }; /* USER_HZ is 100 on every architecture we build for */
	const char *dir = cgroup_path_v1(s->cg, "cpuacct");
	Str rest, key;
	uint64_t v, user = 0, kernel = 0;
	if (!stats_read(s, dir, "cpuacct.stat", &rest)) return;
	while (next_pair(&rest, &key, &v))
		*(str_eq(key, "user") ? &user : &kernel) = v * NS_PER_TICK;
	json_key(s->w, "usage");
	json_begin_object(s->w);
	put_nonzero(s->w, "total", number(dir, "cpuacct.usage"));
	put_percpu(s, dir);
	put_column(s, dir, "percpu_kernel", 2);
	put_column(s, dir, "percpu_user", 1);
	json_put_uint(s->w, "kernel", kernel);
	json_put_uint(s->w, "user", user);
	json_end_object(s->w);
}

typedef struct CpuNumbers {
	uint64_t total, user, kernel, periods, throttled, throttled_time;
} CpuNumbers;

static void read_cpu_stat(Stats *s, const char *dir, CpuNumbers *n)
{
	const struct {
		const char *key;
		uint64_t *to, unit;
	} keys[] = {
		{ "usage_usec", &n->total, 1000 },           { "user_usec", &n->user, 1000 },
		{ "system_usec", &n->kernel, 1000 },         { "nr_periods", &n->periods, 1 },
		{ "nr_throttled", &n->throttled, 1 },        { "throttled_usec", &n->throttled_time, 1000 },
		{ "throttled_time", &n->throttled_time, 1 },
	};
	Str rest, key;
	uint64_t v;
	if (!stats_read(s, dir, "cpu.stat", &rest)) return;
	while (next_pair(&rest, &key, &v))
		for (size_t i = 0; i < ARRAY_LEN(keys); i++)
			if (str_eq(key, keys[i].key)) *keys[i].to = v * keys[i].unit;
}

static void put_cpu(Stats *s)
{
	bool v2 = s->cg->layout == CGROUP_V2;
	const char *dir = v2 ? cgroup_path_v2(s->cg) : cgroup_path_v1(s->cg, "cpu");
	CpuNumbers n = { 0 };
	read_cpu_stat(s, dir, &n);
	json_key(s->w, "cpu");
	json_begin_object(s->w);
	if (!v2) {
		put_usage_v1(s);
	} else if (n.total || n.user || n.kernel) {
		json_key(s->w, "usage");
		json_begin_object(s->w);
		put_nonzero(s->w, "total", n.total);
		json_put_uint(s->w, "kernel", n.kernel);
		json_put_uint(s->w, "user", n.user);
		json_end_object(s->w);
	}
	if (n.periods || n.throttled || n.throttled_time) {
		json_key(s->w, "throttling");
		json_begin_object(s->w);
		put_nonzero(s->w, "periods", n.periods);
		put_nonzero(s->w, "throttledPeriods", n.throttled);
		put_nonzero(s->w, "throttledTime", n.throttled_time);
		json_end_object(s->w);
	}
	put_pressure(s, dir, "cpu.pressure");
	json_end_object(s->w);
}

/* "0-2,5" as [0,1,2,5]. */
static void put_set(Stats *s, const char *dir, const char *file, const char *key)
{
	Str rest, piece, low, high;
	if (!stats_read(s, dir, file, &rest)) return;
	rest = str_trim(rest);
	if (!rest.n) return;
	json_key(s->w, key);
	json_begin_array(s->w);
	while (str_next(&rest, ',', &piece)) {
		uint32_t from, to;
		if (!str_cut(piece, '-', &low, &high)) low = high = piece;
		if (str_to_u32(low, &from) < 0 || str_to_u32(high, &to) < 0 || to >= CPU_NUMBERS_MAX) continue;
		for (uint32_t i = from; i <= to; i++)
			json_uint(s->w, i);
	}
	json_end_array(s->w);
}

static void put_cpuset(Stats *s)
{
	const char *dir = cgroup_path_v1(s->cg, "cpuset");
	char level[32];
	int64_t relax = 0;
	ssize_t n = dir ? cgroup_get(dir, "cpuset.sched_relax_domain_level", level, sizeof level) : -1;
	if (n < 0 || str_to_i64((Str){ level, (size_t)n }, &relax) < 0) relax = 0;
	json_key(s->w, "cpuset");
	json_begin_object(s->w);
	put_set(s, dir, "cpuset.cpus", "cpus");
	json_put_uint(s->w, "cpu_exclusive", number(dir, "cpuset.cpu_exclusive"));
	put_set(s, dir, "cpuset.mems", "mems");
	json_put_uint(s->w, "mem_hardwall", number(dir, "cpuset.mem_hardwall"));
	json_put_uint(s->w, "mem_exclusive", number(dir, "cpuset.mem_exclusive"));
	json_put_uint(s->w, "memory_migrate", number(dir, "cpuset.memory_migrate"));
	json_put_uint(s->w, "memory_spread_page", number(dir, "cpuset.memory_spread_page"));
	json_put_uint(s->w, "memory_spread_slab", number(dir, "cpuset.memory_spread_slab"));
	json_put_uint(s->w, "memory_pressure", number(dir, "cpuset.memory_pressure"));
	json_put_uint(s->w, "sched_load_balance", number(dir, "cpuset.sched_load_balance"));
	json_put_int(s->w, "sched_relax_domain_level", relax);
	json_end_object(s->w);
}

/* ---- memory ---- */

typedef struct MemoryNumbers {
	uint64_t limit, usage, max, failures;
} MemoryNumbers;

static MemoryNumbers read_memory_v1(const char *dir, const char *kind)
{
	char name[64];
	MemoryNumbers m = { 0 };
	const struct {
		const char *file;
		uint64_t *to;
	} files[] = {
		{ "usage_in_bytes", &m.usage }, { "max_usage_in_bytes", &m.max }, { "failcnt", &m.failures }, { "limit_in_bytes", &m.limit }
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(name, sizeof name, "memory.%s%s", kind, files[i].file);
		*files[i].to = number(dir, name);
	}
	return m;
}

static MemoryNumbers read_memory_v2(const char *dir, const char *current, const char *max, const char *peak)
{
	return (MemoryNumbers){ .usage = number(dir, current), .limit = number(dir, max), .max = number(dir, peak) };
}

static void put_memory_numbers(JsonWriter *w, const char *key, MemoryNumbers m)
{
	if (!m.limit && !m.usage && !m.max && !m.failures) return;
	json_key(w, key);
	json_begin_object(w);
	json_put_uint(w, "limit", m.limit);
	put_nonzero(w, "usage", m.usage);
	put_nonzero(w, "max", m.max);
	json_put_uint(w, "failcnt", m.failures);
	json_end_object(w);
}

/* memory.stat twice: the cache comes first, everything at the end. */
static void put_cache(Stats *s, const char *dir, const char *cache_key)
{
	Str rest, key;
	uint64_t v;
	if (!stats_read(s, dir, "memory.stat", &rest)) return;
	while (next_pair(&rest, &key, &v)) {
		if (!str_eq(key, cache_key)) continue;
		put_nonzero(s->w, "cache", v);
		return;
	}
}

static void put_raw(Stats *s, const char *dir)
{
	Str rest, key;
	uint64_t v;
	if (!stats_read(s, dir, "memory.stat", &rest) || !rest.n) return;
	json_key(s->w, "raw");
	json_begin_object(s->w);
	while (next_pair(&rest, &key, &v)) {
		char name[64];
		if (key.n >= sizeof name) continue;
		snprintf(name, sizeof name, "%.*s", (int)key.n, key.p);
		json_put_uint(s->w, name, v);
	}
	json_end_object(s->w);
}

static void put_memory(Stats *s)
{
	bool v2 = s->cg->layout == CGROUP_V2;
	const char *dir = v2 ? cgroup_path_v2(s->cg) : cgroup_path_v1(s->cg, "memory");
	json_key(s->w, "memory");
	json_begin_object(s->w);
	put_cache(s, dir, v2 ? "file" : "cache");
	if (v2) {
		MemoryNumbers usage = read_memory_v2(dir, "memory.current", "memory.max", "memory.peak");
		MemoryNumbers swap = read_memory_v2(dir, "memory.swap.current", "memory.swap.max", "memory.swap.peak");
		/* callers know the v1 sum of memory and swap; a maximum of the sum cannot be told */
		swap.usage += usage.usage;
		swap.limit = swap.limit == UINT64_MAX || usage.limit == UINT64_MAX ? UINT64_MAX : swap.limit + usage.limit;
		swap.max = 0;
		put_memory_numbers(s->w, "usage", usage);
		put_memory_numbers(s->w, "swap", swap);
	} else {
		put_memory_numbers(s->w, "usage", read_memory_v1(dir, ""));
		put_memory_numbers(s->w, "swap", read_memory_v1(dir, "memsw."));
		put_memory_numbers(s->w, "kernel", read_memory_v1(dir, "kmem."));
		put_memory_numbers(s->w, "kernelTCP", read_memory_v1(dir, "kmem.tcp."));
	}
	put_raw(s, dir);
	put_pressure(s, dir, "memory.pressure");
	json_end_object(s->w);
}

/* ---- pids ---- */

static void put_pids(Stats *s)
{
	const char *dir = s->cg->layout == CGROUP_V2 ? cgroup_path_v2(s->cg) : cgroup_path_v1(s->cg, "pids");
	uint64_t current = 0, limit = number(dir, "pids.max");
	if (dir && cgroup_get_u64(dir, "pids.current", &current) < 0) {
		Str text; /* without the controller: the processes are counted */
		if (stats_read(s, dir, "cgroup.procs", &text))
			for (size_t i = 0; i < text.n; i++)
				current += text.p[i] == '\n';
	}
	json_key(s->w, "pids");
	json_begin_object(s->w);
	put_nonzero(s->w, "current", current);
	put_nonzero(s->w, "limit", limit == UINT64_MAX ? 0 : limit);
	json_end_object(s->w);
}

/* ---- block I/O ---- */

static void put_block_entry(JsonWriter *w, uint64_t major, uint64_t minor, Str op, uint64_t value)
{
	json_begin_object(w);
	put_nonzero(w, "major", major);
	put_nonzero(w, "minor", minor);
	if (op.n) {
		json_key(w, "op");
		json_str(w, op);
	}
	put_nonzero(w, "value", value);
	json_end_object(w);
}

/* "8:0", with what follows in *ret_rest. */
static bool device_cut(Str line, uint64_t *major, uint64_t *minor, Str *ret_rest)
{
	Str device, a, b;
	return str_cut(line, ' ', &device, ret_rest) && str_cut(device, ':', &a, &b) && str_to_u64(a, major) >= 0 &&
	       str_to_u64(b, minor) >= 0;
}

/* A v1 file of "8:0 Read 4096" lines as one array; false when there is no such file. */
static bool put_block_v1(Stats *s, const char *dir, const char *file, const char *key)
{
	Str rest, line, words, op, value;
	uint64_t major, minor, v;
	bool any = false;
	if (!stats_read(s, dir, file, &rest)) return false;
	while (str_next(&rest, '\n', &line)) {
		if (!device_cut(line, &major, &minor, &words)) continue; /* "Total 4096" */
		if (!str_cut(words, ' ', &op, &value)) {
			value = words;
			op = (Str){ "", 0 };
		}
		if (str_to_u64(value, &v) < 0) continue;
		if (!any) {
			json_key(s->w, key);
			json_begin_array(s->w);
			any = true;
		}
		put_block_entry(s->w, major, minor, op, v);
	}
	if (any) json_end_array(s->w);
	return true;
}

static bool has_lines(Stats *s, const char *dir, const char *file)
{
	Str rest, line, words;
	uint64_t major, minor;
	if (!stats_read(s, dir, file, &rest)) return false;
	while (str_next(&rest, '\n', &line))
		if (device_cut(line, &major, &minor, &words)) return true;
	return false;
}

/* The accounting that is filled depends on the I/O scheduler: the first prefix with entries is told. */
static void put_blkio_v1(Stats *s, const char *dir)
{
	static const char *const prefixes[] = { "blkio.bfq.", "blkio.", "blkio.throttle." };
	static const struct {
		const char *file, *key;
	} files[] = {
		{ "io_service_bytes_recursive", "ioServiceBytesRecursive" },
		{ "io_serviced_recursive", "ioServicedRecursive" },
		{ "io_queued_recursive", "ioQueueRecursive" },
		{ "io_service_time_recursive", "ioServiceTimeRecursive" },
		{ "io_wait_time_recursive", "ioWaitTimeRecursive" },
		{ "io_merged_recursive", "ioMergedRecursive" },
		{ "time_recursive", "ioTimeRecursive" },
		{ "sectors_recursive", "sectorsRecursive" },
	};
	char name[64];
	size_t p = 0;
	for (; p < ARRAY_LEN(prefixes); p++) {
		snprintf(name, sizeof name, "%sio_serviced_recursive", prefixes[p]);
		if (has_lines(s, dir, name)) break;
	}
	if (p == ARRAY_LEN(prefixes)) {
		(void)put_block_v1(s, dir, "blkio.throttle.io_service_bytes", "ioServiceBytesRecursive");
		(void)put_block_v1(s, dir, "blkio.throttle.io_serviced", "ioServicedRecursive");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(name, sizeof name, "%s%s", prefixes[p], files[i].file);
		(void)put_block_v1(s, dir, name, files[i].key);
	}
}

/* io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …"; one array per v1 name, "Read" and "Write" entries. */
static void put_block_v2(Stats *s, Str text, const char *key, const char *read_key, const char *write_key)
{
	Str rest = text, line, words, word, name, value;
	uint64_t major, minor, v;
	bool any = false;
	while (str_next(&rest, '\n', &line)) {
		if (!device_cut(line, &major, &minor, &words)) continue;
		while (next_word(&words, &word)) {
			if (!str_cut(word, '=', &name, &value) || str_to_u64(value, &v) < 0) continue;
			bool read = str_eq(name, read_key);
			if (!read && !str_eq(name, write_key)) continue;
			if (!any) {
				json_key(s->w, key);
				json_begin_array(s->w);
				any = true;
			}
			put_block_entry(s->w, major, minor, read ? STR("Read") : STR("Write"), v);
		}
	}
	if (any) json_end_array(s->w);
}

static void put_blkio(Stats *s)
{
	bool v2 = s->cg->layout == CGROUP_V2;
	const char *dir = v2 ? cgroup_path_v2(s->cg) : cgroup_path_v1(s->cg, "blkio");
	Str text;
	json_key(s->w, "blkio");
	json_begin_object(s->w);
	if (v2) {
		if (stats_read(s, dir, "io.stat", &text)) {
			put_block_v2(s, text, "ioServiceBytesRecursive", "rbytes", "wbytes");
			put_block_v2(s, text, "ioServicedRecursive", "rios", "wios");
		}
		put_pressure(s, dir, "io.pressure");
	} else {
		put_blkio_v1(s, dir);
	}
	json_end_object(s->w);
}

/* ---- huge pages ---- */

static void auto_dir(DIR **d)
{
	if (*d) closedir(*d);
}

/* "hugepages-2048kB" as the control files call it: "2MB". */
static bool page_size(const char *entry, char to[static 32])
{
	uint64_t kb;
	if (!starts_with(entry, "hugepages-") || !ends_with(entry, "kB")) return false;
	const char *digits = entry + strlen("hugepages-");
	if (str_to_u64((Str){ digits, strlen(digits) - 2 }, &kb) < 0) return false;
	bool gb = kb >= 1 << 20, mb = kb >= 1 << 10;
	snprintf(to, 32, "%ju%s", (uintmax_t)(gb ? kb >> 20 : mb ? kb >> 10 : kb), gb ? "GB" : mb ? "MB" : "KB");
	return true;
}

static void put_hugetlb_size(Stats *s, const char *dir, const char *size, bool v2)
{
	char name[96];
	uint64_t usage, max = 0, failures = 0;
	const char *rsvd = ".rsvd";
	snprintf(name, sizeof name, "hugetlb.%s.rsvd.%s", size, v2 ? "current" : "usage_in_bytes");
	if (cgroup_get_u64(dir, name, &usage) < 0) {
		rsvd = "";
		snprintf(name, sizeof name, "hugetlb.%s.%s", size, v2 ? "current" : "usage_in_bytes");
		if (cgroup_get_u64(dir, name, &usage) < 0) return;
	}
	if (v2) {
		snprintf(name, sizeof name, "hugetlb.%s.events", size);
		if (cgroup_key_u64(dir, name, "max", &failures) < 0) failures = 0;
	} else {
		snprintf(name, sizeof name, "hugetlb.%s%s.max_usage_in_bytes", size, rsvd);
		max = number(dir, name);
		snprintf(name, sizeof name, "hugetlb.%s%s.failcnt", size, rsvd);
		failures = number(dir, name);
	}
	json_key(s->w, size);
	json_begin_object(s->w);
	put_nonzero(s->w, "usage", usage);
	put_nonzero(s->w, "max", max);
	json_put_uint(s->w, "failcnt", failures);
	json_end_object(s->w);
}

static void put_hugetlb(Stats *s)
{
	const char *v1 = cgroup_path_v1(s->cg, "hugetlb"), *dir = v1 ? v1 : cgroup_path_v2(s->cg);
	char size[32];
	json_key(s->w, "hugetlb");
	json_begin_object(s->w);
	AUTO(auto_dir) DIR *d = dir ? opendir("/sys/kernel/mm/hugepages") : NULL;
	for (const struct dirent *at; d && (at = readdir(d));)
		if (page_size(at->d_name, size)) put_hugetlb_size(s, dir, size, !v1);
	json_end_object(s->w);
}

/* ---- the whole ---- */

int cgroup_stats_write(const Cgroup *cg, JsonWriter *w, Err *e)
{
	const char *dir = cgroup_path_processes(cg);
	Stats s = { .cg = cg, .w = w, .text = BUF_INIT(FILE_MAX) };
	if (dir && faccessat(AT_FDCWD, dir, F_OK, 0) < 0) return err_sys(e, errno, "read statistics of %s", dir);
	json_begin_object(w);
	put_cpu(&s);
	put_cpuset(&s);
	put_memory(&s);
	put_pids(&s);
	put_blkio(&s);
	put_hugetlb(&s);
	json_key(w, "intel_rdt");
	json_begin_object(w);
	json_end_object(w);
	json_key(w, "network_interfaces");
	json_null(w);
	json_end_object(w);
	buf_done(&s.text);
	return 0;
}
