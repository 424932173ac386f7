/* options_device.c: --device, --device-cgroup-rule, --gpus. */
#include <ctype.h>

#include "cli/skep/container/options_impl.h"
#include "sys/path.h"

/* ---- rules ---- */

/* Digits or "*" up to end; what is behind it. NULL: neither. */
static const char *skip_number(const char *p, char end)
{
	const char *digits = p;
	if (*p == '*')
		p++;
	else
		while (isdigit((unsigned char)*p))
			p++;
	return p > digits && *p == end ? p + 1 : NULL;
}

/* "c 1:3 rwm" */
int check_device_rule(const char *text, Err *e)
{
	const char *p = *text && strchr("acb", *text) && text[1] == ' ' ? text + 2 : NULL;
	p = p ? skip_number(p, ':') : NULL;
	p = p ? skip_number(p, ' ') : NULL;
	size_t n = p ? strspn(p, "rwm") : 0;
	if (n >= 1 && n <= 3 && !p[n]) return 0;
	return err_set(e, ERR_USAGE, EINVAL, "invalid device cgroup format '%.*s'", SHOWN, text);
}

/* ---- devices ---- */

/* Each of "rwm" at most once. */
static bool is_mode(Str s)
{
	static const char modes[] = "rwm";
	bool seen[3] = { false };
	for (size_t i = 0; i < s.n; i++) {
		const char *at = s.p[i] ? strchr(modes, s.p[i]) : NULL;
		if (!at || seen[(size_t)(at - modes)]) return false;
		seen[(size_t)(at - modes)] = true;
	}
	return s.n > 0;
}

static bool is_word(Str s, const char *more)
{
	if (!s.n || !isalnum((unsigned char)s.p[0]) || !isalnum((unsigned char)s.p[s.n - 1])) return false;
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && !strchr(more, s.p[i])) return false;
	return true;
}

/* "vendor.com/class=name": a device of the Container Device Interface. */
static bool is_cdi(const char *text)
{
	Str kind, name, vendor, class;
	if (*text == '/' || !str_cut(str_of(text), '=', &kind, &name) || !str_cut(kind, '/', &vendor, &class)) return false;
	return is_word(vendor, "_-.") && isalpha((unsigned char)*vendor.p) && is_word(class, "_-.") && isalpha((unsigned char)*class.p) &&
	       is_word(name, "_-.:");
}

static int split_device(const char *text, Str parts[static 3], size_t *ret_n, Err *e)
{
	Str rest = str_of(text);
	size_t n = 0;
	for (const char *p = text; *p; p++)
		n += *p == ':';
	if (n > 2 || !*text || *text == ':') return err_set(e, ERR_USAGE, EINVAL, "bad format for path: %.*s", SHOWN, text);
	for (*ret_n = 0; *ret_n < 3 && str_next(&rest, ':', &parts[*ret_n]);)
		++*ret_n;
	return 0;
}

/* "host[:container][:mode]"; what is shown later is cleaned where docker does it. */
int device_parse(const char *text, Arena *a, DeviceMapping *ret, Err *e)
{
	Str parts[3];
	size_t n = 0;
	int r = split_device(text, parts, &n, e);
	if (r < 0) return r;
	bool mode_second = n == 2 && is_mode(parts[1]), two_paths = n > 1 && !mode_second;
	Str inside = two_paths ? parts[1] : parts[0], mode = n == 3 ? parts[2] : mode_second ? parts[1] : STR("rwm");
	if (!is_mode(mode))
		return err_set(e, ERR_USAGE, EINVAL, "bad mode specified: %.*s", (int)(mode.n > SHOWN ? SHOWN : mode.n), mode.p);
	if (!inside.n || *inside.p != '/')
		return err_set(e, ERR_USAGE, EINVAL, "%.*s is not an absolute path", (int)(inside.n > SHOWN ? SHOWN : inside.n), inside.p);
	const char *host = arena_str(a, parts[0]), *container = arena_str(a, inside);
	if (host && !two_paths) host = path_clean(a, host);
	if (container && n < 3) container = path_clean(a, container);
	*ret = (DeviceMapping){ host, container, arena_str(a, mode) };
	return host && container && ret->cgroup_permissions ? 0 : no_memory(e);
}

int options_devices(const OptionParse *p)
{
	const StrList *given = option_list(p->in, "device");
	DeviceMapping *items = arena_array(p->arena, given->n + 1, sizeof *items);
	int r = items ? 0 : no_memory(p->e);
	for (size_t i = 0; r >= 0 && i < given->n; i++) {
		if (is_cdi(given->items[i]))
			return err_set(p->e, ERR_UNSUPPORTED, ENOTSUP,
				       "%.*s: devices are not looked up in CDI specifications yet: give the device's path below /dev",
				       SHOWN, given->items[i]);
		r = device_parse(given->items[i], p->arena, &items[i], p->e);
	}
	p->to->host.devices.items = items;
	p->to->host.devices.n = given->n;
	return r;
}

/* ---- GPUs ---- */

static int parse_count(const char *text, int32_t *ret, Err *e)
{
	int64_t n = 0;
	if (streq(text, "all")) {
		*ret = -1;
		return 0;
	}
	int r = number_parse(str_of(text), &n);
	if (r >= 0 && n != (int32_t)n) r = -ERANGE;
	if (r < 0)
		return err_set(e, ERR_USAGE, EINVAL, "invalid count (%.*s): value must be either \"all\" or an integer: %s", SHOWN, text,
			       number_error(r));
	*ret = (int32_t)n;
	return 0;
}

static int split_words(const char *text, Arena *a, StrList *ret)
{
	Str rest = str_of(text), word;
	int r = 0;
	while (r >= 0 && str_next(&rest, ',', &word))
		r = str_list_add(ret, arena_str(a, word), a);
	return r;
}

/* A list that holds one list: all of these words. */
static const JsonValue *capability_lists(const StrList *words, Arena *a)
{
	JsonValue *outer = arena_array(a, 2, sizeof *outer), *items = arena_array(a, words->n + 1, sizeof *items);
	if (!outer || !items) return NULL;
	for (size_t i = 0; i < words->n; i++)
		items[i] = (JsonValue){ .type = JSON_STRING, .n = (uint32_t)strlen(words->items[i]), .s = words->items[i] };
	outer[0] = (JsonValue){ .type = JSON_ARRAY, .n = 1, .items = &outer[1] };
	outer[1] = (JsonValue){ .type = JSON_ARRAY, .n = (uint32_t)words->n, .items = items };
	return outer;
}

static int take_options(const char *text, Arena *a, StrMap *ret, Err *e)
{
	StrList fields;
	int r = csv_parse(text, a, &fields, e);
	if (r < 0) return err_wrap(e, "failed to read gpu options");
	for (size_t i = 0; i < fields.n; i++) {
		Str key, value;
		str_cut(str_of(fields.items[i]), '=', &key, &value);
		if (str_map_set(ret, arena_str(a, key), arena_str(a, value), a) < 0) return no_memory(e);
	}
	return 0;
}

/* "all", "2", "device=0", "count=1,capabilities=utility" */
static int take_gpu_field(const char *field, Arena *a, DeviceRequest *to, StrList *capabilities, Err *e)
{
	Str key, value;
	if (!str_cut(str_of(field), '=', &key, &value)) return parse_count(field, &to->count, e);
	if (str_eq(key, "count")) return parse_count(value.p, &to->count, e);
	if (str_eq(key, "options")) return take_options(value.p, a, &to->options, e);
	if (str_eq(key, "driver")) {
		to->driver = value.p;
		return 0;
	}
	if (!str_eq(key, "device") && !str_eq(key, "capabilities"))
		return err_set(e, ERR_USAGE, EINVAL, "unexpected key '%.*s' in '%.*s'", (int)(key.n > SHOWN ? SHOWN : key.n), key.p, SHOWN,
			       field);
	return split_words(value.p, a, str_eq(key, "device") ? &to->device_ids : capabilities) < 0 ? no_memory(e) : 0;
}

static int check_once(StrList *seen, const char *field, Arena *a, Err *e)
{
	Str key, value;
	bool pair = str_cut(str_of(field), '=', &key, &value);
	const char *name = arena_str(a, key);
	if (!name) return no_memory(e);
	if (str_list_has(seen, name))
		return err_set(e, ERR_USAGE, EINVAL, "gpu request key '%.*s' can be specified only once", SHOWN, name);
	int r = str_list_add(seen, name, a);
	if (r >= 0 && !pair) r = str_list_add(seen, "count", a);
	return r < 0 ? no_memory(e) : 0;
}

static int parse_gpus(const char *text, Arena *a, DeviceRequest *ret, Err *e)
{
	StrList fields, seen = { 0 }, capabilities = { 0 };
	*ret = (DeviceRequest){ 0 };
	int r = csv_parse(text, a, &fields, e);
	for (size_t i = 0; r >= 0 && i < fields.n; i++) {
		r = check_once(&seen, fields.items[i], a, e);
		if (r >= 0) r = take_gpu_field(fields.items[i], a, ret, &capabilities, e);
	}
	if (r < 0) return r;
	if (!str_list_has(&seen, "count") && !ret->device_ids.n) ret->count = 1;
	if (str_list_add(&capabilities, "gpu", a) < 0) return no_memory(e);
	ret->capabilities = capability_lists(&capabilities, a);
	return ret->capabilities ? 0 : no_memory(e);
}

int check_gpus(const char *text, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(CHECK_ARENA_MAX);
	DeviceRequest ignored;
	return parse_gpus(text, &a, &ignored, e);
}

int options_gpus(const OptionParse *p)
{
	const StrList *given = option_list(p->in, "gpus");
	DeviceRequest *items = arena_array(p->arena, given->n + 1, sizeof *items);
	int r = items ? 0 : no_memory(p->e);
	for (size_t i = 0; r >= 0 && i < given->n; i++)
		r = parse_gpus(given->items[i], p->arena, &items[i], p->e);
	p->to->host.device_requests.items = items;
	p->to->host.device_requests.n = given->n;
	return r;
}
