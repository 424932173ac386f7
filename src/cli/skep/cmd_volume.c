/* cmd_volume.c: volume create, ls, inspect, rm. */
#include "base/time.h"
#include "cli/format.h"
#include "cli/skep/containers.h"
#include "cli/skep/filters.h"
#include "cli/skep/inspect.h"
#include "engine/mounts.h"
#include "monitor/volume_hold.h"

enum { OUTPUT_MAX = 16 << 20, ROW_MAX = 1 << 20 };

/* ---- create ---- */

int volume_create_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	Volume want = { .driver = option_value(in, "driver") }, made;
	char name[VOLUME_ANONYMOUS_NAME + 1];
	const char *given = option_value(in, "name");
	bool is_new = false;
	if (in->args.n && given && *given)
		return err_set(e, ERR_USAGE, EINVAL,
			       "conflicting options: cannot specify a volume-name through both --name and as a positional arg");
	int r = option_map(in, "label", &want.labels);
	if (r >= 0) r = option_map(in, "opt", &want.options);
	if (r < 0) return err_sys(e, ENOMEM, "volume create");
	want.name = in->args.n ? in->args.items[0] : given;
	if (!want.name || !*want.name) {
		if ((r = volume_new_name(name, e)) < 0) return r;
		want.name = name;
		want.anonymous = true;
	}
	if ((r = skep_engine(in, &g, e)) < 0) return r;
	const Volumes v = engine_volumes(&g);
	if ((r = volume_create(&v, &want, in->arena, &made, &is_new, e)) < 0) return r;
	if (is_new) volume_event(&g, "create", made.name);
	return dprintf(1, "%s\n", made.name) < 0 ? err_sys(e, errno, "write to standard output") : 0;
}

/* ---- what is shown ---- */

/* Of a volume that is mounted: how many containers have it now. */
static void put_status(JsonWriter *w, int holders)
{
	if (!holders) return;
	json_key(w, "Status");
	json_begin_object(w);
	json_put_int(w, "MountCount", holders);
	json_end_object(w);
}

static int volume_json(Engine *g, const char *name, Arena *a, JsonWriter *w, Err *e)
{
	const Volumes all = engine_volumes(g);
	char created[TIME_TEXT_MAX];
	Volume v;
	int r = volume_find(&all, name, a, &v, e);
	if (r < 0) return r;
	const char *path = volume_path(&all, v.name, a);
	if (!path) return err_sys(e, ENOMEM, "volume inspect");
	time_format(v.created, TIME_SECONDS, created);
	const struct {
		const char *key;
		const StrMap *map;
	} maps[] = { { "Labels", &v.labels }, { "Options", &v.options } };
	json_begin_object(w);
	json_put_string(w, "CreatedAt", created);
	json_put_string(w, "Driver", v.driver);
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		if (i == 1) {
			json_put_string(w, "Mountpoint", path);
			json_put_string(w, "Name", v.name);
		}
		json_key(w, maps[i].key);
		if (!maps[i].map->n) {
			json_null(w);
			continue;
		}
		json_begin_object(w);
		for (size_t k = 0; k < maps[i].map->n; k++)
			json_put_string(w, maps[i].map->items[k].key, maps[i].map->items[k].value);
		json_end_object(w);
	}
	json_put_string(w, "Scope", "local");
	put_status(w, volume_holders(g->root_dir, v.name));
	json_end_object(w);
	return 0;
}

int inspect_volume(Engine *g, Invocation *in, const char *name, JsonWriter *w, Err *e)
{
	return volume_json(g, name, in->arena, w, e);
}

int volume_inspect_run(Invocation *in, Err *e)
{
	return inspect_each(in, inspect_volume, e);
}

/* ---- ls ---- */

static const FormatField fields[] = { { "Driver", "DRIVER" },
				      { "Name", "VOLUME NAME" },
				      { "Mountpoint", "MOUNTPOINT" },
				      { "Scope", "SCOPE" },
				      { "Labels", "LABELS" },
				      { "Links", "LINKS" },
				      { "Size", "SIZE" },
				      { "Availability", "AVAILABILITY" },
				      { "Group", "GROUP" },
				      { "Status", "STATUS" },
				      { 0 } };

static int is_dangling(const Volumes *all, const Volume *v, Arena *a, Err *e)
{
	StrList users;
	int r = volume_users(all, v->name, a, &users, e);
	return r < 0 ? r : users.n == 0;
}

typedef struct Asked {
	const Volumes *all;
	const Volume *volume;
	Arena *arena;
} Asked;

static int passes_one(void *arg, Str key, Str value, Err *e)
{
	const Asked *q = arg;
	if (str_eq(key, "name")) return filter_matches(value, q->volume->name);
	if (str_eq(key, "driver")) return str_eq(value, q->volume->driver);
	if (str_eq(key, "label")) return filter_label(&q->volume->labels, value);
	if (!str_eq(key, "dangling")) return filter_unknown(key, e);
	int want = filter_bool(key, value, e);
	if (want < 0) return want;
	int r = is_dangling(q->all, q->volume, q->arena, e);
	return r < 0 ? r : (r > 0) == want;
}

/* What is wrong is said also when there are no volumes. */
static int check_filters(const Invocation *in, const Volumes *all, Err *e)
{
	const Volume none = { .name = "", .driver = "" };
	return filters_check(option_list(in, "filter"), passes_one, &(Asked){ all, &none, in->arena }, e);
}

static int put_row(Invocation *in, const Volumes *all, const Volume *v, Format *f, Err *e)
{
	AUTO_BUF labels = BUF_INIT(ROW_MAX);
	for (size_t i = 0; i < v->labels.n; i++)
		buf_printf(&labels, i ? ",%s=%s" : "%s=%s", v->labels.items[i].key, v->labels.items[i].value);
	const char *path = volume_path(all, v->name, in->arena);
	if (!path || buf_failed(&labels)) return err_sys(e, ENOMEM, "volume ls");
	const StrPair row[] = {
		{ "Availability", "N/A" }, { "Driver", v->driver }, { "Group", "N/A" },  { "Labels", buf_str(&labels) },
		{ "Links", "N/A" },        { "Mountpoint", path },  { "Name", v->name }, { "Scope", "local" },
		{ "Size", "N/A" },         { "Status", "N/A" },
	};
	return format_texts(f, row, ARRAY_LEN(row), e);
}

typedef struct LabelArg {
	const VolumeList *list;
} LabelArg;

/* {{.Label "key"}} */
static int label_of(void *arg, const JsonValue *of, const char *name, const JsonValue *args, size_t n, Arena *a, JsonValue *ret, Err *e)
{
	const LabelArg *l = arg;
	const JsonValue *own = json_get(of, "Name");
	if (!streq(name, "Label") || n != 1 || args[0].type != JSON_STRING) return 0;
	*ret = (JsonValue){ .type = JSON_STRING, .s = "" };
	for (size_t i = 0; own && i < l->list->n; i++) {
		const char *value = streq(l->list->items[i].name, own->s) ? str_map_get(&l->list->items[i].labels, args[0].s) : NULL;
		if (!value) continue;
		ret->s = value;
		ret->n = (uint32_t)strlen(value);
	}
	return 1;
}

int volume_ls_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	AUTO_FORMAT f = { 0 };
	AUTO_BUF names = BUF_INIT(OUTPUT_MAX);
	const Buf *out = &names;
	VolumeList l = { 0 };
	const LabelArg arg = { &l };
	const TemplateHost host = { .field = label_of, .arg = (void *)(uintptr_t)&arg, .type = "*formatter.volumeContext" };
	const char *format = option_value(in, "format");
	bool quiet = option_switch(in, "quiet") && !format;
	if (option_switch(in, "cluster")) return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "--cluster: there are no volumes of a cluster yet");
	int r = format_init(&f, format, "table {{.Driver}}\t{{.Name}}", fields, &host, in->arena, e);
	if (r < 0 || (r = skep_engine(in, &g, e)) < 0) return r;
	const Volumes all = engine_volumes(&g);
	if ((r = check_filters(in, &all, e)) >= 0) r = volume_list(&all, in->arena, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++) {
		r = filters_pass(option_list(in, "filter"), passes_one, &(Asked){ &all, &l.items[i], in->arena }, e);
		if (r <= 0) continue;
		if (quiet)
			buf_printf(&names, "%s\n", l.items[i].name);
		else
			r = put_row(in, &all, &l.items[i], &f, e);
	}
	if (r < 0 || (!quiet && (r = format_finish(&f, &out, e)) < 0)) return r;
	return print_buf(out, e);
}

/* ---- rm ---- */

int volume_rm_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	bool force = option_switch(in, "force");
	int status = 0, r = skep_engine(in, &g, e);
	if (r < 0) return r;
	const Volumes all = engine_volumes(&g);
	for (size_t i = 0; i < in->args.n; i++) {
		Err why = ERR_INIT;
		r = volume_remove(&all, in->args.items[i], &why);
		if (r < 0 && !(r == -ENOENT && force)) {
			tell_failure(in, &why);
			status = 1;
			continue;
		}
		if (r >= 0) volume_event(&g, "destroy", in->args.items[i]);
		if (dprintf(1, "%s\n", in->args.items[i]) < 0) return err_sys(e, errno, "write to standard output");
	}
	r = store_sweep(g.store, e);
	return r < 0 ? r : status;
}
