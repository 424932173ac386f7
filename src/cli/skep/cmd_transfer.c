/* cmd_transfer.c: pull and push. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/time.h"
#include "cli/progress.h"
#include "cli/skep/endpoints.h"
#include "cli/skep/store.h"
#include "cli/skep/transfers.h"
#include "image/event.h"
#include "image/pull.h"
#include "image/push.h"
#include "oci/platform.h"

typedef struct Show {
	Progress progress;
	bool quiet;
} Show;

static void id_of(const Digest *d, char text[static DIGEST_HEX_MAX])
{
	digest_hex(d, text);
	text[12] = 0;
}

static int show_init(const Invocation *in, Show *s, Err *e)
{
	s->quiet = option_switch(in, "quiet");
	int mode = s->quiet ? PROGRESS_QUIET : progress_mode(option_value(in, "progress"), 1);
	if (mode < 0) return err_set(e, ERR_USAGE, EINVAL, "--progress: auto, tty, plain, json or quiet");
	progress_init(&s->progress, 1, (ProgressMode)mode);
	return 0;
}

/* Writing to a terminal that is gone must not end a transfer. */
static void say(Show *s, const char *id, const char *text)
{
	(void)!progress_message(&s->progress, id, text, time_monotonic());
}

static void finish(Show *s)
{
	(void)!progress_finish(&s->progress, time_monotonic());
}

static int make_platform(const Invocation *in, const char *text, Platform *p, const Platform **ret, Err *e)
{
	*ret = NULL;
	if (!text || !*text) return 0;
	*ret = p;
	return platform_parse(str_of(text), in->arena, p, e);
}

/* ---- pull ---- */

static void show_pull(void *arg, const PullEvent *event)
{
	static const ProgressStatus status[] = {
		[PULL_FOUND] = PROGRESS_PULLING,     [PULL_EXISTS] = PROGRESS_EXISTS, [PULL_WAITING] = PROGRESS_WAITING,
		[PULL_BYTES] = PROGRESS_DOWNLOADING, [PULL_DONE] = PROGRESS_PULLED,
	};
	Show *s = arg;
	char id[DIGEST_HEX_MAX];
	id_of(event->blob, id);
	(void)!progress_update(&s->progress, id, status[event->step], (int64_t)event->bytes, (int64_t)event->total, NULL, time_monotonic());
}

static void tell_event(const Invocation *in, ImageStore *store, const char *action, const Reference *ref)
{
	const char *id = reference_familiar(ref, in->arena), *name = reference_familiar_name(ref, in->arena);
	if (id && name) image_event(store, action, id, name);
}

/* more: what is not told by the other arguments. */
static int pull_one(const Invocation *in, ImageStore *store, Show *show, const Reference *ref, const Endpoints *at, const PullOptions *more,
		    Err *e)
{
	PullResult got;
	char text[DIGEST_TEXT_MAX];
	const char *familiar = reference_familiar(ref, in->arena), *full = reference_format(ref, in->arena), *path = ref->path;
	if (!familiar || !full) return err_sys(e, ENOMEM, "pull");
	const char *tag = ref->digest.algorithm ? arena_strdup(in->arena, digest_format(&ref->digest, text)) : ref->tag;
	const char *from = arena_printf(in->arena, "Pulling from %s%s%s", streq(ref->domain, REFERENCE_DOMAIN) ? "" : ref->domain,
					streq(ref->domain, REFERENCE_DOMAIN) ? "" : "/", path);
	if (!tag || !from) return err_sys(e, ENOMEM, "pull");
	say(show, tag, from);
	PullOptions o = *more;
	o.reference = ref;
	o.endpoints = at->items;
	o.n_endpoints = at->n;
	o.event = show_pull;
	o.arg = show;
	int r = image_pull(store, &o, in->arena, &got, e);
	finish(show);
	if (r < 0) return r;
	tell_event(in, store, "pull", ref);
	char *digest = arena_printf(in->arena, "Digest: %s", digest_format(&got.image.target, text));
	char *status =
		arena_printf(in->arena, "Status: %s %s", got.newer ? "Downloaded newer image for" : "Image is up to date for", familiar);
	if (!digest || !status) return err_sys(e, ENOMEM, "pull");
	say(show, NULL, digest);
	say(show, NULL, status);
	return 0;
}

/* Of the registry's list: what is no tag is not passed over, and neither is what did not fit. */
static int read_tags(Str text, bool more, Arena *a, StrList *ret, Err *e)
{
	Str rest = text, line;
	size_t max = 1;
	if (more) return err_set(e, ERR_RESOURCE, EFBIG, "the registry's list of tags is longer than 16 MiB: pull them by name");
	for (size_t i = 0; i < text.n; i++)
		max += text.p[i] == '\n';
	ret->items = arena_array(a, max + 1, sizeof *ret->items);
	if (!ret->items) return err_sys(e, ENOMEM, "read the tags");
	for (ret->n = 0; str_next(&rest, '\n', &line);) {
		if (!line.n) continue;
		if (!reference_is_tag(line))
			return err_set(e, ERR_SECURITY, EBADMSG, "the registry lists \"%.*s\", which is no tag",
				       (int)(line.n < 200 ? line.n : 200), line.p);
		if (!(ret->items[ret->n++] = arena_str(a, line))) return err_sys(e, ENOMEM, "read the tags");
	}
	return 0;
}

/* Tags of a repository. */
static int list_tags(const Invocation *in, const Reference *ref, const Endpoints *at, StrList *ret, Err *e)
{
	AUTO_TRANSFER TransferClient *worker = NULL;
	AUTO_BUF text = BUF_INIT(16 << 20);
	AUTO_FD int body = memfd_create("skep-tags", MFD_CLOEXEC);
	TransferEvent got;
	TransferRequest req = { .op = TRANSFER_TAGS,
				.endpoints = { (TransferEndpoint *)(uintptr_t)at->items, at->n },
				.repository = ref->path };
	if (body < 0) return err_sys(e, errno, "memfd_create");
	int r = transfer_start(&(TransferOptions){ 0 }, &worker, e);
	if (r >= 0) r = transfer_call(worker, &req, &(TransferFds){ .body = body }, NULL, NULL, in->arena, &got, e);
	if (r < 0) return r;
	if (lseek(body, 0, SEEK_SET) < 0 || (r = fd_read_all(body, &text)) < 0) return err_sys(e, r < 0 ? r : errno, "read the tags");
	r = read_tags((Str){ buf_str(&text), text.n }, got.more, in->arena, ret, e);
	return r < 0 ? err_wrap(e, "pull %s", reference_familiar(ref, in->arena) ?: ref->path) : 0;
}

static int pull_all(const Invocation *in, ImageStore *store, Show *show, Reference *ref, const Endpoints *at, const PullOptions *more,
		    Err *e)
{
	StrList tags = { 0 };
	if (ref->tag || ref->digest.algorithm) return err_set(e, ERR_USAGE, EINVAL, "tag can't be used with --all-tags/-a");
	int r = list_tags(in, ref, at, &tags, e);
	for (size_t i = 0; r >= 0 && i < tags.n; i++) {
		ref->tag = tags.items[i];
		r = pull_one(in, store, show, ref, at, more, e);
	}
	return r;
}

static int put_line(const char *text, Err *e)
{
	AUTO_BUF b = BUF_INIT(4096);
	buf_printf(&b, "%s\n", text);
	return print_buf(&b, e);
}

static void show_done(Show *s)
{
	progress_done(&s->progress);
}

int pull_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *store = NULL;
	AUTO(show_done) Show show = { 0 };
	Reference ref;
	Endpoints at;
	Platform asked;
	PullOptions more = { .drop_blobs = option_switch(in, "drop-blobs"), .tuning = { .ranges = (uint32_t)option_number(in, "ranges") } };
	bool all = option_switch(in, "all-tags");
	int r = show_init(in, &show, e);
	if (r < 0 || (r = endpoints_tuning(in, &more.tuning, e)) < 0 || (r = endpoints_expand(in, in->args.items[0], &ref, e)) < 0)
		return r;
	if ((r = make_platform(in, option_value(in, "platform"), &asked, &more.platform, e)) < 0) return r;
	if (!all && !ref.tag && !ref.digest.algorithm) {
		reference_default_tag(&ref);
		say(&show, NULL, "Using default tag: latest");
	}
	if ((r = endpoints_find(in, &ref, &at, e)) < 0 || (r = skep_store(in, &store, e)) < 0) return r;
	r = all ? pull_all(in, store, &show, &ref, &at, &more, e) : pull_one(in, store, &show, &ref, &at, &more, e);
	if (r < 0) return r;
	const char *name = all ? reference_name(&ref, in->arena) : reference_format(&ref, in->arena);
	return show.progress.mode == PROGRESS_JSON || !name ? 0 : put_line(name, e);
}

int pull_image(Invocation *in, ImageStore *store, const char *name, const char *platform, bool quiet, Err *e)
{
	AUTO(show_done) Show show = { .quiet = quiet };
	Reference ref;
	Endpoints at;
	Platform asked;
	PullOptions more = { .tuning = { .ranges = 1 } };
	int mode = quiet ? PROGRESS_QUIET : progress_mode("auto", 2);
	progress_init(&show.progress, 2, (ProgressMode)mode);
	int r = endpoints_expand(in, name, &ref, e);
	if (r < 0 || (r = make_platform(in, platform, &asked, &more.platform, e)) < 0) return r;
	if (!ref.tag && !ref.digest.algorithm) reference_default_tag(&ref);
	if ((r = endpoints_find(in, &ref, &at, e)) < 0) return r;
	return pull_one(in, store, &show, &ref, &at, &more, e);
}

/* ---- push ---- */

static void show_push(void *arg, const PushEvent *event)
{
	static const ProgressStatus status[] = {
		[PUSH_PREPARING] = PROGRESS_PREPARING,  [PUSH_BYTES] = PROGRESS_PUSHING, [PUSH_EXISTED] = PROGRESS_LAYER_EXISTS,
		[PUSH_MOUNTED] = PROGRESS_LAYER_EXISTS, [PUSH_DONE] = PROGRESS_PUSHED,
	};
	Show *s = arg;
	char id[DIGEST_HEX_MAX];
	id_of(event->blob, id);
	(void)!progress_update(&s->progress, id, status[event->step], (int64_t)event->bytes, (int64_t)event->total, NULL, time_monotonic());
}

static const char partly[] = "Not all multiplatform-content is present and only the available single-platform image was pushed\n";

static int push_one(const Invocation *in, ImageStore *store, Show *show, const Reference *ref, const Endpoints *at, Err *e)
{
	Image image;
	PushResult done;
	char text[DIGEST_TEXT_MAX];
	const char *name = reference_format(ref, in->arena);
	if (!name) return err_sys(e, ENOMEM, "push");
	int r = image_find(store, name, in->arena, &image, e);
	if (r == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "An image does not exist locally with the tag: %s",
			       reference_name(ref, in->arena));
	if (r < 0) return r;
	TransferTuning tuning = { 0 };
	if ((r = endpoints_tuning(in, &tuning, e)) < 0) return r;
	Platform asked;
	const Platform *platform;
	if ((r = make_platform(in, option_value(in, "platform"), &asked, &platform, e)) < 0) return r;
	const PushOptions o = { .image = &image,
				.platform = platform,
				.reference = ref,
				.endpoints = at->items,
				.n_endpoints = at->n,
				.tuning = tuning,
				.chunk = (uint64_t)option_number(in, "chunk-size"),
				.event = show_push,
				.arg = show };
	r = image_push(store, &o, in->arena, &done, e);
	finish(show);
	if (r < 0) return r;
	tell_event(in, store, "push", ref);
	char *line = arena_printf(in->arena, "digest: %s size: %ju", digest_format(&done.manifest, text), (uintmax_t)done.size);
	if (!line) return err_sys(e, ENOMEM, "push");
	say(show, ref->tag, line);
	if (done.alone && !platform && !show->quiet) (void)!fd_write_all(2, partly, sizeof partly - 1);
	return 0;
}

static int push_all(const Invocation *in, ImageStore *store, Show *show, Reference *ref, const Endpoints *at, Err *e)
{
	ImageList l;
	bool any = false;
	const char *repository = reference_name(ref, in->arena);
	if (!repository) return err_sys(e, ENOMEM, "push");
	int r = image_list(store, in->arena, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++) {
		for (size_t k = 0; r >= 0 && k < l.items[i].names.n; k++) {
			const char *name = l.items[i].names.items[k];
			size_t n = strlen(repository);
			if (strncmp(name, repository, n) != 0 || name[n] != ':') continue;
			ref->tag = name + n + 1;
			any = true;
			r = push_one(in, store, show, ref, at, e);
		}
	}
	if (r >= 0 && !any) return err_set(e, ERR_NOT_FOUND, ENOENT, "An image does not exist locally with the tag: %s", repository);
	return r;
}

int push_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *store = NULL;
	AUTO(show_done) Show show = { 0 };
	Reference ref;
	Endpoints at;
	bool all = option_switch(in, "all-tags");
	int r = show_init(in, &show, e);
	if (r < 0 || (r = reference_parse(str_of(in->args.items[0]), in->arena, &ref, e)) < 0) return r;
	if (ref.digest.algorithm) return err_set(e, ERR_USAGE, EINVAL, "cannot push a digest reference");
	if (all && ref.tag) return err_set(e, ERR_USAGE, EINVAL, "tag can't be used with --all-tags/-a");
	if (!all && !ref.tag) {
		reference_default_tag(&ref);
		say(&show, NULL, "Using default tag: latest");
	}
	const char *name = reference_name(&ref, in->arena);
	char *to = name ? arena_printf(in->arena, "The push refers to repository [%s]", name) : NULL;
	if (!to) return err_sys(e, ENOMEM, "push");
	if ((r = endpoints_find(in, &ref, &at, e)) < 0 || (r = skep_store(in, &store, e)) < 0) return r;
	say(&show, NULL, to);
	r = all ? push_all(in, store, &show, &ref, &at, e) : push_one(in, store, &show, &ref, &at, e);
	if (r < 0) return r;
	return show.quiet ? put_line(reference_format(&ref, in->arena), e) : 0;
}
