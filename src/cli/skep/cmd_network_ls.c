/* cmd_network_ls.c: network ls. */
#include <stdlib.h>

#include "base/time.h"
#include "cli/format.h"
#include "cli/skep/containers.h"
#include "cli/skep/filters.h"
#include "engine/network_view.h"

enum { OUTPUT_MAX = 16 << 20, ROW_MAX = 1 << 20, CREATED_MAX = TIME_TEXT_MAX + sizeof " +0000 UTC" };

#define RAW "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n"

static const FormatField fields[] = {
	{ "ID", "NETWORK ID" }, { "Name", "NAME" },         { "Driver", "DRIVER" }, { "Scope", "SCOPE" },          { "IPv4", "IPV4" },
	{ "IPv6", "IPV6" },     { "Internal", "INTERNAL" }, { "Labels", "LABELS" }, { "CreatedAt", "CREATED AT" }, { 0 }
};

/* ---- filters ---- */

typedef struct Listing {
	Invocation *in;
	Engine engine;
	NetworkList networks;
	const Network *at; /* that is being asked */
} Listing;

static void listing_done(Listing *l)
{
	engine_close(&l->engine);
}

static int is_dangling(Listing *l, Err *e)
{
	if (!network_is_user(l->at)) return 0;
	int r = network_is_used(&l->engine, l->at, l->in->arena, e);
	return r < 0 ? r : !r;
}

static int passes_type(const Network *n, Str value, Err *e)
{
	if (str_eq(value, "builtin")) return !network_is_user(n);
	if (str_eq(value, "custom")) return network_is_user(n);
	return err_set(e, ERR_USAGE, EINVAL, "invalid filter: 'type'='%.*s'", (int)value.n, value.p);
}

/* docker says it otherwise here than elsewhere. */
static int passes_dangling(Listing *l, Str key, Str value, Err *e)
{
	Err ignored = ERR_INIT;
	int want = filter_bool(key, value, &ignored);
	if (want < 0)
		return err_set(e, ERR_USAGE, EINVAL,
			       "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")");
	int r = is_dangling(l, e);
	return r < 0 ? r : r == want;
}

static int passes_one(void *arg, Str key, Str value, Err *e)
{
	Listing *l = arg;
	const Network *n = l->at;
	if (str_eq(key, "driver")) return str_eq(value, n->driver);
	if (str_eq(key, "id")) return filter_matches(value, n->id);
	if (str_eq(key, "name")) return filter_matches(value, n->name);
	if (str_eq(key, "scope")) return str_eq(value, network_scope(n));
	if (str_eq(key, "label")) return filter_label(&n->labels, value);
	if (str_eq(key, "type")) return passes_type(n, value, e);
	return str_eq(key, "dangling") ? passes_dangling(l, key, value, e) : filter_unknown(key, e);
}

/* ---- rows ---- */

static const char *created_text(const Network *n, char text[static CREATED_MAX])
{
	time_format(n->created, TIME_NANOSECONDS, text);
	char *day = strchr(text, 'T'), *zone = strchr(text, 'Z');
	if (day) *day = ' ';
	if (zone) memcpy(zone, " +0000 UTC", sizeof " +0000 UTC");
	return text;
}

static int by_key(const void *x, const void *y)
{
	return strcmp(((const StrPair *)x)->key, ((const StrPair *)y)->key);
}

static int put_row(Listing *l, const Network *n, Format *f, Err *e)
{
	AUTO_BUF labels = BUF_INIT(ROW_MAX);
	char created[CREATED_MAX];
	const char *id = option_switch(l->in, "no-trunc") ? n->id : arena_printf(l->in->arena, "%.*s", NETWORK_SHORT_ID, n->id);
	if (n->labels.n) qsort(n->labels.items, n->labels.n, sizeof *n->labels.items, by_key);
	for (size_t i = 0; i < n->labels.n; i++)
		buf_printf(&labels, i ? ",%s=%s" : "%s=%s", n->labels.items[i].key, n->labels.items[i].value);
	if (!id || buf_failed(&labels)) return err_sys(e, ENOMEM, "network ls");
	const StrPair row[] = { { "CreatedAt", created_text(n, created) },
				{ "Driver", n->driver },
				{ "ID", id },
				{ "IPv4", n->ipv4 ? "true" : "false" },
				{ "IPv6", n->ipv6 ? "true" : "false" },
				{ "Internal", n->internal ? "true" : "false" },
				{ "Labels", buf_str(&labels) },
				{ "Name", n->name },
				{ "Scope", network_scope(n) } };
	return format_texts(f, row, ARRAY_LEN(row), e);
}

/* {{.Label "key"}} */
static int label_of(void *arg, const JsonValue *of, const char *name, const JsonValue *args, size_t n, Arena *a, JsonValue *ret, Err *e)
{
	const Listing *l = arg;
	(void)of;
	(void)a;
	(void)e;
	if (!streq(name, "Label") || n != 1 || args[0].type != JSON_STRING) return 0;
	const char *value = str_map_get(&l->at->labels, args[0].s);
	*ret = (JsonValue){ .type = JSON_STRING, .s = value ? value : "", .n = value ? (uint32_t)strlen(value) : 0 };
	return 1;
}

static int by_name(const void *x, const void *y)
{
	return str_compare_natural(((const Network *)x)->name, ((const Network *)y)->name);
}

static int put_all(Listing *l, Format *f, Buf *ids, Err *e)
{
	const StrList *filters = option_list(l->in, "filter");
	int r = 0, shown = option_switch(l->in, "no-trunc") ? NETWORK_ID_LENGTH : NETWORK_SHORT_ID;
	for (size_t i = 0; r >= 0 && i < l->networks.n; i++) {
		l->at = &l->networks.items[i];
		if ((r = filters_pass(filters, passes_one, l, e)) <= 0) continue;
		if (ids)
			buf_printf(ids, "%.*s\n", shown, l->at->id);
		else
			r = put_row(l, l->at, f, e);
	}
	return r < 0 ? r : 0;
}

int network_ls_run(Invocation *in, Err *e)
{
	AUTO(listing_done) Listing l = { .in = in, .engine = { .root_dir = -1 } };
	AUTO_FORMAT f = { 0 };
	AUTO_BUF ids = BUF_INIT(OUTPUT_MAX);
	const TemplateHost host = { .field = label_of, .arg = &l, .type = "*network.networkContext" };
	const char *format = option_value(in, "format");
	bool quiet = option_switch(in, "quiet") && (!format || streq(format, "table"));
	const Buf *out = &ids;
	if (format && streq(format, "raw")) format = option_switch(in, "quiet") ? "network_id: {{.ID}}" : RAW;
	int r = format_init(&f, format, "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}", fields, &host, in->arena, e);
	if (r < 0 || (r = skep_engine(in, &l.engine, e)) < 0) return r;
	const Networks all = networking_networks(&l.engine);
	if ((r = network_list(&all, in->arena, &l.networks, e)) < 0) return r;
	qsort(l.networks.items, l.networks.n, sizeof *l.networks.items, by_name);
	l.at = &l.networks.items[0];
	r = filters_check(option_list(in, "filter"), passes_one, &l, e);
	if (r >= 0) r = put_all(&l, &f, quiet ? &ids : NULL, e);
	if (r < 0 || (!quiet && (r = format_finish(&f, &out, e)) < 0)) return r;
	return print_buf(out, e);
}
