/* archive_source.c: see archive_source.h. */
#include "image/archive_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/tar_read.h"
#include "sys/path.h"

enum { SCAN_CHUNK = 64 << 10, LINKS_MAX = 16, PATH_MAX_BYTES = 4095 };

typedef struct Member {
	const char *path, *link;
	TarType type;
	bool sparse;
	uint64_t offset, size;
} Member;

struct ArchiveSource {
	int fd;
	bool dir;
	Arena *arena;
	Member *members; /* of a tar, sorted by path */
	size_t n, cap;
	size_t names; /* bytes of them */
};

/* ---- names ---- */

/* Appends the parts of text to the path in to. up: ".." takes one away, but not below the root. */
static int append_parts(const char *document, const char *text, bool up, char to[static PATH_MAX_BYTES + 1], Err *e)
{
	Str rest = str_of(text), part;
	size_t n = strlen(to);
	while (str_next(&rest, '/', &part)) {
		if (!part.n || str_eq(part, ".")) continue;
		if (str_eq(part, "..")) {
			if (!up || !n) return err_set(e, ERR_SECURITY, EINVAL, "%s: \"%.256s\" leads out of the archive", document, text);
			while (n && to[n - 1] != '/')
				n--;
			if (n) n--;
			to[n] = 0;
			continue;
		}
		if (n + part.n + 1 > PATH_MAX_BYTES)
			return err_set(e, ERR_CONFIG, ENAMETOOLONG, "%s: a path of more than %d bytes", document, PATH_MAX_BYTES);
		if (n) to[n++] = '/';
		memcpy(to + n, part.p, part.n);
		n += part.n;
		to[n] = 0;
	}
	return 0;
}

/* The path of a member, as a document says it, in the form that TarEntry has. */
static int clean(const char *path, char to[static PATH_MAX_BYTES + 1], Err *e)
{
	to[0] = 0;
	if (*path == '/') return err_set(e, ERR_SECURITY, EINVAL, "archive: \"%.256s\" is an absolute path: it must name a member", path);
	int r = append_parts("archive", path, false, to, e);
	if (r >= 0 && !*to) return err_set(e, ERR_CONFIG, EINVAL, "archive: \"%.256s\" names no file", path);
	return r;
}

/* Where a link of a tar leads: a symbolic one counts from its directory, a hard one from the root. */
static int follow(const Member *m, char to[static PATH_MAX_BYTES + 1], Err *e)
{
	char where[320];
	if (m->type == TAR_HARDLINK) return clean(m->link, to, e);
	snprintf(where, sizeof where, "archive: symbolic link \"%.256s\"", m->path);
	if (*m->link == '/') return err_set(e, ERR_SECURITY, EINVAL, "%s: \"%.256s\" leads out of the archive", where, m->link);
	const char *slash = strrchr(m->path, '/');
	size_t n = slash ? (size_t)(slash - m->path) : 0;
	memmove(to, m->path, n);
	to[n] = 0;
	return append_parts(where, m->link, true, to, e);
}

/* ---- a tar ---- */

static int compare_members(const void *a, const void *b)
{
	return strcmp(((const Member *)a)->path, ((const Member *)b)->path);
}

static const Member *find_member(const ArchiveSource *s, const char *path)
{
	const Member key = { .path = path };
	return s->n ? bsearch(&key, s->members, s->n, sizeof key, compare_members) : NULL;
}

static int no_memory(Err *e)
{
	return err_set(e, ERR_RESOURCE, E2BIG, "archive: its table of contents goes beyond the memory that is allowed for it");
}

static int grow(ArchiveSource *s, Err *e)
{
	size_t cap = s->cap ? 2 * s->cap : 64;
	Member *m = arena_array(s->arena, cap, sizeof *m);
	if (!m) return no_memory(e);
	if (s->n) memcpy(m, s->members, s->n * sizeof *m);
	s->members = m;
	s->cap = cap;
	return 0;
}

static int on_entry(void *arg, const TarEntry *t, Err *e)
{
	ArchiveSource *s = arg;
	if (s->n >= s->cap && grow(s, e) < 0) return -E2BIG;
	s->names += strlen(t->path) + (t->link ? strlen(t->link) : 0);
	if (s->names > ARCHIVE_NAMES_MAX) return no_memory(e);
	Member *m = &s->members[s->n++];
	*m = (Member){ .type = t->type, .sparse = t->sparse, .offset = t->offset, .size = t->size };
	m->path = arena_strdup(s->arena, t->path);
	if (t->link) m->link = arena_strdup(s->arena, t->link);
	return m->path && (m->link || !t->link) ? 0 : no_memory(e);
}

/* Reads the headers; the contents of members are passed over. */
static int scan(int fd, uint64_t size, TarReader *reader, Err *e)
{
	AUTO_FREE char *p = malloc(SCAN_CHUNK);
	if (!p) return err_sys(e, ENOMEM, "read the archive");
	for (uint64_t at = 0; at < size;) {
		ssize_t n = retry_eintr(pread(fd, p, SCAN_CHUNK, (off_t)at));
		if (n < 0) return err_sys(e, errno, "read the archive at byte %ju", (uintmax_t)at);
		if (n == 0) break;
		int r = tar_reader_feed(reader, p, (size_t)n, e);
		if (r < 0) return r;
		at += (uint64_t)n;
		if (at < size) at += tar_reader_skip(reader, size - at);
	}
	return tar_reader_finish(reader, e);
}

static int check_names(const ArchiveSource *s, Err *e)
{
	for (size_t i = 1; i < s->n; i++) {
		const Member *m = &s->members[i];
		if (streq(m->path, m[-1].path) && !(m->type == TAR_DIR && m[-1].type == TAR_DIR))
			return err_set(e, ERR_SECURITY, EBADMSG, "archive: two members are called \"%.256s\"", m->path);
	}
	return 0;
}

int archive_open_tar(int fd, Arena *a, ArchiveSource **ret, Err *e)
{
	struct stat st;
	ArchiveSource *s = arena_alloc(a, sizeof *s);
	TarLimits limits = TAR_LIMITS_DEFAULT;
	if (!s) return err_sys(e, ENOMEM, "read the archive");
	if (fstat(fd, &st) < 0) return err_sys(e, errno, "stat the archive");
	*s = (ArchiveSource){ .fd = fd, .arena = a };
	limits.entries = ARCHIVE_MEMBERS_MAX;
	AUTO_TAR_READER *reader = tar_reader_new(&(TarVisitor){ .entry = on_entry, .arg = s }, &limits);
	if (!reader) return err_sys(e, ENOMEM, "read the archive");
	int r = scan(fd, (uint64_t)st.st_size, reader, e);
	if (r < 0) return err_wrap(e, "archive");
	if (s->n) qsort(s->members, s->n, sizeof *s->members, compare_members);
	if ((r = check_names(s, e)) < 0) return r;
	*ret = s;
	return 0;
}

static int tar_part(const ArchiveSource *s, const char *path, ArchivePart *ret, Err *e)
{
	char at[PATH_MAX_BYTES + 1];
	int r = clean(path, at, e);
	for (int links = 0; r >= 0; links++) {
		const Member *m = find_member(s, at);
		if (!m) return err_set(e, ERR_NOT_FOUND, ENOENT, "archive: member \"%.256s\" is missing", at);
		if (links > LINKS_MAX) return err_set(e, ERR_CONFIG, ELOOP, "archive: \"%.256s\": more than %d links", path, LINKS_MAX);
		if (m->type == TAR_SYMLINK || m->type == TAR_HARDLINK) {
			r = follow(m, at, e);
			continue;
		}
		if (m->type != TAR_FILE || m->sparse)
			return err_set(e, ERR_CONFIG, EBADMSG, "archive: \"%.256s\" is a %s, expected a plain file", at,
				       m->sparse ? "sparse file" : tar_type_name(m->type));
		*ret = (ArchivePart){ .fd = s->fd, .offset = m->offset, .size = m->size };
		return 0;
	}
	return r;
}

/* ---- a directory ---- */

int archive_open_dir(int fd, Arena *a, ArchiveSource **ret, Err *e)
{
	ArchiveSource *s = arena_alloc(a, sizeof *s);
	if (!s) return err_sys(e, ENOMEM, "read the image directory");
	*s = (ArchiveSource){ .fd = fd, .dir = true, .arena = a };
	*ret = s;
	return 0;
}

static int dir_part(const ArchiveSource *s, const char *path, ArchivePart *ret, Err *e)
{
	char at[PATH_MAX_BYTES + 1];
	struct stat st;
	int r = clean(path, at, e);
	if (r < 0) return r;
	AUTO_FD int fd = path_open_beneath(s->fd, at, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
	if (fd == -ENOENT) return err_set(e, ERR_NOT_FOUND, ENOENT, "image directory: \"%.256s\" is missing", at);
	if (fd == -ELOOP) return err_set(e, ERR_SECURITY, ELOOP, "image directory: \"%.256s\" leads over a symbolic link", at);
	if (fd < 0) return err_sys(e, fd, "image directory: open \"%.256s\"", at);
	if (fstat(fd, &st) < 0) return err_sys(e, errno, "image directory: \"%.256s\"", at);
	if (!S_ISREG(st.st_mode)) return err_set(e, ERR_CONFIG, EBADMSG, "image directory: \"%.256s\" is no plain file", at);
	*ret = (ArchivePart){ .fd = take_fd(fd), .owned = true, .size = (uint64_t)st.st_size };
	return 0;
}

/* ---- both ---- */

void archive_part_done(ArchivePart *p)
{
	if (p->owned) fd_close(p->fd);
	*p = ARCHIVE_PART_NONE;
}

int archive_part(const ArchiveSource *s, const char *path, ArchivePart *ret, Err *e)
{
	return s->dir ? dir_part(s, path, ret, e) : tar_part(s, path, ret, e);
}

bool archive_has(const ArchiveSource *s, const char *path)
{
	Err ignored = ERR_INIT;
	AUTO_ARCHIVE_PART p = ARCHIVE_PART_NONE;
	return archive_part(s, path, &p, &ignored) != -ENOENT; /* what is wrong with it is told when it is read */
}

/* Up to n first bytes; returns how many. */
static ssize_t peek(const ArchivePart *p, void *to, size_t n)
{
	size_t got = 0;
	if (n > p->size) n = (size_t)p->size;
	while (got < n) {
		ssize_t k = retry_eintr(pread(p->fd, (char *)to + got, n - got, (off_t)(p->offset + got)));
		if (k < 0) return -errno;
		if (k == 0) break;
		got += (size_t)k;
	}
	return (ssize_t)got;
}

int archive_part_compressed(const ArchivePart *p)
{
	static const Str magics[] = { STR("\x1f\x8b"), STR("\x28\xb5\x2f\xfd"), STR("\xfd\x37\x7a\x58\x5a"), STR("BZh") };
	char at[6];
	ssize_t n = peek(p, at, sizeof at);
	if (n < 0) return (int)n;
	for (size_t i = 0; i < ARRAY_LEN(magics); i++)
		if ((size_t)n >= magics[i].n && memcmp(at, magics[i].p, magics[i].n) == 0) return 1;
	return n >= 4 && (at[0] & 0xf0) == 0x50 && memcmp(at + 1, "\x2a\x4d\x18", 3) == 0; /* a skippable frame of zstd */
}

int archive_read(const ArchiveSource *s, const char *path, size_t max, Arena *a, char **ret, size_t *ret_n, Err *e)
{
	AUTO_ARCHIVE_PART p = ARCHIVE_PART_NONE;
	int r = archive_part(s, path, &p, e);
	if (r < 0) return r;
	if (p.size > max)
		return err_set(e, ERR_CONFIG, EFBIG, "archive: \"%.256s\": %ju bytes long, at most %zu are allowed", path,
			       (uintmax_t)p.size, max);
	char *text = arena_alloc(a, (size_t)p.size + 1);
	if (!text) return err_sys(e, ENOMEM, "archive: read \"%.256s\"", path);
	ssize_t n = peek(&p, text, (size_t)p.size);
	if (n < 0) return err_sys(e, (int)n, "archive: read \"%.256s\"", path);
	if ((uint64_t)n < p.size)
		return err_set(e, ERR_IO, EBADMSG, "archive: \"%.256s\" ends after %zd of %ju bytes", path, n, (uintmax_t)p.size);
	*ret = text;
	*ret_n = (size_t)n;
	return 0;
}
