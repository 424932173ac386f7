/* store_tool.c: the image store as a command, for tests: store_tool ROOT COMMAND [ARGUMENT…]. */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "image/archive_load.h"
#include "image/archive_save.h"
#include "image/check.h"
#include "image/flatten.h"
#include "image/import.h"

typedef struct Tool {
	ImageStore *store;
	Arena arena;
	int argc;
	char **argv;
} Tool;

static const char *worker(void)
{
	return getenv("TRANSFER");
}

static void print_line(void *arg, const char *line)
{
	fprintf(arg, "%s\n", line);
}

static int need(const Tool *t, int n, Err *e)
{
	return t->argc < n ? err_set(e, ERR_USAGE, EINVAL, "arguments are missing") : 0;
}

/* A name as the store keeps it. */
static int whole_name(Tool *t, const char *text, const char **ret, Err *e)
{
	Reference ref;
	int r = reference_parse(str_of(text), &t->arena, &ref, e);
	if (r < 0) return r;
	reference_default_tag(&ref);
	*ret = reference_format(&ref, &t->arena);
	return *ret ? 0 : err_sys(e, ENOMEM, "name");
}

static int option_platform(Tool *t, Platform *to, const Platform **ret, Err *e)
{
	const char *text = getenv("PLATFORM");
	*ret = NULL;
	if (!text) return 0;
	int r = platform_parse(str_of(text), &t->arena, to, e);
	if (r >= 0) *ret = to;
	return r;
}

/* load FILE|- */
static int cmd_load(Tool *t, Err *e)
{
	Platform p;
	LoadRequest req = { .worker = worker(), .loaded = print_line, .arg = stdout };
	int r = need(t, 1, e);
	if (r >= 0) r = option_platform(t, &p, &req.platform, e);
	if (r < 0) return r;
	AUTO_FD int fd = streq(t->argv[0], "-") ? 0 : open(t->argv[0], O_RDONLY | O_CLOEXEC);
	if (fd < 0) return err_sys(e, errno, "open %s", t->argv[0]);
	if (fd == 0) fd = fcntl(0, F_DUPFD_CLOEXEC, 3); /* 0 means "none" to the worker */
	return archive_load(t->store, fd, &req, e);
}

/* save FORMAT OUT|- NAME…: docker, oci, oci-dir. */
static int cmd_save(Tool *t, Err *e)
{
	Platform p;
	int r = need(t, 3, e);
	if (r < 0) return r;
	size_t n = (size_t)t->argc - 2;
	SaveImage *images = arena_array(&t->arena, n, sizeof *images);
	Image *found = arena_array(&t->arena, n, sizeof *found);
	if (!images || !found) return err_sys(e, ENOMEM, "save");
	SaveRequest req = { .images = images, .n = n, .format = streq(t->argv[0], "docker") ? ARCHIVE_DOCKER : ARCHIVE_OCI };
	req.warn = print_line;
	req.arg = stderr;
	if ((r = option_platform(t, &p, &req.platform, e)) < 0) return r;
	for (size_t i = 0; i < n; i++) {
		if ((r = image_find(t->store, t->argv[i + 2], &t->arena, &found[i], e)) < 0) return r;
		images[i] = (SaveImage){ &found[i], found[i].names };
	}
	if (streq(t->argv[0], "oci-dir")) return archive_save_dir(t->store, &req, t->argv[1], e);
	AUTO_FD int fd = streq(t->argv[1], "-") ? 1 : open(t->argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) return err_sys(e, errno, "create %s", t->argv[1]);
	return archive_save(t->store, &req, fd, e);
}

/* list: one line an image: id, manifest, target, platform, size, names. */
static int cmd_list(Tool *t, Err *e)
{
	ImageList l;
	char id[DIGEST_TEXT_MAX], manifest[DIGEST_TEXT_MAX], target[DIGEST_TEXT_MAX];
	int r = image_list(t->store, &t->arena, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++) {
		const Image *m = &l.items[i];
		printf("%s %s %s %s %jd", digest_format(&m->id, id), digest_format(&m->manifest, manifest),
		       digest_format(&m->target, target), platform_format(&m->platform, &t->arena) ?: "?", (intmax_t)m->size);
		for (size_t k = 0; k < m->names.n; k++)
			printf(" %s", m->names.items[k]);
		puts("");
	}
	return r;
}

static int cmd_tag(Tool *t, Err *e)
{
	Image i;
	const char *name;
	int r = need(t, 2, e);
	if (r >= 0) r = image_find(t->store, t->argv[0], &t->arena, &i, e);
	if (r >= 0) r = whole_name(t, t->argv[1], &name, e);
	return r < 0 ? r : image_tag(t->store, &i.manifest, name, e);
}

static void print_removal(const Removal *rm)
{
	for (size_t i = 0; i < rm->untagged.n; i++)
		printf("Untagged: %s\n", rm->untagged.items[i]);
	for (size_t i = 0; i < rm->deleted.n; i++)
		printf("Deleted: %s\n", rm->deleted.items[i]);
}

/* untag NAME, rm IMAGE: the name alone, the image with all of them */
static int cmd_untag(Tool *t, Err *e)
{
	Removal rm = { 0 };
	const char *name;
	int r = need(t, 1, e);
	if (r >= 0) r = whole_name(t, t->argv[0], &name, e);
	if (r >= 0) r = image_untag(t->store, name, false, &t->arena, &rm, e);
	if (r >= 0) print_removal(&rm);
	return r;
}

static int cmd_rm(Tool *t, Err *e)
{
	Removal rm = { 0 };
	Image i;
	int r = need(t, 1, e);
	if (r >= 0) r = image_find(t->store, t->argv[0], &t->arena, &i, e);
	if (r >= 0) r = image_remove(t->store, &i, true, &t->arena, &rm, e);
	if (r >= 0) print_removal(&rm);
	return r;
}

/* drop-blobs */
static int cmd_drop_blobs(Tool *t, Err *e)
{
	int64_t freed;
	int r = store_drop_blobs(t->store, &freed, e);
	if (r >= 0) printf("%jd\n", (intmax_t)freed);
	return r;
}

static void print_finding(void *arg, const Finding *f)
{
	(void)arg;
	printf("%s %d %s\n", finding_name(f->kind), f->repair, f->message);
}

/* From the directory FETCH, where blobs lie under their hexadecimal digits. */
static int fetch(void *arg, const Digest *d, uint64_t size, const StrList *repositories, int fd, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(64 << 20);
	char hex[DIGEST_HEX_MAX], *p;
	size_t n;
	AUTO_FD int dir = open(getenv("FETCH") ?: "/nonexistent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)arg;
	(void)size;
	if (!repositories->n || dir < 0) return err_set(e, ERR_NOT_FOUND, ENOENT, "nowhere to fetch from");
	int r = fd_read_file(dir, digest_hex(d, hex), 32 << 20, &a, &p, &n, e);
	return r < 0 ? r : fd_write_all(fd, p, n);
}

/* check [repair] */
static int cmd_check(Tool *t, Err *e)
{
	CheckResult result;
	const CheckRequest req = { .repair = t->argc > 0, .worker = worker(), .found = print_finding, .fetch = fetch };
	int r = image_check(t->store, &req, &result, e);
	if (r >= 0)
		printf("checked %ju %ju %ju found %ju repaired %ju dropped %ju\n", (uintmax_t)result.blobs, (uintmax_t)result.layers,
		       (uintmax_t)result.bytes, (uintmax_t)result.findings, (uintmax_t)result.repaired, (uintmax_t)result.dropped);
	return r;
}

/* origin IMAGE REPOSITORY: as if it had been pulled from there */
static int cmd_origin(Tool *t, Err *e)
{
	AUTO_BATCH StoreBatch b = BATCH_INIT(t->store, &t->arena);
	Image i;
	int r = need(t, 2, e);
	if (r >= 0) r = image_find(t->store, t->argv[0], &t->arena, &i, e);
	if (r >= 0) r = batch_add_repo_digest(&b, t->argv[1], &i.target, &i.manifest, e);
	return r < 0 ? r : batch_commit(&b, e);
}

/* import FILE|-|URL NAME|"" [CHANGE…]; MESSAGE and CREATED (ns) in the environment */
static int cmd_import(Tool *t, Err *e)
{
	Platform p;
	Digest id;
	char text[DIGEST_TEXT_MAX];
	int r = need(t, 2, e);
	if (r < 0) return r;
	ImportRequest req = { .source = t->argv[0], .message = getenv("MESSAGE"), .worker = worker() };
	req.changes = (StrList){ (const char **)t->argv + 2, (size_t)t->argc - 2 };
	if (getenv("CREATED") && str_to_i64(str_of(getenv("CREATED")), &req.created) < 0) return err_set(e, ERR_USAGE, EINVAL, "CREATED");
	if (*t->argv[1] && (r = whole_name(t, t->argv[1], &req.name, e)) < 0) return r;
	if ((r = option_platform(t, &p, &req.platform, e)) < 0) return r;
	AUTO_FD int fd = streq(t->argv[0], "-") ? fcntl(0, F_DUPFD_CLOEXEC, 3) : open(t->argv[0], O_RDONLY | O_CLOEXEC);
	if (fd < 0 && !strstr(t->argv[0], "://")) return err_sys(e, errno, "open %s", t->argv[0]);
	req.fd = fd;
	r = image_import(t->store, &req, &id, e);
	if (r >= 0) puts(digest_format(&id, text));
	return r;
}

static int to_stdout(void *arg, const void *p, size_t n, Err *e)
{
	(void)arg;
	int r = fd_write_all(1, p, n);
	return r < 0 ? err_sys(e, r, "write") : 0;
}

/* export IMAGE */
static int cmd_export(Tool *t, Err *e)
{
	Image i;
	int r = need(t, 1, e);
	if (r >= 0) r = image_find(t->store, t->argv[0], &t->arena, &i, e);
	return r < 0 ? r : image_flatten(t->store, &i.manifest, to_stdout, NULL, e);
}

/* show IMAGE manifest|config: the document */
static int cmd_show(Tool *t, Err *e)
{
	Image i;
	char *text;
	size_t n;
	int r = need(t, 2, e);
	if (r >= 0) r = image_find(t->store, t->argv[0], &t->arena, &i, e);
	if (r >= 0) r = content_read(t->store, streq(t->argv[1], "config") ? &i.id : &i.manifest, MANIFEST_MAX, &t->arena, &text, &n, e);
	return r < 0 ? r : fd_write_all(1, text, n);
}

static int cmd_open(Tool *t, Err *e)
{
	return 0;
}

static const struct {
	const char *name;
	int (*run)(Tool *t, Err *e);
} commands[] = {
	{ "open", cmd_open },     { "load", cmd_load },     { "save", cmd_save },     { "list", cmd_list },
	{ "tag", cmd_tag },       { "untag", cmd_untag },   { "rm", cmd_rm },         { "drop-blobs", cmd_drop_blobs },
	{ "check", cmd_check },   { "import", cmd_import }, { "export", cmd_export }, { "show", cmd_show },
	{ "origin", cmd_origin },
};

/* An image of many layers has more files under way than 1024. */
static void raise_limit(void)
{
	struct rlimit l;
	if (getrlimit(RLIMIT_NOFILE, &l) < 0) return;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

static int run(Tool *t, const char *root, const char *name, Err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!streq(commands[i].name, name)) continue;
		int r = image_store_open(root, &t->store, e);
		if (r >= 0) r = commands[i].run(t, e);
		image_store_close(t->store);
		return r;
	}
	return err_set(e, ERR_USAGE, EINVAL, "no such command: %s", name);
}

int main(int argc, char **argv)
{
	Tool t = { .arena = ARENA_INIT(256 << 20), .argc = argc - 3, .argv = argv + 3 };
	Err e = ERR_INIT;
	if (argc < 3) return 2;
	raise_limit();
	int r = run(&t, argv[1], argv[2], &e);
	arena_done(&t.arena);
	if (r < 0) fprintf(stderr, "store_tool: %s\n", e.msg);
	return r < 0;
}
