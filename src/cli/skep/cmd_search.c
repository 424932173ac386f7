/* cmd_search.c: search: docker's index by its own interface, any other registry by its list of repositories. */
#include <sys/mman.h>
#include <unistd.h>

#include "cli/format.h"
#include "cli/skep/endpoints.h"
#include "cli/skep/filters.h"
#include "image/transfer_client.h"
#include "sys/fd.h"

enum { LIST_MAX = 16 << 20, LIMIT_DEFAULT = 25, SHOWN = 45 };

#define INDEX_URL "https://index.docker.io"
#define HUB_URL "https://registry-1.docker.io"

typedef struct Search {
	Invocation *in;
	const char *registry, *term;
	int64_t limit, stars;
	int official, automated; /* 0, 1; -1: either */
	int64_t shown;
	Format format;
} Search;

static int filter_error(const char *key, const char *value, Err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "invalid filter '%s=%s'", key, value);
}

static int read_bool(const char *key, const char *value, int *ret, Err *e)
{
	if (streq(value, "true") || streq(value, "1"))
		*ret = 1;
	else if (streq(value, "false") || streq(value, "0"))
		*ret = 0;
	else
		return filter_error(key, value, e);
	return 0;
}

static int read_filters(Search *s, Err *e)
{
	const StrList *l = option_list(s->in, "filter");
	s->official = s->automated = -1;
	for (size_t i = 0; i < l->n; i++) {
		Str key, value;
		int r = 0;
		filter_cut(l->items[i], &key, &value);
		key = str_trim(key);
		value = str_trim(value);
		const char *text = arena_str(s->in->arena, value);
		if (!text) return err_sys(e, ENOMEM, "search");
		if (str_eq(key, "is-official"))
			r = read_bool("is-official", text, &s->official, e);
		else if (str_eq(key, "is-automated"))
			r = read_bool("is-automated", text, &s->automated, e);
		else if (str_eq(key, "stars"))
			r = str_to_i64(value, &s->stars) < 0 ? filter_error("stars", text, e) : 0;
		else
			return filter_unknown(key, e);
		if (r < 0) return r;
	}
	return 0;
}

/* "host/term" asks that registry; anything else docker.io. */
static int read_term(Search *s, Err *e)
{
	Str all = str_of(s->in->args.items[0]), host, term;
	bool named = str_cut(all, '/', &host, &term) && reference_is_domain(host) &&
		     (memchr(host.p, '.', host.n) || memchr(host.p, ':', host.n) || str_eq(host, "localhost"));
	if (named && (str_eq(host, "docker.io") || str_eq(host, "index.docker.io"))) {
		all = term;
		named = false;
	}
	s->registry = named ? arena_str(s->in->arena, host) : REFERENCE_DOMAIN;
	s->term = arena_str(s->in->arena, named ? term : all);
	if (!s->registry || !s->term) return err_sys(e, ENOMEM, "search");
	return *s->term || named ? 0 : err_set(e, ERR_USAGE, EINVAL, "search: the term is empty");
}

/* ---- rows ---- */

static const char *description(const Search *s, const char *text)
{
	char *flat = arena_strdup(s->in->arena, text);
	for (char *c = flat; c && *c; c++)
		if (*c == '\n' || *c == '\r') *c = ' ';
	if (!flat || option_switch(s->in, "no-trunc")) return flat;
	Str rest = str_of(flat);
	size_t width = 0, cut = 0; /* characters; bytes of the first SHOWN - 1 of them */
	while (rest.n) {
		size_t n = str_utf8(rest);
		if (width == SHOWN - 1) cut = (size_t)(rest.p - flat);
		width++;
		rest = (Str){ rest.p + (n ? n : 1), rest.n - (n ? n : 1) };
	}
	return width > SHOWN ? arena_printf(s->in->arena, "%.*s…", (int)cut, flat) : flat;
}

typedef struct Found {
	const char *name, *description;
	int64_t stars;
	bool official, automated;
} Found;

static int put_row(Search *s, const Found *found, Err *e)
{
	char number[24];
	bool left_out = (s->official >= 0 && s->official != found->official) || (s->automated >= 0 && s->automated != found->automated) ||
			found->stars < s->stars;
	if (left_out || s->shown == s->limit) return 0;
	s->shown++;
	const char *text = description(s, found->description);
	if (!text) return err_sys(e, ENOMEM, "search");
	snprintf(number, sizeof number, "%jd", (intmax_t)found->stars);
	const StrPair row[] = {
		{ "Description", text },
		{ "IsAutomated", found->automated ? "[OK]" : "" },
		{ "IsOfficial", found->official ? "[OK]" : "" },
		{ "Name", found->name },
		{ "StarCount", number },
	};
	return format_texts(&s->format, row, ARRAY_LEN(row), e);
}

/* A line of the index' results. */
static int put_result(Search *s, Str line, Err *e)
{
	JsonValue v;
	char *text = arena_str(s->in->arena, line);
	int r = text ? json_parse(text, line.n, s->in->arena, &v, e) : err_sys(e, ENOMEM, "search");
	if (r < 0) return r;
	const JsonValue *name = json_get(&v, "name"), *about = json_get(&v, "description"), *stars = json_get(&v, "star_count");
	const JsonValue *official = json_get(&v, "is_official"), *automated = json_get(&v, "is_automated");
	if (!name || name->type != JSON_STRING) return 0;
	const Found found = { .name = name->s,
			      .description = about && about->type == JSON_STRING ? about->s : "",
			      .stars = stars && stars->type == JSON_INT ? stars->i : 0,
			      .official = official && official->type == JSON_BOOL && official->boolean,
			      .automated = automated && automated->type == JSON_BOOL && automated->boolean };
	return put_row(s, &found, e);
}

/* A line of a registry's repositories. */
static int put_repository(Search *s, Str line, Err *e)
{
	char *name = arena_str(s->in->arena, line), *full = arena_printf(s->in->arena, "%s/%.*s", s->registry, (int)line.n, line.p);
	if (!name || !full) return err_sys(e, ENOMEM, "search");
	if (!strstr(name, s->term)) return 0;
	return put_row(s, &(Found){ .name = full, .description = "" }, e);
}

/* ---- asking ---- */

static int ask(Search *s, bool index, Buf *text, Err *e)
{
	AUTO_TRANSFER TransferClient *worker = NULL;
	AUTO_FD int body = memfd_create("skep-search", MFD_CLOEXEC);
	Endpoints at;
	Reference ref = { .domain = s->registry, .path = "" };
	int r = endpoints_find(s->in, &ref, &at, e);
	if (r < 0) return r;
	if (body < 0) return err_sys(e, errno, "memfd_create");
	TransferEndpoint *items = arena_array(s->in->arena, at.n + 1, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "search");
	for (size_t i = 0; i < at.n; i++) {
		items[i] = at.items[i];
		if (index && streq(items[i].url, HUB_URL)) items[i].url = INDEX_URL;
	}
	TransferRequest req = { .op = index ? TRANSFER_SEARCH : TRANSFER_CATALOG,
				.endpoints = { items, at.n },
				.reference = index ? s->term : NULL,
				.limit = index ? (uint64_t)s->limit : 0,
				.tuning.attempts = 3 };
	r = transfer_start(&(TransferOptions){ 0 }, &worker, e);
	if (r >= 0) r = transfer_call(worker, &req, &(TransferFds){ .body = body }, NULL, NULL, s->in->arena, NULL, e);
	if (r < 0) return err_wrap(e, "search at %s", s->registry);
	if (lseek(body, 0, SEEK_SET) < 0 || (r = fd_read_all(body, text)) < 0) return err_sys(e, r < 0 ? r : errno, "read what was found");
	return 0;
}

static void search_done(Search *s)
{
	format_done(&s->format);
}

int search_run(Invocation *in, Err *e)
{
	static const FormatField fields[] = { { "Name", "NAME" },           { "Description", "DESCRIPTION" }, { "StarCount", "STARS" },
					      { "IsOfficial", "OFFICIAL" }, { "IsAutomated", "AUTOMATED" },   { 0 } };
	AUTO(search_done) Search s = { .in = in, .limit = option_is_set(in, "limit") ? option_number(in, "limit") : LIMIT_DEFAULT };
	AUTO_BUF text = BUF_INIT(LIST_MAX);
	const Buf *out;
	Str rest, line;
	if (s.limit < 1 || s.limit > 100)
		return err_set(e, ERR_USAGE, EINVAL, "Limit %jd is outside the range of [1, 100]", (intmax_t)s.limit);
	int r = read_term(&s, e);
	bool index = r >= 0 && streq(s.registry, REFERENCE_DOMAIN);
	if (r >= 0) r = read_filters(&s, e);
	if (r >= 0)
		r = format_init(&s.format, option_value(in, "format"), "table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
				fields, NULL, in->arena, e);
	if (r < 0 || (r = ask(&s, index, &text, e)) < 0) return r;
	rest = (Str){ buf_str(&text), text.n };
	while (r >= 0 && str_next(&rest, '\n', &line))
		if (line.n) r = index ? put_result(&s, line, e) : put_repository(&s, line, e);
	if (r < 0 || (r = format_finish(&s.format, &out, e)) < 0) return r;
	return print_buf(out, e);
}
