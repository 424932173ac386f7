/* change.c: see change.h. */
#include "image/change.h"

#include <ctype.h>
#include <strings.h>

#include "sys/path.h"
#include "sys/proc.h"

enum { INSTRUCTION_MAX = 64 << 10, PORTS_MAX = 65536 };

typedef struct Change {
	ImageConfig *config;
	Arena *arena;
	const char *text; /* the whole instruction, for messages */
	bool cmd_set;     /* by one of these instructions: ENTRYPOINT leaves it alone then */
} Change;

static int bad(const Change *c, Err *e, const char *why)
{
	return err_set(e, ERR_USAGE, EINVAL, "change \"%.200s\": %s", c->text, why);
}

static int no_memory(Err *e)
{
	return err_sys(e, ENOMEM, "change an image");
}

/* ---- lists ---- */

static int add_string(const Change *c, StrList *l, const char *s, Err *e)
{
	const char **items = arena_array(c->arena, l->n + 2, sizeof *items);
	if (!items || !s) return no_memory(e);
	if (l->n) memcpy(items, l->items, l->n * sizeof *items);
	items[l->n] = s;
	*l = (StrList){ items, l->n + 1 };
	return 0;
}

static int add_key(const Change *c, StrList *l, const char *s, Err *e)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i], s)) return 0;
	return add_string(c, l, s, e);
}

static int set_pair(const Change *c, StrMap *m, const char *key, const char *value, Err *e)
{
	StrPair *items = arena_array(c->arena, m->n + 1, sizeof *items);
	size_t i = 0;
	if (!items) return no_memory(e);
	if (m->n) memcpy(items, m->items, m->n * sizeof *items);
	while (i < m->n && !streq(items[i].key, key))
		i++;
	items[i] = (StrPair){ key, value };
	*m = (StrMap){ items, i == m->n ? m->n + 1 : m->n };
	return 0;
}

/* ---- words ---- */

/* One character of a word, or what a backslash makes of two. The quote that is open is '"' or 0. */
static int take_char(const Change *c, Str *rest, char quote, Buf *word, Err *e)
{
	char x = *rest->p;
	bool escapes = x == '\\' && rest->n > 1 && (!quote || strchr("\"\\$", rest->p[1]));
	if (x == '$') return bad(c, e, "variables are not expanded here: write \\$ for a dollar sign");
	buf_putc(word, escapes ? rest->p[1] : x);
	*rest = (Str){ rest->p + 1 + escapes, rest->n - 1 - escapes };
	return 0;
}

/* The next word without its quotes: 1, or 0 at the end. all: blanks belong to it, up to the end. */
static int next_word(const Change *c, Str *rest, bool all, const char **ret, Err *e)
{
	AUTO_BUF word = BUF_INIT(INSTRUCTION_MAX);
	char quote = 0;
	*rest = str_trim(*rest);
	if (!rest->n) return 0;
	while (rest->n && (all || quote || !isblank((unsigned char)*rest->p))) {
		char x = *rest->p;
		if ((x == '"' || x == '\'') && (!quote || quote == x)) {
			quote = quote ? 0 : x;
			*rest = (Str){ rest->p + 1, rest->n - 1 };
		} else if (quote == '\'') {
			buf_putc(&word, x);
			*rest = (Str){ rest->p + 1, rest->n - 1 };
		} else {
			int r = take_char(c, rest, quote, &word, e);
			if (r < 0) return r;
		}
	}
	if (quote) return bad(c, e, "a quote is not closed");
	*ret = arena_strdup(c->arena, buf_str(&word));
	return *ret && !buf_failed(&word) ? 1 : no_memory(e);
}

/* ["a", "b"]: 1; 0 when it is not in that form. */
static int json_words(const Change *c, Str args, StrList *ret, Err *e)
{
	JsonValue v;
	Err ignored = ERR_INIT;
	StrList l = { 0 };
	char *copy = arena_str(c->arena, args);
	if (!copy) return no_memory(e);
	if (*copy != '[' || json_parse(copy, args.n, c->arena, &v, &ignored) < 0) return 0;
	for (uint32_t i = 0; i < v.n; i++) {
		if (v.items[i].type != JSON_STRING) return 0;
		int r = add_string(c, &l, v.items[i].s, e);
		if (r < 0) return r;
	}
	*ret = l;
	return 1;
}

/* A command: as JSON, or for the image's shell. */
static int command_words(const Change *c, Str args, StrList *ret, Err *e)
{
	int r = json_words(c, args, ret, e);
	if (r != 0) return r < 0 ? r : 0;
	StrList l = { 0 };
	const StrList *shell = &c->config->config.shell;
	for (size_t i = 0; r >= 0 && i < shell->n; i++)
		r = add_string(c, &l, shell->items[i], e);
	if (r >= 0 && !shell->n) r = add_string(c, &l, "/bin/sh", e);
	if (r >= 0 && !shell->n) r = add_string(c, &l, "-c", e);
	if (r >= 0) r = add_string(c, &l, arena_str(c->arena, args), e);
	if (r >= 0) *ret = l;
	return r;
}

/* key=value …, or the old form: key, and all the rest as the value. */
typedef int PairFn(const Change *c, const char *key, const char *value, Err *e);

static int each_pair(const Change *c, Str args, PairFn *fn, Err *e)
{
	const char *word, *value;
	int n = 0, r;
	while ((r = next_word(c, &args, false, &word, e)) > 0) {
		char *equal = strchr(word, '=');
		if (!equal && n == 0) {
			if ((r = next_word(c, &args, true, &value, e)) <= 0) return r < 0 ? r : bad(c, e, "needs a value: key=value");
			return fn(c, word, value, e);
		}
		if (!equal || equal == word) return bad(c, e, "expected key=value");
		*equal = 0;
		if ((r = fn(c, word, equal + 1, e)) < 0) return r;
		n++;
	}
	return r < 0 ? r : n ? 0 : bad(c, e, "needs key=value");
}

/* Exactly one word. */
static int one_word(const Change *c, Str args, const char **ret, Err *e)
{
	const char *more;
	int r = next_word(c, &args, false, ret, e);
	if (r > 0 && **ret) {
		r = next_word(c, &args, false, &more, e);
		if (r == 0) return 0;
	}
	return r < 0 ? r : bad(c, e, "takes one argument");
}

/* ---- the instructions ---- */

static int do_cmd(Change *c, Str args, Err *e)
{
	c->cmd_set = true;
	return command_words(c, args, &c->config->config.cmd, e);
}

static int do_entrypoint(Change *c, Str args, Err *e)
{
	int r = command_words(c, args, &c->config->config.entrypoint, e);
	if (r >= 0 && !c->cmd_set) c->config->config.cmd = (StrList){ 0 }; /* it was for the entry point before */
	return r;
}

static int set_env(const Change *c, const char *key, const char *value, Err *e)
{
	StrList *env = &c->config->config.env;
	size_t n = strlen(key);
	char *entry = arena_printf(c->arena, "%s=%s", key, value);
	const char **items = arena_array(c->arena, env->n + 2, sizeof *items);
	if (!entry || !items) return no_memory(e);
	size_t i = 0;
	if (env->n) memcpy(items, env->items, env->n * sizeof *items);
	while (i < env->n && !(strncmp(items[i], key, n) == 0 && items[i][n] == '='))
		i++;
	items[i] = entry;
	*env = (StrList){ items, i == env->n ? env->n + 1 : env->n };
	return 0;
}

static int do_env(Change *c, Str args, Err *e)
{
	return each_pair(c, args, set_env, e);
}

static int set_label(const Change *c, const char *key, const char *value, Err *e)
{
	return set_pair(c, &c->config->config.labels, key, value, e);
}

static int do_label(Change *c, Str args, Err *e)
{
	return each_pair(c, args, set_label, e);
}

/* "80", "80/tcp", "8000-8010/udp" */
static int expose(Change *c, const char *word, Err *e)
{
	static const char *const protocols[] = { "tcp", "udp", "sctp" };
	Str ports = str_of(word), protocol = STR("tcp"), low, high;
	uint64_t from, to;
	bool known = false;
	str_cut(ports, '/', &ports, &protocol);
	if (!strchr(word, '/')) protocol = STR("tcp");
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		known = known || (protocol.n == strlen(protocols[i]) && strncasecmp(protocol.p, protocols[i], protocol.n) == 0);
	if (!str_cut(ports, '-', &low, &high)) high = low = ports;
	if (!known || str_to_u64(low, &from) < 0 || str_to_u64(high, &to) < 0 || !from || to >= PORTS_MAX || from > to)
		return bad(c, e, "expected ports from 1 to 65535, like 80, 53/udp, 8000-8010");
	for (uint64_t p = from; p <= to; p++) {
		char *key = arena_printf(c->arena, "%ju/%.*s", (uintmax_t)p, (int)protocol.n, protocol.p);
		if (!key) return no_memory(e);
		for (char *q = key; *q; q++)
			*q = (char)tolower((unsigned char)*q);
		int r = add_key(c, &c->config->config.exposed_ports, key, e);
		if (r < 0) return r;
	}
	return 0;
}

static int do_expose(Change *c, Str args, Err *e)
{
	const char *word;
	int r, n = 0;
	for (; (r = next_word(c, &args, false, &word, e)) > 0; n++)
		if ((r = expose(c, word, e)) < 0) return r;
	return r < 0 ? r : n ? 0 : bad(c, e, "needs a port");
}

static int do_user(Change *c, Str args, Err *e)
{
	return one_word(c, args, &c->config->config.user, e);
}

static int do_workdir(Change *c, Str args, Err *e)
{
	const char *dir, *old = c->config->config.working_dir;
	int r = next_word(c, &args, true, &dir, e);
	if (r <= 0) return r < 0 ? r : bad(c, e, "takes one argument");
	const char *whole = *dir == '/' ? dir : arena_printf(c->arena, "%s/%s", old && *old ? old : "", dir);
	c->config->config.working_dir = whole ? path_clean(c->arena, whole) : NULL;
	return c->config->config.working_dir ? 0 : no_memory(e);
}

static int do_volume(Change *c, Str args, Err *e)
{
	StrList words = { 0 };
	const char *word;
	int r = json_words(c, args, &words, e);
	if (r < 0) return r;
	if (r == 0)
		while ((r = next_word(c, &args, false, &word, e)) > 0)
			if ((r = add_string(c, &words, word, e)) < 0) return r;
	if (r < 0) return r;
	if (!words.n) return bad(c, e, "needs a path");
	for (size_t i = 0; i < words.n; i++) {
		if (!*str_trim(str_of(words.items[i])).p) return bad(c, e, "a path is empty");
		if ((r = add_key(c, &c->config->config.volumes, words.items[i], e)) < 0) return r;
	}
	return 0;
}

static int do_stopsignal(Change *c, Str args, Err *e)
{
	const char *signal;
	int r = one_word(c, args, &signal, e);
	if (r < 0) return r;
	if (signal_by_name(signal) <= 0) return bad(c, e, "no such signal");
	c->config->config.stop_signal = signal;
	return 0;
}

static bool begins_with_word(Str s, const char *word)
{
	size_t n = strlen(word);
	return s.n >= n && strncasecmp(s.p, word, n) == 0 && (s.n == n || isblank((unsigned char)s.p[n]));
}

static int do_onbuild(Change *c, Str args, Err *e)
{
	static const char *const refused[] = { "ONBUILD", "FROM", "MAINTAINER" };
	if (!args.n) return bad(c, e, "needs an instruction");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (begins_with_word(args, refused[i])) return bad(c, e, "ONBUILD, FROM and MAINTAINER are not allowed as triggers");
	return add_string(c, &c->config->config.on_build, arena_str(c->arena, args), e);
}

/* ---- HEALTHCHECK ---- */

/* "1h30m", "1.5s", "200ms", as Go writes durations; at least 1 ms, or 0. */
static int duration(Str s, int64_t *ret)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 } };
	double total = 0;
	*ret = 0;
	if (str_eq(s, "0")) return 0;
	if (!s.n) return -EINVAL;
	while (s.n) {
		double value = 0, scale = 1;
		size_t digits = 0, i = 0, letters = 0, u = 0;
		bool point = false;
		for (; i < s.n && (isdigit((unsigned char)s.p[i]) || (s.p[i] == '.' && !point)); i++) {
			if (s.p[i] == '.') {
				point = true;
				continue;
			}
			value = value * 10 + (s.p[i] - '0');
			if (point) scale *= 10;
			digits++;
		}
		while (i + letters < s.n && isalpha((unsigned char)s.p[i + letters]))
			letters++;
		while (u < ARRAY_LEN(units) && !str_eq((Str){ s.p + i, letters }, units[u].unit))
			u++;
		if (!digits || u == ARRAY_LEN(units)) return -EINVAL;
		total += value / scale * units[u].ns;
		s = (Str){ s.p + i + letters, s.n - i - letters };
	}
	if (!(total == 0 || (total >= 1e6 && total < 9e18))) return -EINVAL;
	*ret = (int64_t)total;
	return 0;
}

static int health_option(const Change *c, Str option, Healthcheck *h, Err *e)
{
	Str name, value;
	const struct {
		const char *name;
		int64_t *to;
	} times[] = { { "--interval", &h->interval },
		      { "--timeout", &h->timeout },
		      { "--start-period", &h->start_period },
		      { "--start-interval", &h->start_interval } };
	if (!str_cut(option, '=', &name, &value)) return bad(c, e, "options are written --name=value");
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		if (str_eq(name, times[i].name))
			return duration(value, times[i].to) < 0 ? bad(c, e, "expected a duration of at least 1ms, like 1m30s") : 0;
	if (!str_eq(name, "--retries")) return bad(c, e, "unknown option");
	int n;
	if (str_to_int(value, &n) < 0 || n < 0) return bad(c, e, "--retries: expected a number");
	h->retries = n;
	return 0;
}

static int health_test(Change *c, Str args, Healthcheck *h, Err *e)
{
	StrList words = { 0 };
	if (begins_with_word(args, "NONE")) {
		if (str_trim(args).n > strlen("NONE")) return bad(c, e, "NONE takes no arguments");
		return add_string(c, &h->test, "NONE", e);
	}
	if (!begins_with_word(args, "CMD")) return bad(c, e, "expected NONE or CMD");
	args = str_trim((Str){ args.p + 3, args.n - 3 });
	if (!args.n) return bad(c, e, "CMD needs a command");
	int r = json_words(c, args, &words, e);
	if (r < 0) return r;
	bool shell = r == 0;
	r = add_string(c, &h->test, shell ? "CMD-SHELL" : "CMD", e);
	if (r >= 0 && shell) r = add_string(c, &h->test, arena_str(c->arena, args), e);
	for (size_t i = 0; r >= 0 && i < words.n; i++)
		r = add_string(c, &h->test, words.items[i], e);
	return r;
}

static int do_healthcheck(Change *c, Str args, Err *e)
{
	Healthcheck *h = arena_alloc(c->arena, sizeof *h);
	if (!h) return no_memory(e);
	while (str_starts(args, "--")) {
		size_t n = 0;
		while (n < args.n && !isblank((unsigned char)args.p[n]))
			n++;
		int r = health_option(c, (Str){ args.p, n }, h, e);
		if (r < 0) return r;
		args = str_trim((Str){ args.p + n, args.n - n });
	}
	int r = health_test(c, args, h, e);
	if (r >= 0) c->config->config.healthcheck = h;
	return r;
}

/* ---- all of them ---- */

static const struct {
	const char *name;
	int (*run)(Change *c, Str args, Err *e);
} instructions[] = {
	{ "CMD", do_cmd },
	{ "ENTRYPOINT", do_entrypoint },
	{ "ENV", do_env },
	{ "EXPOSE", do_expose },
	{ "HEALTHCHECK", do_healthcheck },
	{ "LABEL", do_label },
	{ "ONBUILD", do_onbuild },
	{ "USER", do_user },
	{ "VOLUME", do_volume },
	{ "STOPSIGNAL", do_stopsignal },
	{ "WORKDIR", do_workdir },
};

static int apply(Change *c, Err *e)
{
	Str line = str_trim(str_of(c->text));
	if (line.n > INSTRUCTION_MAX) return bad(c, e, "too long");
	if (memchr(line.p, '\n', line.n)) return bad(c, e, "must be one line");
	for (size_t i = 0; i < ARRAY_LEN(instructions); i++) {
		size_t n = strlen(instructions[i].name);
		if (begins_with_word(line, instructions[i].name))
			return instructions[i].run(c, str_trim((Str){ line.p + n, line.n - n }), e);
	}
	int word = (int)strcspn(line.p, " \t");
	return err_set(e, ERR_USAGE, EINVAL, "%.*s is not a valid change command", word < 200 ? word : 200, line.p);
}

int image_change(ImageConfig *c, const StrList *texts, Arena *a, Err *e)
{
	Change change = { .config = c, .arena = a };
	for (size_t i = 0; i < texts->n; i++) {
		change.text = texts->items[i];
		int r = apply(&change, e);
		if (r < 0) return r;
	}
	return 0;
}
