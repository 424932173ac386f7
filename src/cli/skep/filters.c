/* filters.c: see filters.h. */
#include "cli/skep/filters.h"

#include <regex.h>

#include "base/moment.h"
#include "base/time.h"

enum { PATTERN_MAX = 256 };

int filter_check(const char *text, Err *e)
{
	return strchr(text, '=') ? 0 : err_set(e, ERR_USAGE, EINVAL, "bad format of filter (expected name=value)");
}

void filter_cut(const char *text, Str *ret_key, Str *ret_value)
{
	(void)!str_cut(str_of(text), '=', ret_key, ret_value);
}

int filter_unknown(Str key, Err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "invalid filter '%.*s'", (int)key.n, key.p);
}

int filter_bool(Str key, Str value, Err *e)
{
	if (str_eq(value, "true") || str_eq(value, "1")) return 1;
	if (str_eq(value, "false") || str_eq(value, "0")) return 0;
	return err_set(e, ERR_USAGE, EINVAL, "invalid filter '%.*s=[%.*s]'", (int)key.n, key.p, (int)value.n, value.p);
}

bool filter_matches(Str value, const char *text)
{
	char pattern[PATTERN_MAX];
	regex_t regex;
	if (str_eq(value, text)) return true;
	if (value.n >= sizeof pattern) return false;
	snprintf(pattern, sizeof pattern, "%.*s", (int)value.n, value.p);
	if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB)) return false;
	bool found = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return found;
}

bool filter_label(const StrMap *labels, Str want)
{
	Str key, value;
	bool with_value = str_cut(want, '=', &key, &value);
	for (size_t i = 0; i < labels->n; i++)
		if (str_eq(key, labels->items[i].key) && (!with_value || str_eq(value, labels->items[i].value))) return true;
	return false;
}

int filters_check(const StrList *filters, FilterFn *fn, void *arg, Err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < filters->n; i++) {
		Str key, value;
		filter_cut(filters->items[i], &key, &value);
		r = fn(arg, key, value, e);
	}
	return r < 0 ? r : 0;
}

int filters_pass(const StrList *filters, FilterFn *fn, void *arg, Err *e)
{
	for (size_t i = 0; i < filters->n; i++) {
		Str key, value, other_key, other;
		int any = 0;
		filter_cut(filters->items[i], &key, &value);
		for (size_t k = 0; !any && k < filters->n; k++) {
			if (k != i && str_eq(key, "label")) continue;
			filter_cut(filters->items[k], &other_key, &other);
			if (other_key.n != key.n || memcmp(other_key.p, key.p, key.n) != 0) continue;
			if ((any = fn(arg, key, other, e)) < 0) return any;
		}
		if (!any) return 0;
	}
	return 1;
}

int filter_prune_check(const StrList *filters, bool until, Err *e)
{
	for (size_t i = 0; i < filters->n; i++) {
		Str key, value;
		int64_t at;
		filter_cut(filters->items[i], &key, &value);
		bool is_until = until && str_eq(key, "until");
		if (!is_until && !str_eq(key, "label") && !str_eq(key, "label!")) return filter_unknown(key, e);
		int r = is_until ? moment_parse(value, time_now(), &at, e) : 0;
		if (r < 0) return r;
	}
	return 0;
}

int filter_prune(const StrList *filters, const StrMap *labels, int64_t created, Err *e)
{
	for (size_t i = 0; i < filters->n; i++) {
		Str key, value;
		int64_t until = 0;
		filter_cut(filters->items[i], &key, &value);
		bool unwanted = str_eq(key, "label!");
		if (created && str_eq(key, "until")) {
			int r = moment_parse(value, time_now(), &until, e);
			if (r < 0) return r;
			if (created >= until) return 0;
		} else if (unwanted || str_eq(key, "label")) {
			if (filter_label(labels, value) == unwanted) return 0;
		} else
			return filter_unknown(key, e);
	}
	return 1;
}
