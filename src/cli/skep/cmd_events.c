/* cmd_events.c: system events. */
#include "base/moment.h"
#include "cli/format.h"
#include "cli/skep/containers.h"
#include "engine/events.h"

enum { OUTPUT_MAX = 16 << 20, EVENT_ARENA = 8 << 20, STATUS_TEMPLATE = 64 };

typedef struct Watching {
	Invocation *in;
	const Template *template; /* NULL: docker's line */
	bool json;
	TemplateHost host;
	uint64_t number; /* of the event that is shown */
	Buf out;
} Watching;

static void watching_done(Watching *w)
{
	buf_done(&w->out);
}

/* The names that Go's struct has for what the document calls otherwise, and the number, which docker's events do not have. */
static int field_of(void *arg, const JsonValue *of, const char *name, const JsonValue *args, size_t n, Arena *a, JsonValue *ret, Err *e)
{
	static const char *const names[][2] = { { "Status", "status" }, { "ID", "id" },     { "From", "from" },
						{ "Scope", "scope" },   { "Time", "time" }, { "TimeNano", "timeNano" } };
	const Watching *w = arg;
	if (!json_get(of, "Action")) {
		*ret = (JsonValue){ .type = JSON_NULL }; /* an attribute that this event does not have */
		return !json_get(of, "Attributes");
	}
	if (streq(name, "Number")) {
		*ret = (JsonValue){ .type = JSON_UINT, .u = w->number };
		return 1;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const JsonValue *v = streq(names[i][0], name) ? json_get(of, names[i][1]) : NULL;
		if (v) *ret = *v;
		if (v) return 1;
		if (!streq(names[i][0], name)) continue;
		*ret = (JsonValue){ .type = JSON_STRING, .s = "" };
		return 1;
	}
	return 0;
}

/* "2026-11-26T10:00:00.123456789+01:00 container start 3f2a… (image=busybox, name=web)" */
static void put_line(Watching *w, const Event *ev)
{
	char when[TIME_TEXT_MAX];
	moment_local(ev->time, when);
	buf_printf(&w->out, "%s %s %s %s", when, ev->type, ev->action, ev->id);
	for (size_t i = 0; i < ev->attributes.n; i++)
		buf_printf(&w->out, "%s%s=%s", i ? ", " : " (", ev->attributes.items[i].key, ev->attributes.items[i].value);
	buf_puts(&w->out, ev->attributes.n ? ")\n" : "\n");
}

static int put_template(Watching *w, Str json, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(EVENT_ARENA);
	JsonValue v;
	char *copy = arena_str(&a, json);
	if (!copy) return err_sys(e, ENOMEM, "events");
	int r = json_parse(copy, json.n, &a, &v, e);
	if (r < 0 || (r = template_execute(w->template, &v, &w->host, &a, &w->out, e)) < 0) return r;
	buf_putc(&w->out, '\n');
	return 0;
}

static int show_all(void *arg, Err *e)
{
	Watching *w = arg;
	int r = w->out.n ? print_buf(&w->out, e) : 0;
	buf_reset(&w->out);
	return r;
}

static int show(void *arg, const EventShown *shown, Err *e)
{
	Watching *w = arg;
	int r = w->out.n > OUTPUT_MAX / 2 ? show_all(w, e) : 0;
	if (r < 0) return r;
	w->number = shown->number;
	if (w->json) {
		buf_put(&w->out, shown->json.p, shown->json.n);
		buf_putc(&w->out, '\n');
	} else if (w->template) {
		return put_template(w, shown->json, e);
	} else {
		put_line(w, &shown->event);
	}
	return 0;
}

static void tell_gap(void *arg)
{
	dprintf(2, "WARNING: events that came before these are not kept any more\n");
}

/* As docker does it: a template that cannot be executed is refused before anything is waited for. */
static int make_template(Watching *w, Err *e)
{
	static const char empty[] =
		"{\"status\":\"\",\"id\":\"\",\"from\":\"\",\"Type\":\"\",\"Action\":\"\",\"Actor\":{\"ID\":\"\",\"Attributes\":{}},"
		"\"scope\":\"\",\"time\":0,\"timeNano\":0}";
	const char *text = option_value(w->in, "format");
	if (!text || !*text) return 0;
	w->json = streq(text, "json");
	if (w->json) return 0;
	int r = template_parse(str_of(text), "", w->in->arena, &w->template, e);
	if (r >= 0) r = put_template(w, (Str){ empty, sizeof empty - 1 }, e);
	buf_reset(&w->out);
	return r < 0 ? err_wrap(e, "Error parsing format") : 0;
}

static int moment_option(const Invocation *in, const char *name, int64_t *ret, Err *e)
{
	const char *text = option_value(in, name);
	*ret = 0;
	if (!text || !*text) return 0;
	int r = moment_parse(str_of(text), time_now(), ret, e);
	if (r >= 0 && !*ret) *ret = 1; /* 0 is "not given" */
	return r;
}

/* --since: "#NUMBER": what came after that event. */
static int since_option(const Invocation *in, EventsOptions *o, Err *e)
{
	const char *text = option_value(in, "since");
	if (!text || text[0] != '#') return moment_option(in, "since", &o->since, e);
	o->resume = true;
	return str_to_u64(str_of(text + 1), &o->after) < 0 ? err_set(e, ERR_USAGE, EINVAL, "\"%s\" is no number of an event", text) : 0;
}

int events_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	AUTO(watching_done) Watching w = { .in = in, .out = BUF_INIT(OUTPUT_MAX) };
	EventsOptions o = { .filters = option_list(in, "filter"), .leaver = 1 };
	const EventsSink to = { .show = show, .idle = show_all, .gap = tell_gap, .arg = &w };
	w.host = (TemplateHost){ .field = field_of, .arg = &w, .type = "*events.Message" };
	if (make_template(&w, e) < 0) {
		tell_failure(in, e);
		return STATUS_TEMPLATE;
	}
	int r = since_option(in, &o, e);
	if (r < 0 || (r = moment_option(in, "until", &o.until, e)) < 0 || (r = events_check_filters(o.filters, e)) < 0) return r;
	if ((r = skep_engine(in, &g, e)) < 0) return r;
	return engine_events(g.root_dir, &o, &to, e);
}
