/* security.c: see security.h. */
#include "engine/security.h"

static int invalid(Err *e, int which, const char *option)
{
	return err_set(e, ERR_CONFIG, EINVAL, "invalid --security-opt %d: \"%.200s\"", which, option);
}

static int add_label(Security *s, const char *value, Arena *a, Err *e)
{
	static const char *const keys[] = { "user", "role", "type", "level", "filetype" };
	Str key, rest;
	if (streq(value, "disable")) {
		s->label_disable = true;
		return 0;
	}
	if (str_cut(str_of(value), ':', &key, &rest) && rest.n)
		for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
			if (!str_eq(key, keys[i])) continue;
			s->labels.items[s->labels.n++] = (StrPair){ keys[i], rest.p };
			return 0;
		}
	return err_set(
		e, ERR_CONFIG, EINVAL,
		"bad label option \"%.200s\", valid options 'disable' or 'user, role, level, type, filetype' followed by ':' and a value",
		value);
}

static int apply(Security *s, Str key, const char *value, const char *option, Arena *a, Err *e)
{
	if (str_eq(key, "seccomp")) {
		s->seccomp = streq(value, "builtin") || !*value ? NULL : value;
	} else if (str_eq(key, "apparmor")) {
		s->apparmor = *value ? value : NULL;
	} else if (str_eq(key, "label")) {
		return add_label(s, value, a, e);
	} else if (str_eq(key, "no-new-privileges")) {
		if (str_to_bool(value, &s->no_new_privileges) < 0) return invalid(e, 2, option);
	} else if (str_eq(key, "writable-cgroups")) {
		if (str_to_bool(value, &s->writable_cgroups) < 0) return invalid(e, 2, option);
	} else if (str_eq(key, "systempaths") && streq(value, "unconfined")) {
		s->open_paths = true;
	} else {
		return invalid(e, 2, option);
	}
	return 0;
}

int security_parse(const StrList *options, Arena *a, Security *ret, Err *e)
{
	Security s = { 0 };
	s.labels.items = arena_array(a, options->n + 1, sizeof *s.labels.items);
	if (!s.labels.items) return err_sys(e, ENOMEM, "security options");
	for (size_t i = 0; i < options->n; i++) {
		const char *option = options->items[i];
		Str key, value;
		if (streq(option, "no-new-privileges")) {
			s.no_new_privileges = true;
		} else if (streq(option, "writable-cgroups")) {
			s.writable_cgroups = true;
		} else if (streq(option, "disable")) {
			s.label_disable = true;
		} else if (!str_cut(str_of(option), '=', &key, &value) && !str_cut(str_of(option), ':', &key, &value)) {
			return invalid(e, 1, option);
		} else {
			int r = apply(&s, key, value.p, option, a, e);
			if (r < 0) return r;
		}
	}
	*ret = s;
	return 0;
}
