/* rdt.c: see rdt.h. */
#include "sys/rdt.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/path.h"

enum { SCHEMATA_MAX = 4095 }; /* the kernel takes one page per write */

#define ROW(T, key, field, what) \
	{ \
		.name = (key), .kind = (what), .offset = offsetof(T, field) \
	}
BIND_TABLE(rdt_table, "intelRdt", IntelRdt, ROW(IntelRdt, "closID", clos_id, BIND_STRING),
	   ROW(IntelRdt, "schemata", schemata, BIND_STRINGS), ROW(IntelRdt, "l3CacheSchema", l3_cache_schema, BIND_STRING),
	   ROW(IntelRdt, "memBwSchema", mem_bw_schema, BIND_STRING), ROW(IntelRdt, "enableMonitoring", enable_monitoring, BIND_BOOL));

BIND_TABLE(rdt_group_table, "RDT group", RdtGroup, ROW(RdtGroup, "clos", clos, BIND_STRING), ROW(RdtGroup, "mon", mon, BIND_STRING),
	   ROW(RdtGroup, "created", created, BIND_BOOL));

static bool is_blank(const char *s)
{
	return !s || !*s;
}

/* ---- finding it ---- */

static bool is_resctrl(const char *path)
{
	AUTO_FD int fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && path_is_fs(fd, RDTGROUP_SUPER_MAGIC) == 0;
}

/* The mount point of a line of mountinfo when its file system is resctrl; "\040" and its like are undone in place. */
static char *resctrl_mount(char *line)
{
	char *type = strstr(line, " - ");
	if (!type || !starts_with(type + 3, "resctrl ")) return NULL;
	char *p = line;
	for (int i = 0; i < 4 && p; i++)
		p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL;
	if (!p || p > type) return NULL;
	char *to = p, *from = p;
	while (*from != ' ') {
		uint64_t code;
		if (*from == '\\' && str_to_u64_base((Str){ from + 1, strnlen(from + 1, 3) }, 8, &code) == 0 && code < 256) {
			*to++ = (char)code;
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = 0;
	return p;
}

static char *find_mount(Arena *a)
{
	AUTO_BUF text = BUF_INIT(4 << 20);
	AUTO_FD int fd = openat(AT_FDCWD, "/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fd_read_all(fd, &text) < 0 || !text.n) return NULL;
	for (char *line = text.p, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		char *path = resctrl_mount(line);
		if (path && is_resctrl(path)) return arena_strdup(a, path);
	}
	return NULL;
}

int rdt_open(const char *path, Arena *a, const char **ret_path, Err *e)
{
	static const char usual[] = "/sys/fs/resctrl";
	if (!path) {
		if (is_resctrl(usual))
			path = usual;
		else if (access(usual, F_OK) == 0) /* the kernel makes it where the hardware has RDT */
			path = find_mount(a);
		if (!path) return err_set(e, ERR_UNSUPPORTED, ENOENT, "Intel RDT not available: no resctrl file system is mounted");
	}
	int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) return err_sys(e, errno, "open %s", path);
	if (ret_path) *ret_path = path;
	return fd;
}

bool rdt_is_available(void)
{
	return is_resctrl("/sys/fs/resctrl");
}

static bool exists(int root, const char *path)
{
	return faccessat(root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int rdt_features(int root, RdtFeatures *ret)
{
	char text[1024];
	RdtFeatures f = { .l3_cat = exists(root, "info/L3"), .mba = exists(root, "info/MB") };
	ssize_t n = fd_read_small(root, "info/L3_MON/mon_features", text, sizeof text);
	if (n < 0 && n != -ENOENT) return (int)n;
	Str rest = n > 0 ? (Str){ text, (size_t)n } : STR(""), line;
	while (str_next(&rest, '\n', &line)) {
		f.llc_occupancy |= str_eq(line, "llc_occupancy");
		f.mbm_total |= str_eq(line, "mbm_total_bytes");
		f.mbm_local |= str_eq(line, "mbm_local_bytes");
	}
	*ret = f;
	return 0;
}

/* ---- checks ---- */

static bool has_schema(const IntelRdt *r)
{
	return !is_blank(r->l3_cache_schema) || !is_blank(r->mem_bw_schema) || r->schemata.n;
}

static bool is_group_name(const char *s)
{
	static const char *const taken[] = { ".", "..", "info", "mon_groups", "mon_data" };
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (streq(s, taken[i])) return false;
	return *s && strlen(s) < 256 && !strpbrk(s, "/\n");
}

static int check_line(const char *s, const char *key, Err *e)
{
	if (s && strchr(s, '\n')) return err_set(e, ERR_CONFIG, EINVAL, "intelRdt.%s: a newline is not allowed", key);
	return 0;
}

int rdt_check(const IntelRdt *r, const char *id, Err *e)
{
	if (!is_blank(r->clos_id) && !streq(r->clos_id, "/") && !is_group_name(r->clos_id))
		return err_set(e, ERR_CONFIG, EINVAL, "invalid intelRdt.ClosID \"%.64s\"", r->clos_id);
	if (!is_group_name(id)) return err_set(e, ERR_CONFIG, EINVAL, "container id \"%.64s\" cannot name an RDT group", id);
	int x = check_line(r->l3_cache_schema, "l3CacheSchema", e);
	if (x >= 0) x = check_line(r->mem_bw_schema, "memBwSchema", e);
	for (size_t i = 0; i < r->schemata.n && x >= 0; i++)
		x = check_line(r->schemata.items[i], "schemata", e);
	if (x < 0) return x;
	if (!is_blank(r->mem_bw_schema) && !starts_with(r->mem_bw_schema, "MB:"))
		return err_set(e, ERR_CONFIG, EINVAL, "intelRdt.memBwSchema \"%.64s\" does not start with \"MB:\"", r->mem_bw_schema);
	return 0;
}

/* ---- making ---- */

/* err_sys with what the kernel says of its last refusal. */
static int refused(int root, int errnum, const char *what, const char *path, Err *e)
{
	char status[512];
	int r = err_sys(e, errnum, "intelrdt: %s %s", what, path);
	ssize_t n = fd_read_small(root, "info/last_cmd_status", status, sizeof status);
	size_t at = strlen(e->msg);
	if (n > 0) snprintf(e->msg + at, sizeof e->msg - at, ", last_cmd_status: %s", status);
	return r;
}

static char *path_in(Arena *a, const char *group, const char *file)
{
	return streq(group, ".") ? arena_strdup(a, file) : arena_printf(a, "%s/%s", group, file);
}

static int write_in(int root, const char *group, const char *file, const char *text, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(8192);
	const char *path = path_in(&a, group, file);
	if (!path) return err_sys(e, ENOMEM, "intelrdt: %s", file);
	int r = fd_write_file(root, path, text);
	return r < 0 ? refused(root, r, "write", path, e) : 0;
}

static int write_schemata(int root, const char *group, const IntelRdt *r, Err *e)
{
	AUTO_BUF text = BUF_INIT(SCHEMATA_MAX);
	const char *first[] = { r->l3_cache_schema, r->mem_bw_schema };
	for (size_t i = 0; i < ARRAY_LEN(first); i++)
		if (!is_blank(first[i])) buf_printf(&text, "%s\n", first[i]);
	for (size_t i = 0; i < r->schemata.n; i++)
		if (!is_blank(r->schemata.items[i])) buf_printf(&text, "%s\n", r->schemata.items[i]);
	if (buf_failed(&text)) return err_set(e, ERR_CONFIG, E2BIG, "intelRdt: schemata longer than %d bytes", SCHEMATA_MAX);
	return text.n ? write_in(root, group, "schemata", text.p, e) : 0;
}

/* The value of one cache id in "0=7ff;1=7ff". */
static bool schema_value(Str values, Str id, unsigned base, uint64_t *ret)
{
	Str item, key, value;
	while (str_next(&values, ';', &item))
		if (str_cut(item, '=', &key, &value) && str_trim(key).n == id.n && memcmp(str_trim(key).p, id.p, id.n) == 0)
			return str_to_u64_base(str_trim(value), base, ret) == 0;
	return false;
}

/* Does the group's line of values have everything that is wanted? Masks are hexadecimal, bandwidths decimal and rounded up by the
 * kernel to the hardware's step. */
static bool schema_matches(Str wanted, Str values, bool is_bandwidth, uint64_t step)
{
	Str item, key, value;
	unsigned base = is_bandwidth ? 10 : 16;
	while (str_next(&wanted, ';', &item)) {
		uint64_t want, have;
		if (!str_cut(item, '=', &key, &value) || str_to_u64_base(str_trim(value), base, &want) < 0) return false;
		if (!schema_value(values, str_trim(key), base, &have)) return false;
		if (want != have && !(is_bandwidth && step && want <= UINT32_MAX && (want + step - 1) / step * step == have)) return false;
	}
	return true;
}

/* A shared group must have the schema already (specification: "runtimes MUST compare"). */
static int compare_schema(int root, const char *group, const char *schema, Err *e)
{
	Str name, wanted, line, key, values;
	if (is_blank(schema)) return 0;
	if (!str_cut(str_of(schema), ':', &name, &wanted))
		return err_set(e, ERR_CONFIG, EINVAL, "intelRdt: \"%.128s\" is no schema", schema);
	AUTO_ARENA a = ARENA_INIT(64 * 1024);
	char gran[24], *text = arena_alloc(&a, 32 * 1024);
	const char *path = path_in(&a, group, "schemata");
	if (!text || !path) return err_sys(e, ENOMEM, "intelrdt: schemata");
	ssize_t n = fd_read_small(root, path, text, 32 * 1024);
	if (n < 0) return refused(root, (int)n, "read", path, e);
	uint64_t step = 0;
	ssize_t k = fd_read_small(root, "info/MB/bandwidth_gran", gran, sizeof gran);
	if (k > 0 && str_to_u64((Str){ gran, (size_t)k }, &step) < 0) step = 0;
	Str rest = { text, (size_t)n };
	while (str_next(&rest, '\n', &line)) {
		if (!str_cut(str_trim(line), ':', &key, &values) || key.n != name.n || memcmp(key.p, name.p, key.n) != 0) continue;
		if (schema_matches(wanted, values, starts_with(schema, "MB:"), step)) return 0;
		return err_set(e, ERR_CONFIG, EINVAL, "intelRdt: closID \"%.64s\" exists with \"%.*s\", which does not match \"%.128s\"",
			       group, (int)(line.n < 256 ? line.n : 256), line.p, schema);
	}
	return err_set(e, ERR_CONFIG, EINVAL, "intelRdt: closID \"%.64s\" exists without what \"%.128s\" asks for", group, schema);
}

static int make_clos(int root, const IntelRdt *r, RdtGroup *g, Err *e)
{
	bool shared = !is_blank(r->clos_id);
	if (shared && !has_schema(r)) {
		if (exists(root, g->clos)) return 0;
		return err_set(
			e, ERR_CONFIG, ENOENT,
			"clos dir %s not accessible (must be pre-created when schemata, l3CacheSchema and memBwSchema are empty): no such file or directory",
			g->clos);
	}
	if (!streq(g->clos, ".")) g->created = mkdirat(root, g->clos, 0755) == 0;
	if (!g->created && !streq(g->clos, ".") && errno != EEXIST) return refused(root, errno, "create", g->clos, e);
	int x = 0;
	if (shared && !g->created) {
		x = compare_schema(root, g->clos, r->l3_cache_schema, e);
		if (x >= 0) x = compare_schema(root, g->clos, r->mem_bw_schema, e);
	}
	return x < 0 ? x : write_schemata(root, g->clos, r, e);
}

int rdt_create(int root, const IntelRdt *r, const char *id, Arena *a, RdtGroup *ret, Err *e)
{
	int x = rdt_check(r, id, e);
	if (x < 0) return x;
	const char *name = is_blank(r->clos_id) ? id : streq(r->clos_id, "/") ? "." : r->clos_id;
	RdtGroup g = { .clos = arena_strdup(a, name) };
	const char *mon = arena_printf(a, "%s%smon_groups/%s", streq(name, ".") ? "" : name, streq(name, ".") ? "" : "/", id);
	if (!g.clos || !mon) return err_sys(e, ENOMEM, "intelrdt");
	x = make_clos(root, r, &g, e);
	if (x >= 0 && r->enable_monitoring) {
		g.mon = mon;
		if (mkdirat(root, mon, 0755) < 0 && errno != EEXIST) x = refused(root, errno, "create", mon, e);
	}
	if (x < 0) {
		if (g.created) unlinkat(root, g.clos, AT_REMOVEDIR);
		return x;
	}
	g.created = g.created && is_blank(r->clos_id); /* a closID outlives the container, whoever made it */
	*ret = g;
	return 0;
}

int rdt_update(int root, const RdtGroup *g, const IntelRdt *r, Err *e)
{
	if (!g->clos) return err_set(e, ERR_CONFIG, EINVAL, "Intel RDT: the container has no RDT group");
	return write_schemata(root, g->clos, r, e);
}

int rdt_join(int root, const RdtGroup *g, pid_t pid, Err *e)
{
	char text[16];
	if (!g->clos) return 0;
	snprintf(text, sizeof text, "%d", (int)pid);
	int r = write_in(root, g->clos, "tasks", text, e);
	return r < 0 || !g->mon ? r : write_in(root, g->mon, "tasks", text, e);
}

int rdt_remove(int root, const RdtGroup *g, Err *e)
{
	if (g->mon && unlinkat(root, g->mon, AT_REMOVEDIR) < 0 && errno != ENOENT) return err_sys(e, errno, "intelrdt: remove %s", g->mon);
	if (g->created && unlinkat(root, g->clos, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, errno, "intelrdt: remove %s", g->clos);
	return 0;
}

/* ---- statistics ---- */

static void put_number(int root, const char *path, const char *key, JsonWriter *w)
{
	char text[32];
	uint64_t v;
	ssize_t n = fd_read_small(root, path, text, sizeof text);
	if (n > 0 && str_to_u64(str_trim((Str){ text, (size_t)n }), &v) == 0) json_put_uint(w, key, v);
}

static void put_info(int root, const RdtFeatures *f, JsonWriter *w)
{
	char mask[64];
	if (f->l3_cat) {
		json_key(w, "l3_cache_info");
		json_begin_object(w);
		if (fd_read_small(root, "info/L3/cbm_mask", mask, sizeof mask) > 0) json_put_string(w, "cbm_mask", mask);
		put_number(root, "info/L3/min_cbm_bits", "min_cbm_bits", w);
		put_number(root, "info/L3/num_closids", "num_closids", w);
		json_end_object(w);
	}
	if (f->mba) {
		json_key(w, "mem_bw_info");
		json_begin_object(w);
		put_number(root, "info/MB/bandwidth_gran", "bandwidth_gran", w);
		put_number(root, "info/MB/delay_linear", "delay_linear", w);
		put_number(root, "info/MB/min_bandwidth", "min_bandwidth", w);
		put_number(root, "info/MB/num_closids", "num_closids", w);
		json_end_object(w);
	}
}

static void put_line(Str schemata, const char *prefix, const char *key, JsonWriter *w)
{
	Str line;
	while (str_next(&schemata, '\n', &line)) {
		line = str_trim(line);
		if (!str_starts(line, prefix)) continue;
		json_key(w, key);
		json_str(w, line);
		return;
	}
}

static int put_schemata(int root, const char *clos, const RdtFeatures *f, JsonWriter *w)
{
	enum { TEXT = 16 * 1024 };
	AUTO_ARENA a = ARENA_INIT(3 * TEXT);
	char *top = arena_alloc(&a, TEXT), *own = arena_alloc(&a, TEXT);
	const char *path = path_in(&a, clos, "schemata");
	if (!top || !own || !path) return -ENOMEM;
	ssize_t n_top = fd_read_small(root, "schemata", top, TEXT), n = fd_read_small(root, path, own, TEXT);
	if (n_top < 0 || n < 0) return (int)(n < 0 ? n : n_top);
	Str all = { own, (size_t)n }, rest = all, line;
	json_key(w, "schemata");
	json_begin_array(w);
	while (str_next(&rest, '\n', &line))
		if (str_trim(line).n) json_str(w, str_trim(line));
	json_end_array(w);
	if (f->l3_cat) {
		put_line((Str){ top, (size_t)n_top }, "L3", "l3_cache_schema_root", w);
		put_line(all, "L3", "l3_cache_schema", w);
	}
	if (f->mba) {
		put_line((Str){ top, (size_t)n_top }, "MB", "mem_bw_schema_root", w);
		put_line(all, "MB", "mem_bw_schema", w);
	}
	return 0;
}

enum { DOMAINS_MAX = 256 };
typedef struct Domains {
	char name[DOMAINS_MAX][32]; /* mon_L3_00, … one for each cache */
	size_t n;
} Domains;

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int list_domains(int mon_data, Domains *d)
{
	int copy = openat(mon_data, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0) return -errno;
	DIR *dir = fdopendir(copy);
	if (!dir) {
		fd_close(copy);
		return -ENOMEM;
	}
	d->n = 0;
	for (struct dirent *t; d->n < DOMAINS_MAX && (t = readdir(dir));)
		if (starts_with(t->d_name, "mon_") && strlen(t->d_name) < sizeof d->name[0])
			snprintf(d->name[d->n++], sizeof d->name[0], "%.31s", t->d_name);
	closedir(dir);
	qsort(d->name, d->n, sizeof d->name[0], compare_names);
	return 0;
}

/* One array with an object for each cache: the numbers of those files that the kernel offers. */
static void put_counters(int mon_data, const Domains *d, const char *key, const char *const *files, size_t n, JsonWriter *w)
{
	json_key(w, key);
	json_begin_array(w);
	for (size_t i = 0; i < d->n; i++) {
		json_begin_object(w);
		for (size_t k = 0; k < n; k++) {
			char path[64];
			snprintf(path, sizeof path, "%s/%s", d->name[i], files[k]);
			put_number(mon_data, path, files[k], w);
		}
		json_end_object(w);
	}
	json_end_array(w);
}

static int put_monitoring(int root, const RdtGroup *g, const RdtFeatures *f, JsonWriter *w)
{
	static const char *const mbm[] = { "mbm_total_bytes", "mbm_local_bytes" }, *const cmt[] = { "llc_occupancy" };
	if (!f->llc_occupancy && !f->mbm_local && !f->mbm_total) return 0;
	AUTO_ARENA a = ARENA_INIT(64 * 1024);
	const char *path = path_in(&a, g->mon ? g->mon : g->clos, "mon_data");
	Domains *d = arena_alloc(&a, sizeof *d);
	if (!path || !d) return -ENOMEM;
	AUTO_FD int mon_data = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mon_data < 0) return -errno;
	int r = list_domains(mon_data, d);
	if (r < 0) return r;
	if (f->mbm_total || f->mbm_local) put_counters(mon_data, d, "mbm_stats", mbm, ARRAY_LEN(mbm), w);
	if (f->llc_occupancy) put_counters(mon_data, d, "cmt_stats", cmt, ARRAY_LEN(cmt), w);
	return 0;
}

int rdt_stats_write(int root, const RdtGroup *g, JsonWriter *w, Err *e)
{
	RdtFeatures f;
	int r = rdt_features(root, &f);
	if (r < 0) return err_sys(e, r, "intelrdt: features");
	json_begin_object(w);
	put_info(root, &f, w);
	if (g->clos) r = put_schemata(root, g->clos, &f, w);
	if (g->clos && r >= 0) r = put_monitoring(root, g, &f, w);
	json_end_object(w);
	return r < 0 ? err_sys(e, r, "intelrdt: statistics of %s", g->clos) : 0;
}
