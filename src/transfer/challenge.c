/* challenge.c: see challenge.h. */
#include "transfer/challenge.h"

#include <strings.h>

static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip(const char **p, const char *set)
{
	*p += strspn(*p, set);
}

static Str take_name(const char **p)
{
	const char *from = *p;
	while (is_token(**p))
		(*p)++;
	return (Str){ from, (size_t)(*p - from) };
}

static const char *take_quoted(const char **p, Arena *a)
{
	const char *from = ++*p;
	while (**p && **p != '"')
		*p += **p == '\\' && (*p)[1] ? 2 : 1;
	if (**p != '"') return NULL;
	char *text = arena_str(a, (Str){ from, (size_t)(*p - from) });
	(*p)++;
	size_t n = 0;
	for (const char *s = text; s && *s; s++) {
		if (*s == '\\' && s[1]) s++;
		text[n++] = *s;
	}
	if (text) text[n] = 0;
	return text;
}

static const char *take_value(const char **p, Arena *a)
{
	if (**p == '"') return take_quoted(p, a);
	size_t n = strcspn(*p, " \t,\""); /* not quoted: more than a token may have, as some write URLs so */
	const char *from = *p;
	*p += n;
	return n ? arena_str(a, (Str){ from, n }) : NULL;
}

static bool is_name(Str name, const char *wanted)
{
	return name.n == strlen(wanted) && strncasecmp(name.p, wanted, name.n) == 0;
}

static void keep(Challenge *c, Str name, const char *value)
{
	const char **to = is_name(name, "realm")     ? &c->realm
			  : is_name(name, "service") ? &c->service
			  : is_name(name, "scope")   ? &c->scope
			  : is_name(name, "error")   ? &c->error
						     : NULL;
	if (to && !*to) *to = value;
}

/* A word is a parameter when "=" and a value follow it, a scheme otherwise. */
int challenge_parse(const char *header, Arena *a, Challenge *ret)
{
	Challenge c = { 0 };
	bool keeping = false;
	const char *p = header;
	for (skip(&p, " \t,"); *p; skip(&p, " \t,")) {
		Str name = take_name(&p);
		if (!name.n) return -EINVAL;
		const char *after = p;
		skip(&after, " \t");
		if (*after == '=' && after[1] && after[1] != '=' && after[1] != ',') {
			p = after + 1;
			skip(&p, " \t");
			const char *value = take_value(&p, a);
			if (!value) return -EINVAL;
			if (keeping) keep(&c, name, value);
			continue;
		}
		keeping = is_name(name, "Bearer") && !c.bearer;
		c.bearer |= is_name(name, "Bearer");
		c.basic |= is_name(name, "Basic");
		while (*p && !strchr(" \t,", *p)) /* the rest of a token68 */
			p++;
	}
	*ret = c;
	return 0;
}
