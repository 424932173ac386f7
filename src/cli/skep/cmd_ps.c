/* cmd_ps.c: container ls (ps). */
#include "base/size.h"
#include "base/time.h"
#include "cli/format.h"
#include "cli/skep/containers.h"
#include "cli/skep/filters.h"
#include "cli/skep/ports_text.h"
#include "cli/skep/store.h"
#include "engine/networking.h"
#include "engine/usage.h"
#include "engine/view.h"
#include "sys/proc.h"

enum { ROW_MAX = 1 << 20, COMMAND_SHOWN = 20, SIZES_MAX = 2 * SIZE_TEXT_MAX + 16 };

/* --format raw */
static const char raw[] =
	"container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate:{{pad .State 1 0}}\n"
	"status:{{pad .Status 1 0}}\nnames: {{.Names}}\nlabels:{{pad .Labels 1 0}}\nports:{{pad .Ports 1 0}}\n";

static const FormatField fields[] = { { "ID", "CONTAINER ID" },
				      { "Image", "IMAGE" },
				      { "Command", "COMMAND" },
				      { "CreatedAt", "CREATED AT" },
				      { "RunningFor", "CREATED" },
				      { "Ports", "PORTS" },
				      { "State", "STATE" },
				      { "Status", "STATUS" },
				      { "Size", "SIZE" },
				      { "Names", "NAMES" },
				      { "Labels", "LABELS" },
				      { "Mounts", "MOUNTS" },
				      { "LocalVolumes", "LOCAL VOLUMES" },
				      { "Networks", "NETWORKS" },
				      { "Platform", "PLATFORM" },
				      { "HealthStatus", "HEALTH" },
				      { 0 } };

typedef struct Listing {
	Invocation *in;
	Engine engine;
	RecordList records;
	OwnedPortList ports; /* of all containers */
	Format format;
	bool quiet, full, all, size;
	int64_t limit; /* -1: all of them */
	Buf ids;
	const char *name; /* of the last image that was looked up, */
	Digest named;     /* and what it means: none when algorithm is 0 */
} Listing;

/* ---- rows ---- */

/* `"sh -c 'x'"`, cut to what fits a table unless all is asked for. */
const char *command_text(const Record *c, bool full, Arena *a)
{
	const char *text = container_view_command(c, a);
	if (!text) return NULL;
	size_t n = 0, shown = 0;
	while (text[n] && (full || shown < COMMAND_SHOWN - 1 || strlen(text) <= COMMAND_SHOWN)) {
		size_t k = str_utf8(str_of(text + n));
		n += k ? k : 1;
		shown++;
	}
	AUTO_BUF b = BUF_INIT(ROW_MAX);
	buf_putc(&b, '"');
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buf_printf(&b, "\\%c", text[i]);
		else if (text[i] == '\n')
			buf_puts(&b, "\\n");
		else if (text[i] == '\t')
			buf_puts(&b, "\\t");
		else
			buf_putc(&b, text[i]);
	}
	buf_puts(&b, text[n] ? "…\"" : "\"");
	return buf_failed(&b) ? NULL : arena_strdup(a, buf_str(&b));
}

static const char *labels_text(const Record *c, Arena *a)
{
	AUTO_BUF b = BUF_INIT(ROW_MAX);
	StrMap sorted = { .n = c->config.labels.n };
	if (sorted.n && !(sorted.items = arena_array(a, sorted.n, sizeof *sorted.items))) return NULL;
	if (sorted.n) memcpy(sorted.items, c->config.labels.items, sorted.n * sizeof *sorted.items);
	str_map_sort(&sorted);
	for (size_t i = 0; i < sorted.n; i++)
		buf_printf(&b, i ? ",%s=%s" : "%s=%s", sorted.items[i].key, sorted.items[i].value);
	return buf_failed(&b) ? NULL : arena_strdup(a, buf_str(&b));
}

static const char *mounts_text(const Listing *l, const Record *c, Arena *a, int *volumes)
{
	AUTO_BUF b = BUF_INIT(ROW_MAX);
	for (size_t i = 0; i < c->mounts.n; i++) {
		const MountPoint *m = &c->mounts.items[i];
		const char *text = m->name ? m->name : m->source ? m->source : "";
		*volumes += streq(m->type, "volume");
		if (!*text) continue;
		if (b.n) buf_putc(&b, ',');
		if (!l->full && strlen(text) > 15)
			buf_printf(&b, "%.14s…", text);
		else
			buf_puts(&b, text);
	}
	return buf_failed(&b) ? NULL : arena_strdup(a, buf_str(&b));
}

/* The name that the user gave, or the id when that name means another image by now, or none. */
static const char *image_text(Listing *l, const Record *c, Arena *a)
{
	Image i;
	Err ignored = ERR_INIT;
	char hex[DIGEST_HEX_MAX];
	const char *name = c->config.image ? c->config.image : "";
	if (!c->image_id.algorithm) return name;
	if (!l->name || !streq(l->name, name)) {
		l->name = name;
		l->named = image_find(l->engine.store, name, a, &i, &ignored) >= 0 ? i.id : (Digest){ 0 };
	}
	if (digest_equal(&l->named, &c->image_id)) return name;
	return arena_strdup(a, short_id(&c->image_id, hex));
}

static const char *networks_text(const Record *c, Arena *a)
{
	AUTO_BUF b = BUF_INIT(ROW_MAX);
	StrList names = { 0 };
	for (size_t i = 0; i < c->networks.n; i++)
		if (str_list_add(&names, c->networks.items[i].network, a) < 0) return NULL;
	str_list_sort(&names);
	for (size_t i = 0; i < names.n; i++)
		buf_printf(&b, i ? ",%s" : "%s", names.items[i]);
	return buf_failed(&b) ? NULL : arena_strdup(a, buf_str(&b));
}

static const char *published_text(const Listing *l, const ContainerView *v, Arena *a)
{
	return v->state.status == RUN_RUNNING ? ports_text(v->record, &l->ports, a) : "";
}

static bool network_matches(Listing *l, const Record *c, Str value)
{
	const Networks all = networking_networks(&l->engine);
	Network n;
	Err ignored = ERR_INIT;
	char *text = arena_str(l->in->arena, value);
	bool known = text && *text && network_find(&all, text, l->in->arena, &n, &ignored) >= 0;
	for (size_t i = 0; i < c->networks.n; i++)
		if (str_eq(value, c->networks.items[i].network) || (known && streq(n.name, c->networks.items[i].network))) return true;
	return false;
}

/* "100kB (virtual 2.08MB)"; "0B" unless it was asked for. */
static int size_text(Listing *l, const Record *c, Arena *a, char text[static SIZES_MAX], Err *e)
{
	char own_text[SIZE_TEXT_MAX], all_text[SIZE_TEXT_MAX];
	int64_t own = 0, all = 0;
	memcpy(text, "0B", sizeof "0B");
	if (!l->size) return 0;
	int r = container_usage(&l->engine, c, a, &own, &all, e);
	if (r < 0) return r;
	size_format_digits((double)own, SIZE_DECIMAL, 3, own_text);
	size_format_digits((double)all, SIZE_DECIMAL, 3, all_text);
	snprintf(text, SIZES_MAX, all ? "%s (virtual %s)" : "%s", own_text, all_text);
	return 0;
}

static int put_row(Listing *l, const ContainerView *v, Err *e)
{
	char age[AGE_TEXT_MAX], at[AGE_TEXT_MAX], status[VIEW_TEXT_MAX], id[RECORD_ID_LENGTH + 1] = "", number[16], sizes[SIZES_MAX];
	const Record *c = v->record;
	Arena *a = l->in->arena;
	int volumes = 0;
	memcpy(id, c->id, l->full ? RECORD_ID_LENGTH : RECORD_SHORT_ID);
	if (l->quiet && !option_value(l->in, "format")) {
		buf_puts(&l->ids, id);
		buf_putc(&l->ids, '\n');
		return 0;
	}
	const char *command = command_text(c, l->full, a), *labels = labels_text(c, a), *mounts = mounts_text(l, c, a, &volumes);
	const char *image = image_text(l, c, a), *networks = networks_text(c, a), *ports = published_text(l, v, a);
	if (!networks || !ports) return err_sys(e, ENOMEM, "ps");
	if (!command || !labels || !mounts || !image) return err_sys(e, ENOMEM, "ps");
	int r = size_text(l, c, a, sizes, e);
	if (r < 0) return r;
	snprintf(number, sizeof number, "%d", volumes);
	age_of(c->created, age);
	time_of(c->created, at);
	container_view_text(v, status);
	const StrPair row[] = {
		{ "Command", command },
		{ "CreatedAt", at },
		{ "HealthStatus", v->state.health && v->state.health->status ? v->state.health->status : "" },
		{ "ID", id },
		{ "Image", image },
		{ "Labels", labels },
		{ "LocalVolumes", number },
		{ "Mounts", mounts },
		{ "Names", c->name },
		{ "Networks", networks },
		{ "Platform", "linux" },
		{ "Ports", ports },
		{ "RunningFor", age },
		{ "Size", sizes },
		{ "State", container_view_status(v) },
		{ "Status", status },
	};
	return format_texts(&l->format, row, ARRAY_LEN(row), e);
}

/* {{.Label "key"}} */
static int label_of(void *arg, const JsonValue *of, const char *name, const JsonValue *args, size_t n, Arena *a, JsonValue *ret, Err *e)
{
	const Listing *l = arg;
	if (!streq(name, "Label") || n != 1 || args[0].type != JSON_STRING) return 0;
	const JsonValue *id = json_get(of, "ID");
	*ret = (JsonValue){ .type = JSON_STRING, .s = "" };
	for (size_t i = 0; id && i < l->records.n; i++) {
		const Record *c = &l->records.items[i];
		if (!starts_with(c->id, id->s)) continue;
		const char *value = str_map_get(&c->config.labels, args[0].s);
		if (!value) continue;
		ret->s = value;
		ret->n = (uint32_t)strlen(value);
	}
	return 1;
}

/* ---- filters ---- */

static int created_of(Listing *l, Str name, int64_t *ret, Err *e)
{
	Record c;
	char *text = arena_str(l->in->arena, name);
	if (!text) return err_sys(e, ENOMEM, "ps");
	int r = record_find(&l->engine, text, l->in->arena, &c, e);
	if (r < 0) return r;
	*ret = c.created;
	return 0;
}

static int ancestor_matches(Listing *l, const Record *c, Str value, Err *e)
{
	Image i;
	Err ignored = ERR_INIT;
	char *text = arena_str(l->in->arena, value);
	if (!text) return err_sys(e, ENOMEM, "ps");
	if (c->config.image && streq(c->config.image, text)) return 1;
	if (!c->image_id.algorithm || image_find(l->engine.store, text, l->in->arena, &i, &ignored) < 0) return 0;
	return digest_equal(&i.id, &c->image_id);
}

static bool volume_matches(const Record *c, Str value)
{
	for (size_t i = 0; i < c->mounts.n; i++) {
		const MountPoint *m = &c->mounts.items[i];
		if ((m->name && str_eq(value, m->name)) || str_eq(value, m->destination) || (m->source && str_eq(value, m->source)))
			return true;
	}
	return false;
}

/* docker's patterns see a name with its slash and without. */
static bool name_matches(const Record *c, Str value, Arena *a)
{
	const char *with_slash = arena_printf(a, "/%s", c->name);
	return filter_matches(value, c->name) || (with_slash && filter_matches(value, with_slash));
}

static int exited_matches(const ContainerView *v, Str value, Err *e)
{
	int code;
	if (str_to_int(value, &code) < 0)
		return err_set(e, ERR_USAGE, EINVAL, "invalid filter 'exited=%.*s': strconv.Atoi: parsing \"%.*s\": invalid syntax",
			       (int)value.n, value.p, (int)value.n, value.p);
	return (v->state.status == RUN_EXITED || v->state.status == RUN_DEAD) && v->state.exit_code == code;
}

static int status_matches(const ContainerView *v, Str value, Err *e)
{
	static const char *const known[] = { "created", "running", "paused", "restarting", "removing", "exited", "dead" };
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(value, known[i])) return streq(container_view_status(v), known[i]);
	return err_set(e, ERR_USAGE, EINVAL,
		       "invalid filter 'status=%.*s': invalid value for state (%.*s): must be one of created, running, paused, restarting, "
		       "removing, exited, dead",
		       (int)value.n, value.p, (int)value.n, value.p);
}

static int health_matches(const ContainerView *v, Str value, Err *e)
{
	static const char *const known[] = { "none", "starting", "healthy", "unhealthy" };
	const char *have = v->state.health && v->state.health->status ? v->state.health->status : "none";
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(value, known[i])) return streq(have, known[i]);
	return err_set(e, ERR_USAGE, EINVAL,
		       "invalid filter 'health=%.*s': invalid value for health (%.*s): must be one of none, starting, healthy, unhealthy",
		       (int)value.n, value.p, (int)value.n, value.p);
}

static int passes_one(Listing *l, const ContainerView *v, Str key, Str value, Err *e)
{
	const Record *c = v->record;
	int64_t other = 0;
	int r;
	if (str_eq(key, "id")) return filter_matches(value, c->id);
	if (str_eq(key, "name")) return name_matches(c, value, l->in->arena);
	if (str_eq(key, "label")) return filter_label(&c->config.labels, value);
	if (str_eq(key, "exited")) return exited_matches(v, value, e);
	if (str_eq(key, "status")) return status_matches(v, value, e);
	if (str_eq(key, "health")) return health_matches(v, value, e);
	if (str_eq(key, "ancestor")) return ancestor_matches(l, c, value, e);
	if (str_eq(key, "volume")) return volume_matches(c, value);
	if (str_eq(key, "network")) return network_matches(l, c, value);
	if (str_eq(key, "publish") || str_eq(key, "expose")) { /* docker knows the ports of those that run */
		r = port_matches(c, &l->ports, str_eq(key, "publish"), value, e);
		return r < 0 ? r : r && v->state.status == RUN_RUNNING;
	}
	if (str_eq(key, "is-task")) return (r = filter_bool(key, value, e)) < 0 ? r : !r;
	if (str_eq(key, "before") || str_eq(key, "since")) {
		if ((r = created_of(l, value, &other, e)) < 0) return r;
		return str_eq(key, "before") ? c->created < other : c->created > other;
	}
	return filter_unknown(key, e);
}

/* Values of one key are alternatives, keys are all to be met; of label all values. */
static int passes(Listing *l, const ContainerView *v, Err *e)
{
	const StrList *filters = option_list(l->in, "filter");
	for (size_t i = 0; i < filters->n; i++) {
		Str key, value, other_key, other;
		filter_cut(filters->items[i], &key, &value);
		bool any = false;
		for (size_t k = 0; !any && k < filters->n; k++) {
			if (k != i && str_eq(key, "label")) continue;
			filter_cut(filters->items[k], &other_key, &other);
			if (other_key.n != key.n || memcmp(other_key.p, key.p, key.n) != 0) continue;
			int r = passes_one(l, v, key, other, e);
			if (r < 0) return r;
			any = r;
		}
		if (!any) return 0;
	}
	return 1;
}

/* Known, and with values that mean something: said also when nothing is there to be compared. */
static int check_filters(Listing *l, Err *e)
{
	const StrList *filters = option_list(l->in, "filter");
	const Record none = { .id = "", .name = "", .host.network_mode = "" };
	const ContainerView v = { .record = &none };
	int r = 0;
	for (size_t i = 0; r >= 0 && i < filters->n; i++) {
		Str key, value;
		filter_cut(filters->items[i], &key, &value);
		r = passes_one(l, &v, key, value, e);
	}
	return r < 0 ? r : 0;
}

static bool filters_by_state(const Listing *l)
{
	const StrList *filters = option_list(l->in, "filter");
	for (size_t i = 0; i < filters->n; i++)
		if (starts_with(filters->items[i], "status=") || starts_with(filters->items[i], "exited=")) return true;
	return false;
}

static int put_rows(Listing *l, Err *e)
{
	bool all = l->all || filters_by_state(l);
	int64_t shown = 0;
	for (size_t i = 0; i < l->records.n && (l->limit < 0 || shown < l->limit); i++) {
		ContainerView v;
		int r = container_view(&l->engine, &l->records.items[i], l->in->arena, &v, e);
		if (r < 0) return r;
		bool runs = v.state.status == RUN_RUNNING || v.state.status == RUN_RESTARTING;
		if (!runs && !all) continue;
		if ((r = passes(l, &v, e)) < 0) return r;
		if (!r) continue;
		if ((r = put_row(l, &v, e)) < 0) return r;
		shown++;
	}
	return 0;
}

static void listing_done(Listing *l)
{
	engine_close(&l->engine);
	format_done(&l->format);
	buf_done(&l->ids);
}

int container_ls_run(Invocation *in, Err *e)
{
	AUTO(listing_done) Listing l = { .in = in, .engine = { .root_dir = -1 }, .ids = BUF_INIT(FORMAT_OUTPUT_MAX), .limit = -1 };
	const TemplateHost host = { .field = label_of, .arg = &l, .type = "*formatter.ContainerContext" };
	const Buf *out = &l.ids;
	const char *format = option_value(in, "format");
	if (format && streq(format, "raw")) format = raw;
	l.quiet = option_switch(in, "quiet");
	l.size = option_switch(in, "size") || (format && strstr(format, ".Size"));
	l.full = option_switch(in, "no-trunc");
	l.all = option_switch(in, "all");
	if (option_number(in, "last") >= 0) l.limit = option_number(in, "last");
	if (option_switch(in, "latest")) l.limit = 1;
	l.all |= l.limit >= 0;
	const char *standard =
		l.size ? "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}"
		       : "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
	int r = format_init(&l.format, format, standard, fields, &host, in->arena, e);
	if (r < 0 || (r = skep_engine(in, &l.engine, e)) < 0) return r;
	/* the table of everyday shows nothing of the host's part */
	bool brief = !format && !l.size && !option_list(in, "filter")->n;
	r = brief ? record_list_brief(&l.engine, in->arena, &l.records, e) : record_list(&l.engine, in->arena, &l.records, e);
	const Networks networks = networking_networks(&l.engine);
	if (r < 0 || (r = ports_of(&networks, NULL, in->arena, &l.ports, e)) < 0) return r;
	if ((r = check_filters(&l, e)) < 0 || (r = put_rows(&l, e)) < 0) return r;
	if (!(l.quiet && !format) && (r = format_finish(&l.format, &out, e)) < 0) return r;
	return print_buf(out, e);
}
