/* options_environment.c: --env, --env-file, --label, --label-file, and the proxies of docker's config.json. */
#include <ctype.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/skep/commands.h"
#include "cli/skep/container/options_impl.h"
#include "image/docker_config.h"
#include "sys/fd.h"

enum { FILE_MAX = 16 << 20, LINE_MAX_BYTES = 64 << 10 };

int check_env(const char *text, Err *e)
{
	return *text && *text != '=' ? 0 : err_set(e, ERR_USAGE, EINVAL, "invalid environment variable: %.*s", SHOWN, text);
}

int check_label(const char *text, Err *e)
{
	const char *key = text + strspn(text, " \t");
	size_t n = strcspn(key, "=");
	if (!n) return err_set(e, ERR_USAGE, EINVAL, "invalid label '%.*s': empty name", SHOWN, text);
	if (strcspn(key, " \t") < n)
		return err_set(e, ERR_USAGE, EINVAL, "label '%.*s' contains whitespaces", (int)(n > SHOWN ? SHOWN : n), key);
	return 0;
}

/* ---- files of names and values, one a line ---- */

static bool is_utf8(Str s)
{
	while (s.n) {
		size_t n = str_utf8(s);
		if (!n) return false;
		s = (Str){ s.p + n, s.n - n };
	}
	return true;
}

/* With the bytes, as Go prints them. */
static int bad_utf8(Str line, size_t number, Err *e)
{
	AUTO_BUF b = BUF_INIT(4 * SHOWN);
	for (size_t i = 0; i < line.n && i < SHOWN; i++)
		buf_printf(&b, "%s%u", i ? " " : "", (unsigned char)line.p[i]);
	return err_set(e, ERR_USAGE, EINVAL, "invalid utf8 bytes at line %zu: [%s]", number, buf_str(&b));
}

/* One line, without its end. Values that are looked up may be missing: then so is the line. */
static int take_line(Str line, size_t number, bool look_up, Arena *a, StrList *ret, Err *e)
{
	Str key, value;
	if (line.n > LINE_MAX_BYTES) return err_set(e, ERR_USAGE, EFBIG, "line %zu is too long", number);
	if (!is_utf8(line)) return bad_utf8(line, number, e);
	if (number == 1 && str_starts(line, "\xef\xbb\xbf")) line = (Str){ line.p + 3, line.n - 3 };
	while (line.n && isspace((unsigned char)*line.p))
		line = (Str){ line.p + 1, line.n - 1 };
	if (!line.n || *line.p == '#') return 0;
	bool has_value = str_cut(line, '=', &key, &value);
	int shown = (int)(key.n > SHOWN ? SHOWN : key.n);
	if (!key.n) return err_set(e, ERR_USAGE, EINVAL, "no variable name on line '%.*s'", (int)(line.n > SHOWN ? SHOWN : line.n), line.p);
	if (memchr(key.p, ' ', key.n) || memchr(key.p, '\t', key.n))
		return err_set(e, ERR_USAGE, EINVAL, "variable '%.*s' contains whitespaces", shown, key.p);
	const char *text = arena_str(a, line);
	if (text && !has_value) {
		const char *found = look_up ? getenv(text) : NULL;
		if (!found) return 0;
		text = arena_printf(a, "%s=%s", text, found);
	}
	return str_list_add(ret, text, a) < 0 ? no_memory(e) : 0;
}

static int parse_lines(Str rest, bool look_up, Arena *a, StrList *ret, Err *e)
{
	Str line;
	int r = 0;
	for (size_t number = 1; r >= 0 && str_next(&rest, '\n', &line); number++) {
		if (memchr(line.p, 0, line.n)) return err_set(e, ERR_USAGE, EINVAL, "a NUL byte in line %zu", number);
		if (line.n && line.p[line.n - 1] == '\r') line.n--;
		r = take_line(line, number, look_up, a, ret, e);
	}
	return r;
}

/* Pipes are read as well: --env-file <(command). */
static int read_file(const char *path, bool look_up, Arena *a, StrList *ret, Err *e)
{
	AUTO_BUF b = BUF_INIT(FILE_MAX);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) return err_sys(e, errno, "open %.*s", SHOWN, path);
	int r = fd_read_all(fd, &b);
	r = r < 0 ? err_sys(e, -r, "read %.*s", SHOWN, path) : parse_lines((Str){ buf_str(&b), b.n }, look_up, a, ret, e);
	return r < 0 ? err_wrap(e, "invalid env file (%.*s)", SHOWN, path) : 0;
}

static int read_files(Invocation *in, const char *option, bool look_up, StrList *ret, Err *e)
{
	const StrList *files = option_list(in, option);
	int r = 0;
	*ret = (StrList){ 0 };
	for (size_t i = 0; r >= 0 && i < files->n; i++)
		r = read_file(files->items[i], look_up, in->arena, ret, e);
	return r;
}

/* ---- environment ---- */

int environment_read(Invocation *in, StrList *ret, Err *e)
{
	const StrList *given = option_list(in, "env");
	int r = read_files(in, "env-file", true, ret, e);
	for (size_t i = 0; r >= 0 && i < given->n; i++) {
		const char *item = given->items[i], *value = strchr(item, '=') ? NULL : getenv(item);
		if (value) item = arena_printf(in->arena, "%s=%s", item, value);
		if (str_list_add(ret, item, in->arena) < 0) r = no_memory(e);
	}
	return r;
}

static bool names(const StrList *given, const char *name)
{
	for (size_t i = 0; i < given->n; i++) {
		Str key, value;
		str_cut(str_of(given->items[i]), '=', &key, &value);
		if (str_eq(key, name)) return true;
	}
	return false;
}

/* In capitals and in small letters, unless --env names it. */
static int add_proxy(const OptionParse *p, const char *name, const char *value)
{
	const StrList *given = option_list(p->in, "env");
	char *small = arena_strdup(p->arena, name);
	if (!small) return -ENOMEM;
	for (char *c = small; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (int i = 0; i < 2; i++) {
		const char *spelled = i ? small : name;
		if (names(given, spelled)) continue;
		int r = str_list_add(&p->to->config.env, arena_printf(p->arena, "%s=%s", spelled, value), p->arena);
		if (r < 0) return r;
	}
	return 0;
}

static int add_proxies(const OptionParse *p, const DockerConfig *c)
{
	Proxies proxies;
	docker_config_proxies(c, NULL, &proxies);
	const StrPair pairs[] = {
		{ "HTTP_PROXY", proxies.http }, { "HTTPS_PROXY", proxies.https }, { "NO_PROXY", proxies.no },
		{ "FTP_PROXY", proxies.ftp },   { "ALL_PROXY", proxies.all },
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		if (!pairs[i].value || !*pairs[i].value) continue;
		int r = add_proxy(p, pairs[i].key, pairs[i].value);
		if (r < 0) return r;
	}
	return 0;
}

const char *config_detach_keys(const DockerConfig *c)
{
	const JsonValue *keys = c->root ? json_get(c->root, "detachKeys") : NULL;
	return keys && keys->type == JSON_STRING && *keys->s ? keys->s : NULL;
}

/* A file that cannot be read is no reason not to start anything: docker warns as well. */
static int take_config(const OptionParse *p)
{
	DockerConfig c;
	Err why = ERR_INIT;
	const Skep *skep = p->in->app;
	if (docker_config_load(skep ? skep->config : NULL, p->arena, &c, &why) < 0) {
		const char *warning = arena_printf(p->arena, "Error loading config file: %s", why.msg);
		return str_list_add(&p->to->warnings, warning, p->arena);
	}
	if (!p->to->detach_keys) p->to->detach_keys = config_detach_keys(&c);
	return add_proxies(p, &c);
}

int options_environment(const OptionParse *p)
{
	int r = environment_read(p->in, &p->to->config.env, p->e);
	if (r < 0) return r;
	return take_config(p) < 0 ? no_memory(p->e) : 0;
}

int options_labels(const OptionParse *p)
{
	StrList all;
	const StrList *given = option_list(p->in, "label");
	int r = read_files(p->in, "label-file", false, &all, p->e);
	for (size_t i = 0; r >= 0 && i < given->n; i++)
		if (str_list_add(&all, given->items[i], p->arena) < 0) r = no_memory(p->e);
	for (size_t i = 0; r >= 0 && i < all.n; i++) {
		Str key, value;
		str_cut(str_of(all.items[i]), '=', &key, &value);
		if (str_map_set(&p->to->config.labels, arena_str(p->arena, key), arena_str(p->arena, value), p->arena) < 0)
			r = no_memory(p->e);
	}
	return r;
}
