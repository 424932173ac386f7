/* spec_propagation.c: mounts that are to be seen on both sides. Between a bind and what it is a bind of, mounts go over only where the source lies on a
 * shared mount (or a slave of one, for the way in): elsewhere the option would say something that is not so. */
#include "engine/spec_impl.h"

#include <fcntl.h>
#include <stdlib.h>

#include "sys/fd.h"

enum { MOUNTINFO_MAX = 16 << 20 };

/* Mount: of a line of mountinfo: where it is, and its optional fields ("shared:1 master:2"). */
typedef struct Mount {
	Str point, optional;
} Mount;

static bool next_word(Str *rest, Str *word)
{
	return str_next(rest, ' ', word);
}

/* mountinfo(5): id parent major:minor root point options optional… - type source options */
static bool parse_line(Str line, Mount *ret)
{
	Str word;
	bool complete = false;
	for (int i = 0; i < 4; i++)
		if (!next_word(&line, &word)) return false;
	if (!next_word(&line, &ret->point) || !next_word(&line, &word)) return false;
	const char *from = line.p, *to = from;
	while (!complete && next_word(&line, &word)) {
		complete = str_eq(word, "-");
		if (!complete) to = word.p + word.n;
	}
	ret->optional = (Str){ from, (size_t)(to - from) };
	return complete;
}

/* A mount point as it is written there: blanks and backslashes as \040 and \134. */
static Str unescape(Str s, Arena *a)
{
	char *to = arena_str(a, s);
	size_t n = 0;
	for (size_t i = 0; to && i < s.n; i++) {
		uint64_t c;
		if (s.p[i] != '\\' || i + 3 >= s.n || str_to_u64_base((Str){ s.p + i + 1, 3 }, 8, &c) < 0) {
			to[n++] = s.p[i];
			continue;
		}
		to[n++] = (char)c;
		i += 3;
	}
	return (Str){ to, n };
}

static bool lies_below(const char *path, Str point)
{
	if (point.n == 1) return true;
	return strncmp(path, point.p, point.n) == 0 && (path[point.n] == '/' || !path[point.n]);
}

static bool has_field(Str optional, const char *prefix)
{
	Str word;
	while (next_word(&optional, &word))
		if (str_starts(word, prefix)) return true;
	return false;
}

/* The last mount on the longest mount point is the one that is seen. */
static int find_mount(SpecBuild *b, const char *path, Mount *ret)
{
	const char *file = b->in->machine->mountinfo ? b->in->machine->mountinfo : "/proc/self/mountinfo";
	char *text;
	size_t n;
	int r = fd_read_file(AT_FDCWD, file, MOUNTINFO_MAX, b->a, &text, &n, b->e);
	if (r < 0) return r;
	Str rest = { text, n }, line;
	Mount m;
	*ret = (Mount){ 0 };
	while (str_next(&rest, '\n', &line)) {
		if (!parse_line(line, &m)) continue;
		if (memchr(m.point.p, '\\', m.point.n)) m.point = unescape(m.point, b->a);
		if (!m.point.p) return spec_no_memory(b);
		if (m.point.n >= ret->point.n && lies_below(path, m.point)) *ret = m;
	}
	return 0;
}

static bool asks(const StrList *options, const char *a, const char *b)
{
	for (size_t i = 0; i < options->n; i++)
		if (streq(options->items[i], a) || streq(options->items[i], b)) return true;
	return false;
}

int spec_check_propagation(SpecBuild *b, const char *source, const StrList *options)
{
	bool shared = asks(options, "shared", "rshared"), slave = asks(options, "slave", "rslave");
	Mount m;
	if (!shared && !slave) return 0;
	AUTO_FREE char *real = realpath(source, NULL);
	int r = find_mount(b, real ? real : source, &m);
	if (r < 0) return r;
	if (has_field(m.optional, "shared:") || (slave && has_field(m.optional, "master:"))) return 0;
	return err_set(b->e, ERR_CONFIG, EINVAL, "path %s is mounted on %.*s but it is not a shared%s mount", source, (int)m.point.n,
		       m.point.p ? m.point.p : "", slave && !shared ? " or slave" : "");
}
