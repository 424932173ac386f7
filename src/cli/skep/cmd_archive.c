/* cmd_archive.c: save, load, import, export. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/skep/containers.h"
#include "cli/skep/endpoints.h"
#include "cli/skep/store.h"
#include "engine/commit.h"
#include "image/archive_load.h"
#include "image/archive_save.h"
#include "image/event.h"
#include "image/flatten.h"
#include "image/import.h"
#include "oci/platform.h"

enum { SINK_BUFFER = 256 << 10, LOADED_ARENA = 16 << 20 };

static int read_platform(const Invocation *in, Platform *p, const Platform **ret, Err *e)
{
	const char *text = option_value(in, "platform");
	*ret = NULL;
	if (!text || !*text) return 0;
	*ret = p;
	return platform_parse(str_of(text), in->arena, p, e);
}

static void print_line(void *arg, const char *line)
{
	printf("%s\n", line);
	fflush(stdout);
}

static void print_warning(void *arg, const char *line)
{
	fprintf(stderr, "WARNING: %s\n", line);
}

/* The file at path, or standard input under another number: the worker's requests take 0 for none. */
static int open_input(const char *path, bool from_stdin, Err *e)
{
	int fd = from_stdin ? fcntl(0, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? err_sys(e, errno, "open %s", from_stdin ? "standard input" : path) : fd;
}

/* ---- where an archive goes ---- */

/* Output: a file appears under its name when it is whole, and not at all otherwise. Standard output and what is no regular file (a pipe, a
 * device) are written to as they are. */
typedef struct Output {
	int fd; /* -1: none */
	bool owned;
	char *partial; /* in the arena; NULL: written in place */
	const char *path;
} Output;

static void output_done(Output *o)
{
	if (o->partial) unlink(o->partial);
	if (o->owned) fd_close(o->fd);
}

/* docker looks for the folder first. */
static int failed_output(const char *path, int errnum, Err *e)
{
	struct stat st;
	const char *slash = strrchr(path, '/');
	char folder[4096];
	snprintf(folder, sizeof folder, "%.*s", slash > path ? (int)(slash - path) : 1, slash ? path : ".");
	if (stat(folder, &st) < 0) return err_sys(e, errno, "failed to save image: invalid output path: stat %s", folder);
	return err_sys(e, errnum, "invalid output path: %s", path);
}

static int output_open(const Invocation *in, Output *o, Err *e)
{
	struct stat st;
	o->path = option_value(in, "output");
	o->fd = 1;
	if (!o->path || !*o->path || streq(o->path, "-")) {
		if (isatty(1)) return err_set(e, ERR_USAGE, ENOTTY, "cowardly refusing to save to a terminal. Use the -o flag or redirect");
		return 0;
	}
	bool there = stat(o->path, &st) == 0;
	if (there && S_ISDIR(st.st_mode)) return err_sys(e, EISDIR, "invalid output path: %s", o->path);
	bool whole = !there || S_ISREG(st.st_mode);
	char *name = whole ? arena_printf(in->arena, "%s.XXXXXX", o->path) : NULL;
	if (whole && !name) return err_sys(e, ENOMEM, "%s", o->path);
	o->fd = whole ? mkostemp(name, O_CLOEXEC) : open(o->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (o->fd < 0) return failed_output(o->path, errno, e);
	o->owned = true;
	o->partial = name;
	mode_t mask = umask(0);
	umask(mask);
	if (whole && fchmod(o->fd, there ? st.st_mode & 0777 : 0666 & ~mask) < 0) return err_sys(e, errno, "%s", o->path);
	return 0;
}

static int output_finish(Output *o, Err *e)
{
	if (!o->partial) return 0;
	if (rename(o->partial, o->path) < 0) return err_sys(e, errno, "make %s", o->path);
	o->partial = NULL;
	return 0;
}

/* ---- save ---- */

typedef struct Saving {
	Arena *arena;
	ImageStore *store;
	SaveImage *items;
	Image *images;
	size_t n, max;
} Saving;

/* The image once, with one more name (or none). */
static int add_image(Saving *s, const Image *image, const char *name, Err *e)
{
	size_t i = 0;
	while (i < s->n && !digest_equal(&s->images[i].manifest, &image->manifest))
		i++;
	if (i == s->n) {
		s->images[i] = *image;
		s->items[i] = (SaveImage){ .image = &s->images[i] };
		s->n++;
	}
	StrList *names = &s->items[i].names;
	for (size_t k = 0; name && k < names->n; k++)
		if (streq(names->items[k], name)) return 0;
	if (!name) return 0;
	const char **items = arena_array(s->arena, names->n + 2, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "save");
	if (names->n) memcpy(items, names->items, names->n * sizeof *items);
	items[names->n++] = name;
	names->items = items;
	return 0;
}

/* "debian" stands for all its tags, as docker has it; an id and a digest record no name. */
static int add_argument(Saving *s, const char *arg, const ImageList *all, Err *e)
{
	Reference ref;
	Image image;
	Err none = ERR_INIT;
	int r = 0;
	bool named = reference_parse(str_of(arg), s->arena, &ref, &none) >= 0, found = false;
	const char *name = named ? reference_name(&ref, s->arena) : NULL;
	if (named && !name) return err_sys(e, ENOMEM, "save");
	for (size_t i = 0; named && !ref.tag && !ref.digest.algorithm && i < all->n; i++)
		for (size_t k = 0; r >= 0 && k < all->items[i].names.n; k++) {
			const char *full = all->items[i].names.items[k];
			if (!starts_with(full, name) || full[strlen(name)] != ':') continue;
			found = true;
			r = add_image(s, &all->items[i], full, e);
		}
	if (r < 0 || found) return r;
	r = image_find(s->store, arg, s->arena, &image, e);
	if (r == -ENOENT) return err_set(e, ERR_NOT_FOUND, ENOENT, "No such image: %s", arg); /* docker adds no tag here */
	if (r < 0) return r;
	const char *full = named && ref.tag && !ref.digest.algorithm ? reference_format(&ref, s->arena) : NULL;
	bool is_name = false;
	for (size_t k = 0; full && k < image.names.n; k++)
		is_name |= streq(image.names.items[k], full);
	return add_image(s, &image, is_name ? full : NULL, e);
}

static int collect(Invocation *in, ImageStore *store, Saving *s, Err *e)
{
	ImageList all;
	*s = (Saving){ .arena = in->arena, .store = store };
	int r = image_list(store, in->arena, &all, e);
	if (r < 0) return r;
	s->max = all.n + in->args.n + 1;
	s->items = arena_array(in->arena, s->max, sizeof *s->items);
	s->images = arena_array(in->arena, s->max, sizeof *s->images);
	if (!s->items || !s->images) return err_sys(e, ENOMEM, "save");
	for (size_t i = 0; r >= 0 && i < in->args.n; i++)
		r = add_argument(s, in->args.items[i], &all, e);
	return r;
}

int save_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *store = NULL;
	AUTO(output_done) Output out = { .fd = -1 };
	Saving s;
	Platform asked;
	SaveRequest req = { .warn = print_warning };
	const char *format = option_value(in, "format"), *path = option_value(in, "output");
	bool dir = streq(format, "oci-dir");
	if (dir && (!path || !*path)) return err_set(e, ERR_USAGE, EINVAL, "--format oci-dir needs --output DIRECTORY");
	int r = read_platform(in, &asked, &req.platform, e);
	if (r < 0 || (r = skep_store(in, &store, e)) < 0 || (r = collect(in, store, &s, e)) < 0) return r;
	req.images = s.items;
	req.n = s.n;
	req.format = streq(format, "docker-archive") ? ARCHIVE_DOCKER : ARCHIVE_OCI;
	if (dir) {
		r = archive_save_dir(store, &req, path, e);
	} else {
		if ((r = output_open(in, &out, e)) >= 0) r = archive_save(store, &req, out.fd, e);
		if (r >= 0) r = output_finish(&out, e);
	}
	for (size_t i = 0; r >= 0 && i < s.n; i++) {
		char id[DIGEST_TEXT_MAX];
		digest_format(&s.images[i].id, id);
		image_event(store, "save", id, id);
	}
	return r;
}

/* ---- load ---- */

/* "Loaded image: debian:12", "Loaded image ID: sha256:…" */
static void tell_loaded(void *arg, const char *line)
{
	AUTO_ARENA a = ARENA_INIT(LOADED_ARENA);
	ImageStore *store = *(ImageStore **)arg;
	const char *name = strstr(line, ": ");
	char id[DIGEST_TEXT_MAX];
	Err ignored = ERR_INIT;
	Image i;
	print_line(NULL, line);
	if (!name || image_find(store, name + 2, &a, &i, &ignored) < 0) return;
	digest_format(&i.id, id);
	image_event(store, "load", id, id);
}

int load_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *store = NULL;
	AUTO_FD int file = -1;
	Platform asked;
	LoadRequest req = { .loaded = tell_loaded, .arg = &store };
	const char *path = option_value(in, "input");
	bool from_stdin = !path || !*path || streq(path, "-");
	int r = read_platform(in, &asked, &req.platform, e);
	if (r < 0) return r;
	if (from_stdin && isatty(0)) return err_set(e, ERR_USAGE, ENOTTY, "requested load from stdin, but stdin is empty");
	if ((file = open_input(path, from_stdin, e)) < 0) return file;
	if ((r = skep_store(in, &store, e)) < 0) return r;
	r = archive_load(store, file, &req, e);
	return r < 0 ? r : 0;
}

/* ---- import ---- */

int import_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *store = NULL;
	AUTO_FD int file = -1;
	AUTO_BUF out = BUF_INIT(4096);
	Platform asked;
	Reference ref;
	Digest id;
	char text[DIGEST_TEXT_MAX];
	const char *source = in->args.items[0];
	ImportRequest req = {
		.source = source, .fetching = print_line, .message = option_value(in, "message"), .changes = *option_list(in, "change")
	};
	if (in->args.n > 2) return err_set(e, ERR_USAGE, EINVAL, "import: %s: a third argument has no meaning", in->args.items[2]);
	int r = read_platform(in, &asked, &req.platform, e);
	if (r >= 0) r = endpoints_tuning(in, &req.tuning, e);
	if (r >= 0 && in->args.n > 1) {
		r = reference_parse(str_of(in->args.items[1]), in->arena, &ref, e);
		if (r >= 0 && ref.digest.algorithm) r = err_set(e, ERR_USAGE, EINVAL, "cannot import digest reference");
		if (r < 0) return r;
		reference_default_tag(&ref);
		if (!(req.name = reference_format(&ref, in->arena))) return err_sys(e, ENOMEM, "import");
	}
	if (r < 0) return r;
	bool url = starts_with(source, "http://") || starts_with(source, "https://");
	if (!url && (file = open_input(source, streq(source, "-"), e)) < 0) return file;
	req.fd = file;
	if ((r = skep_store(in, &store, e)) < 0 || (r = image_import(store, &req, &id, e)) < 0) return r;
	digest_format(&id, text);
	image_event(store, "import", text, text);
	buf_printf(&out, "%s\n", text);
	return print_buf(&out, e);
}

/* ---- export ---- */

typedef struct Pipe {
	int fd;
	Buf pending;
} Pipe;

static int pipe_flush(Pipe *p, Err *e)
{
	int r = fd_write_all(p->fd, buf_str(&p->pending), p->pending.n);
	buf_reset(&p->pending);
	return r < 0 ? err_sys(e, r, "write the archive") : 0;
}

static int pipe_write(void *arg, const void *data, size_t n, Err *e)
{
	Pipe *p = arg;
	int r = p->pending.n + n > SINK_BUFFER ? pipe_flush(p, e) : 0;
	if (r < 0) return r;
	if (n > SINK_BUFFER) {
		r = fd_write_all(p->fd, data, n);
		return r < 0 ? err_sys(e, r, "write the archive") : 0;
	}
	buf_put(&p->pending, data, n);
	return buf_failed(&p->pending) ? err_sys(e, ENOMEM, "write the archive") : 0;
}

static void pipe_done(Pipe *p)
{
	buf_done(&p->pending);
}

int export_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *store = NULL;
	AUTO(output_done) Output out = { .fd = -1 };
	AUTO(pipe_done) Pipe to = { .pending = BUF_INIT(SINK_BUFFER) };
	Image image;
	int r = skep_store(in, &store, e);
	if (r < 0 || (r = image_find(store, in->args.items[0], in->arena, &image, e)) < 0 || (r = output_open(in, &out, e)) < 0) return r;
	to.fd = out.fd;
	if ((r = image_flatten(store, &image.manifest, pipe_write, &to, e)) < 0 || (r = pipe_flush(&to, e)) < 0) return r;
	return output_finish(&out, e);
}

/* In docker's words. */
static int check_output(const Invocation *in, Err *e)
{
	struct stat st;
	const char *path = option_value(in, "output");
	if (!path || !*path) return 0;
	const char *slash = strrchr(path, '/');
	char *dir = slash ? arena_str(in->arena, (Str){ path, slash == path ? 1 : (size_t)(slash - path) }) : arena_strdup(in->arena, ".");
	if (!dir) return err_sys(e, ENOMEM, "export");
	return stat(dir, &st) < 0 ? err_sys(e, errno, "failed to export container: invalid output path: stat %s", dir) : 0;
}

int container_export_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	AUTO(output_done) Output out = { .fd = -1 };
	AUTO(pipe_done) Pipe to = { .pending = BUF_INIT(SINK_BUFFER) };
	Record c;
	int r = check_output(in, e);
	if (r < 0 || (r = skep_engine(in, &g, e)) < 0 || (r = record_find(&g, in->args.items[0], in->arena, &c, e)) < 0) return r;
	if ((r = output_open(in, &out, e)) < 0) return r;
	to.fd = out.fd;
	if ((r = container_export(&g, &c, pipe_write, &to, e)) < 0 || (r = pipe_flush(&to, e)) < 0) return r;
	return output_finish(&out, e);
}
