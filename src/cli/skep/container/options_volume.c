/* options_volume.c: --volume and --tmpfs. */
#include <ctype.h>
#include <unistd.h>

#include "cli/skep/container/options_impl.h"
#include "sys/path.h"

const char *absolute_path(Arena *a, const char *path)
{
	char cwd[4096];
	if (*path == '/') return path_clean(a, path);
	if (!getcwd(cwd, sizeof cwd)) return NULL;
	char *joined = arena_printf(a, "%s/%s", cwd, path);
	return joined ? path_clean(a, joined) : NULL;
}

static int bad_spec(const char *spec, const char *why, Err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "invalid spec: %.*s: %s", SHOWN, spec, why);
}

/* "c:\": a colon that separates nothing, for docker on any system. */
static bool is_drive(Str part)
{
	return part.n == 1 && isalpha((unsigned char)*part.p);
}

/* The next part up to a colon, and whether it was the last one. */
static Str next_part(Str *rest, bool *last)
{
	size_t n = 0;
	while (n < rest->n && (rest->p[n] != ':' || is_drive((Str){ rest->p, n })))
		n++;
	Str part = { rest->p, n };
	*last = n == rest->n;
	*rest = *last ? (Str){ rest->p + n, 0 } : (Str){ rest->p + n + 1, rest->n - n - 1 };
	return part;
}

/* "path", or "source:path[:options]". */
int volume_parse(const char *spec, Str *ret_source, Err *e)
{
	Str rest = str_of(spec);
	bool last = false;
	*ret_source = (Str){ spec, 0 };
	if (!rest.n) return err_set(e, ERR_USAGE, EINVAL, "invalid empty volume spec");
	if (rest.n <= 2) return 0;
	for (int i = 0; !last; i++) {
		Str part = next_part(&rest, &last);
		if (!part.n) return bad_spec(spec, "empty section between colons", e);
		if (i == 0 && !last) *ret_source = part;
		if (i == 2 && !last) return bad_spec(spec, "too many colons", e);
	}
	return 0;
}

static int take_volume(const OptionParse *p, const char *spec)
{
	Str source;
	const char *bind = spec;
	int r = volume_parse(spec, &source, p->e);
	if (r < 0) return r;
	if (source.n && *source.p == '.') {
		const char *host = arena_str(p->arena, source);
		host = host ? absolute_path(p->arena, host) : NULL;
		bind = host ? arena_printf(p->arena, "%s%s", host, spec + source.n) : NULL;
	}
	StrList *to = source.n ? &p->to->host.binds : &p->to->config.volumes;
	if (bind && str_list_has(to, bind)) return 0;
	return str_list_add(to, bind, p->arena) < 0 ? no_memory(p->e) : 0;
}

int options_volumes(const OptionParse *p)
{
	const StrList *volumes = option_list(p->in, "volume"), *tmpfs = option_list(p->in, "tmpfs");
	int r = 0;
	for (size_t i = 0; r >= 0 && i < volumes->n; i++)
		r = take_volume(p, volumes->items[i]);
	for (size_t i = 0; r >= 0 && i < tmpfs->n; i++) {
		Str path, options;
		str_cut(str_of(tmpfs->items[i]), ':', &path, &options);
		if (str_map_set(&p->to->host.tmpfs, arena_str(p->arena, path), arena_str(p->arena, options), p->arena) < 0)
			r = no_memory(p->e);
	}
	return r;
}
