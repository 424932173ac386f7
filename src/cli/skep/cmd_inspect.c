/* cmd_inspect.c: inspect, container inspect. */
#include <unistd.h>

#include "cli/format.h"
#include "cli/skep/containers.h"
#include "cli/skep/inspect.h"
#include "cli/skep/inspect_shape.h"
#include "engine/view.h"

static int print_list(const JsonValue *list, Err *e)
{
	AUTO_BUF out = BUF_INIT(INSPECT_MAX);
	JsonWriter w = JSON_WRITER(&out);
	w.indent = 4;
	json_value(&w, list);
	buf_putc(&out, '\n');
	return print_buf(&out, e);
}

static int compare_members(const void *x, const void *y)
{
	return strcmp(((const JsonMember *)x)->key, ((const JsonMember *)y)->key);
}

static void sort_keys(JsonValue *v)
{
	if (v->type == JSON_OBJECT && v->n) qsort(v->members, v->n, sizeof *v->members, compare_members);
	for (uint32_t i = 0; i < v->n && (v->type == JSON_OBJECT || v->type == JSON_ARRAY); i++)
		sort_keys(v->type == JSON_OBJECT ? &v->members[i].value : &v->items[i]);
}

/* A template that does not fit docker's structs gets the document as maps. */
static int print_one(Format *f, const JsonValue *typed, const JsonValue *plain, Err *e)
{
	Err ignored = ERR_INIT;
	size_t before = f->out.n;
	if (format_row(f, typed, &ignored) >= 0) return 0;
	f->out.n = before;
	return format_row(f, plain, e);
}

/* When a template fails there is an empty line. */
static int print_each(Invocation *in, const JsonValue *typed, const JsonValue *plain, const char *text, Err *e)
{
	AUTO_FORMAT f = { 0 };
	const Buf *out;
	int r = format_init(&f, text, text, NULL, NULL, in->arena, e);
	if (r < 0) return r;
	for (size_t i = 0; r >= 0 && i < typed->n; i++)
		r = print_one(&f, &typed->items[i], &plain->items[i], e);
	if (r < 0) {
		(void)!write(1, "\n", 1);
		return r;
	}
	return (r = format_finish(&f, &out, e)) < 0 ? r : print_buf(out, e);
}

static int parse(const Buf *json, Arena *a, JsonValue *ret, Err *e)
{
	char *text = buf_failed(json) ? NULL : arena_str(a, (Str){ json->p, json->n });
	return text ? json_parse(text, json->n, a, ret, e) : err_sys(e, ENOMEM, "inspect");
}

int inspect_print(Invocation *in, const Buf *json, Err *e)
{
	const char *format = option_value(in, "format");
	JsonValue typed, plain;
	int r = parse(json, in->arena, &typed, e);
	for (uint32_t i = 0; r >= 0 && i < typed.n; i++)
		if (shape_document(&typed.items[i], in->arena) < 0) return err_sys(e, ENOMEM, "inspect");
	if (r < 0) return r;
	if (!format || !*format) return print_list(&typed, e);
	if ((r = parse(json, in->arena, &plain, e)) < 0) return r;
	sort_keys(&plain);
	return print_each(in, &typed, &plain, format, e);
}

static int put_container(Engine *g, Invocation *in, const char *name, JsonWriter *w, Err *e)
{
	Record c;
	ContainerView v;
	int r = record_find(g, name, in->arena, &c, e);
	if (r < 0 || (r = container_view(g, &c, in->arena, &v, e)) < 0) return r;
	return container_view_json(g, &v, option_switch(in, "size"), in->arena, w, e);
}

static int put_image(Engine *g, Invocation *in, const char *name, JsonWriter *w, Err *e)
{
	Image i;
	int r = image_find(g->store, name, in->arena, &i, e);
	return r < 0 ? r : image_json(g->store, &i, in->arena, w, e);
}

/* The first kind that has an object of that name, in docker's order. */
static int put_any(Engine *g, Invocation *in, const char *name, JsonWriter *w, Err *e)
{
	const char *type = option_value(in, "type");
	bool any = !type || !*type;
	int r = -ENOENT;
	if (any || streq(type, "container")) r = put_container(g, in, name, w, e);
	if (r == -ENOENT && (any || streq(type, "image"))) r = put_image(g, in, name, w, e);
	if (r == -ENOENT && (any || streq(type, "network"))) r = inspect_network(g, in, name, w, e);
	if (r == -ENOENT && (any || streq(type, "volume"))) r = inspect_volume(g, in, name, w, e);
	if (r == -ENOENT && any) return err_set(e, ERR_NOT_FOUND, ENOENT, "Error: No such object: %s", name);
	return r;
}

int inspect_each(Invocation *in, InspectFn *put, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	AUTO_BUF b = BUF_INIT(INSPECT_MAX);
	JsonWriter w = JSON_WRITER(&b);
	bool failed = false;
	int r = skep_engine(in, &g, e);
	if (r < 0) return r;
	json_begin_array(&w);
	for (size_t i = 0; i < in->args.n; i++) {
		Err why = ERR_INIT;
		if (put(&g, in, in->args.items[i], &w, &why) >= 0) continue;
		if (failed) tell_failure(in, e);
		*e = why;
		failed = true;
	}
	json_end_array(&w);
	Err printing = ERR_INIT;
	if ((r = inspect_print(in, &b, &printing)) < 0) {
		*e = printing;
		return r;
	}
	return failed ? -(e->errnum ? e->errnum : EIO) : 0;
}

int inspect_run(Invocation *in, Err *e)
{
	const char *type = option_value(in, "type");
	static const char *const types[] = { "container", "image", "network", "volume" };
	bool known = !type || !*type;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		known |= type && streq(type, types[i]);
	if (!known)
		return err_set(e, ERR_USAGE, EINVAL,
			       "unknown type: \"%s\": must be one of \"container\", \"image\", \"network\", \"volume\"", type);
	return inspect_each(in, put_any, e);
}

int container_inspect_run(Invocation *in, Err *e)
{
	return inspect_each(in, put_container, e);
}
