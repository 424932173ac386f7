/* events.c: see events.h. */
#include "engine/events.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/time.h"

enum { EVENT_ARENA = 4 << 20 };

/* ---- filters ---- */

static const char *const filter_keys[] = { "config", "container", "daemon", "event",  "image",   "label", "network",
					   "node",   "plugin",    "scope",  "secret", "service", "type",  "volume" };

int events_check_filters(const StrList *filters, Err *e)
{
	for (size_t i = 0; i < filters->n; i++) {
		Str key, value;
		bool known = false;
		if (!str_cut(str_of(filters->items[i]), '=', &key, &value))
			return err_set(e, ERR_USAGE, EINVAL, "invalid argument \"%s\" for \"-f, --filter\" flag: invalid filter '%s'",
				       filters->items[i], filters->items[i]);
		for (size_t k = 0; k < ARRAY_LEN(filter_keys); k++)
			known |= str_eq(key, filter_keys[k]);
		if (!known) return err_set(e, ERR_USAGE, EINVAL, "invalid filter '%.*s'", (int)key.n, key.p);
	}
	return 0;
}

static const char *attribute(const Event *ev, const char *name)
{
	const char *value = str_map_get(&ev->attributes, name);
	return value ? value : "";
}

static bool begins(const char *text, Str with)
{
	return strncmp(text, with.p, with.n) == 0;
}

static bool equal_but_tag(const char *name, Str value)
{
	const char *slash = strrchr(name, '/'), *colon = strchr(slash ? slash : name, ':');
	size_t n = colon ? (size_t)(colon - name) : strlen(name);
	return str_eq(value, name) || (n == value.n && memcmp(name, value.p, n) == 0);
}

static bool label_matches(const Event *ev, Str want)
{
	Str key, value;
	bool with_value = str_cut(want, '=', &key, &value);
	for (size_t i = 0; i < ev->attributes.n; i++)
		if (str_eq(key, ev->attributes.items[i].key)) return !with_value || str_eq(value, ev->attributes.items[i].value);
	return false;
}

static bool matches(const Event *ev, Str key, Str value)
{
	if (str_eq(key, "event")) return str_eq(value, ev->action) || (begins(ev->action, value) && ev->action[value.n] == ':');
	if (str_eq(key, "type")) return str_eq(value, ev->type);
	if (str_eq(key, "scope")) return str_eq(value, "local");
	if (str_eq(key, "label")) return label_matches(ev, value);
	if (str_eq(key, "image")) {
		const char *name = attribute(ev, streq(ev->type, "image") ? "name" : "image");
		return equal_but_tag(ev->id, value) || equal_but_tag(name, value);
	}
	char type[16];
	snprintf(type, sizeof type, "%.*s", (int)(key.n < sizeof type ? key.n : sizeof type - 1), key.p);
	return streq(type, ev->type) && (begins(ev->id, value) || begins(attribute(ev, "name"), value));
}

static bool passes(const StrList *filters, const Event *ev)
{
	for (size_t i = 0; filters && i < filters->n; i++) {
		Str key, value, other, other_value;
		bool any = false;
		if (!str_cut(str_of(filters->items[i]), '=', &key, &value)) return false;
		for (size_t k = 0; !any && k < filters->n; k++) {
			if ((k != i && str_eq(key, "label")) || !str_cut(str_of(filters->items[k]), '=', &other, &other_value)) continue;
			any = other.n == key.n && memcmp(other.p, key.p, key.n) == 0 && matches(ev, key, other_value);
		}
		if (!any) return false;
	}
	return true;
}

/* ---- one event ---- */

static const char *text_of(const JsonValue *of, const char *name)
{
	const JsonValue *v = json_get(of, name);
	return v && v->type == JSON_STRING ? v->s : NULL;
}

static int attributes_of(const JsonValue *actor, Arena *a, StrMap *ret)
{
	const JsonValue *v = json_get(actor, "Attributes");
	*ret = (StrMap){ 0 };
	if (!v || v->type != JSON_OBJECT) return 0;
	ret->items = arena_array(a, v->n + 1, sizeof *ret->items);
	if (!ret->items) return -ENOMEM;
	for (size_t i = 0; i < v->n; i++)
		if (v->members[i].value.type == JSON_STRING) ret->items[ret->n++] = (StrPair){ v->members[i].key, v->members[i].value.s };
	return 0;
}

/* -EBADMSG: a line that a crash has torn. */
static int parse_event(Str line, Arena *a, Event *ret)
{
	JsonValue v;
	Err ignored = ERR_INIT;
	char *copy = arena_str(a, line);
	if (!copy) return -ENOMEM;
	if (json_parse(copy, line.n, a, &v, &ignored) < 0) return -EBADMSG;
	const JsonValue *actor = json_get(&v, "Actor"), *time = json_get(&v, "timeNano");
	*ret = (Event){ .type = text_of(&v, "Type"), .action = text_of(&v, "Action"), .id = text_of(actor, "ID") };
	if (!ret->type || !ret->action || !ret->id || !time || time->type != JSON_INT) return -EBADMSG;
	ret->time = time->i;
	return attributes_of(actor, a, &ret->attributes);
}

/* The members that docker still has for old clients come first. */
static void put_event(const Event *ev, JsonWriter *w)
{
	bool container = streq(ev->type, "container");
	json_begin_object(w);
	if (container || streq(ev->type, "image")) {
		json_put_string(w, "status", ev->action);
		json_put_string(w, "id", ev->id);
		if (container && *attribute(ev, "image")) json_put_string(w, "from", attribute(ev, "image"));
	}
	event_members(ev, w);
	json_end_object(w);
}

/* ---- reading ---- */

typedef struct Reading {
	const EventsOptions *o;
	const EventsSink *to;
	EventReader reader;
	int notify;
	bool ended, gap_told;
	Buf json;
} Reading;

static void reading_done(Reading *r)
{
	event_reader_done(&r->reader);
	fd_close(r->notify);
	buf_done(&r->json);
}

/* A line is passed over by its time alone, without being parsed: it stands at the end. */
static bool is_older(Str line, int64_t since)
{
	static const char key[] = "\"timeNano\":";
	enum { TAIL = 40 };
	int64_t time;
	size_t n = line.n < TAIL ? line.n : TAIL;
	const char *tail = line.p + line.n - n, *at = since ? memmem(tail, n, key, sizeof key - 1) : NULL;
	if (!at) return false;
	at += sizeof key - 1;
	return str_to_i64((Str){ at, strspn(at, "0123456789") }, &time) >= 0 && time < since;
}

static int show_line(Reading *r, Str line, uint64_t number, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(EVENT_ARENA);
	EventShown shown = { .number = number };
	JsonWriter w = JSON_WRITER(&r->json);
	if (r->o->resume ? number <= r->o->after : is_older(line, r->o->since)) return 0;
	int x = parse_event(line, &a, &shown.event);
	if (x == -EBADMSG) return 0;
	if (x < 0) return err_sys(e, -x, "read the events");
	if (!r->o->resume && shown.event.time < r->o->since) return 0;
	if (r->o->until && shown.event.time > r->o->until) {
		r->ended = true;
		return 0;
	}
	if (!passes(r->o->filters, &shown.event)) return 0;
	buf_reset(&r->json);
	put_event(&shown.event, &w);
	if (buf_failed(&r->json)) return err_sys(e, ENOMEM, "read the events");
	shown.json = (Str){ r->json.p, r->json.n };
	return r->to->show(r->to->arg, &shown, e);
}

static int show_all(Reading *r, Err *e)
{
	Str line;
	uint64_t number;
	int x = 0;
	while (!r->ended && (x = event_next(&r->reader, &line, &number, e)) > 0) {
		if (r->reader.gap && !r->gap_told && r->to->gap) r->to->gap(r->to->arg);
		r->gap_told |= r->reader.gap;
		if ((x = show_line(r, line, number, e)) < 0) return x;
	}
	return x < 0 ? x : r->to->idle(r->to->arg, e);
}

/* False: no more is wanted. */
static int await(Reading *r, Err *e)
{
	char events[4096];
	struct pollfd p[] = { { r->notify, POLLIN, 0 }, { r->o->leaver, 0, 0 } };
	int64_t left = r->o->until ? (r->o->until - time_now()) / 1000000 + 1 : -1;
	if (r->o->until && left < 0) return 0;
	int n = poll(p, ARRAY_LEN(p), left > INT_MAX ? INT_MAX : (int)left);
	if (n < 0 && errno != EINTR) return err_sys(e, errno, "wait for events");
	if (n > 0 && p[1].revents) return 0;
	while (n > 0 && retry_eintr(read(r->notify, events, sizeof events)) > 0)
		;
	return 1;
}

static int watch(Reading *r, Err *e)
{
	char path[32];
	r->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (r->notify < 0) return err_sys(e, errno, "watch the events");
	snprintf(path, sizeof path, "/proc/self/fd/%d", r->reader.dir);
	return inotify_add_watch(r->notify, path, IN_MODIFY | IN_CREATE) < 0 ? err_sys(e, errno, "watch the events") : 0;
}

int engine_events(int root, const EventsOptions *o, const EventsSink *to, Err *e)
{
	AUTO(reading_done)
	Reading r = { .o = o, .to = to, .reader = { .dir = -1, .segment = -1 }, .notify = -1, .json = BUF_INIT(2 * EVENT_MAX) };
	uint64_t from = o->resume ? o->after : 0;
	int x = o->filters ? events_check_filters(o->filters, e) : 0;
	if (x >= 0 && !o->resume && !o->since) x = event_end(root, &from, e);
	if (x < 0 || (x = event_reader_open(root, from, &r.reader, e)) < 0 || (x = watch(&r, e)) < 0) return x;
	do {
		if ((x = show_all(&r, e)) < 0 || r.ended) return x;
	} while ((x = await(&r, e)) > 0);
	return x;
}
