/* cmd_image_ls.c: image ls (images). */
#include "base/glob.h"
#include "base/size.h"
#include "base/time.h"
#include "cli/format.h"
#include "cli/skep/filters.h"
#include "cli/skep/store.h"

static const FormatField fields[] = { { "ID", "IMAGE ID" },
				      { "Repository", "REPOSITORY" },
				      { "Tag", "TAG" },
				      { "Digest", "DIGEST" },
				      { "CreatedSince", "CREATED" },
				      { "CreatedAt", "CREATED AT" },
				      { "Size", "SIZE" },
				      { "Containers", "CONTAINERS" },
				      { "VirtualSize", "SIZE" },
				      { "SharedSize", "SHARED SIZE" },
				      { "UniqueSize", "UNIQUE SIZE" },
				      { "Platform", "PLATFORM" },
				      { 0 } };

/* One line: an image under one of its names; a name may lack its tag or its digest. */
typedef struct Line {
	const Image *image;
	const char *repository, *tag, *digest;
} Line;

typedef struct Listing {
	Invocation *in;
	ImageStore *store;
	ImageList images;
	Format format;
	bool quiet, full;
	Buf ids;
} Listing;

static int put_row(Listing *l, const Line *line, Err *e)
{
	char id[DIGEST_TEXT_MAX], hex[DIGEST_HEX_MAX], age[AGE_TEXT_MAX], at[AGE_TEXT_MAX], size[SIZE_TEXT_MAX];
	const Image *i = line->image;
	const char *shown = l->full ? digest_format(&i->id, id) : short_id(&i->id, hex);
	if (l->quiet) {
		buf_printf(&l->ids, "%s\n", shown);
		return 0;
	}
	age_text(i->created, age);
	time_text(i->created, at);
	size_format_digits((double)i->size, SIZE_DECIMAL, 3, size);
	const StrPair row[] = {
		{ "Containers", "N/A" },
		{ "CreatedAt", at },
		{ "CreatedSince", age },
		{ "Digest", line->digest ? line->digest : "<none>" },
		{ "ID", shown },
		{ "Repository", line->repository ? line->repository : "<none>" },
		{ "SharedSize", "N/A" },
		{ "Size", size },
		{ "Tag", line->tag ? line->tag : "<none>" },
		{ "UniqueSize", "N/A" },
		{ "VirtualSize", size },
	};
	return format_texts(&l->format, row, ARRAY_LEN(row), e);
}

/* ---- filters ---- */

/* The image that a filter compares with; its age in ns. */
static int created_of(Listing *l, const char *name, int64_t *ret, Err *e)
{
	Image i;
	int r = image_find(l->store, name, l->in->arena, &i, e);
	if (r < 0) return r;
	*ret = 0;
	if (i.created && time_parse(str_of(i.created), ret) < 0) *ret = 0;
	return 0;
}

static int has_label(Listing *l, const Image *i, Str want, Err *e)
{
	ImageConfig c;
	int r = image_documents(l->store, i, l->in->arena, NULL, &c, e);
	return r < 0 ? r : filter_label(&c.config.labels, want);
}

static int passes_filter(Listing *l, const Image *i, Str key, Str value, Err *e)
{
	int64_t mine = 0, other;
	char *text = arena_str(l->in->arena, value);
	if (!text) return err_sys(e, ENOMEM, "images");
	if (str_eq(key, "dangling")) {
		int want = filter_bool(key, value, e);
		return want < 0 ? want : (i->names.n == 0) == want;
	}
	if (str_eq(key, "label")) return has_label(l, i, value, e);
	if (str_eq(key, "reference")) return 1; /* by name, see passes_reference */
	if (str_eq(key, "before") || str_eq(key, "since")) {
		int r = created_of(l, text, &other, e);
		if (r < 0) return r;
		if (i->created && time_parse(str_of(i->created), &mine) < 0) mine = 0;
		return str_eq(key, "before") ? mine < other : mine > other;
	}
	return filter_unknown(key, e);
}

static int passes(Listing *l, const Image *i, Err *e)
{
	const StrList *filters = option_list(l->in, "filter");
	for (size_t k = 0; k < filters->n; k++) {
		Str key, value;
		filter_cut(filters->items[k], &key, &value);
		int r = passes_filter(l, i, key, value, e);
		if (r <= 0) return r;
	}
	return 1;
}

/* "debian", "debian:1*", "docker.io/library/debian": as docker, against the familiar name with and without its tag. */
static bool matches(const char *pattern, const char *repository, const char *tag, Arena *a)
{
	const char *full = arena_printf(a, "%s:%s", repository, tag ? tag : "");
	return glob_match(str_of(pattern), str_of(repository), 0) == 1 || (full && glob_match(str_of(pattern), str_of(full), 0) == 1);
}

static bool passes_reference(Listing *l, const char *repository, const char *tag)
{
	const StrList *filters = option_list(l->in, "filter");
	bool any = false, found = false;
	for (size_t k = 0; k < filters->n; k++) {
		if (!starts_with(filters->items[k], "reference=")) continue;
		any = true;
		found |= repository && matches(filters->items[k] + strlen("reference="), repository, tag, l->in->arena);
	}
	if (!l->in->args.n) return !any || found;
	Reference want;
	Err ignored = ERR_INIT;
	if (any && !found) return false;
	if (!repository) return false;
	if (matches(l->in->args.items[0], repository, tag, l->in->arena)) return true;
	if (reference_parse(str_of(l->in->args.items[0]), l->in->arena, &want, &ignored) < 0) return false;
	const char *name = reference_familiar_name(&want, l->in->arena);
	return name && streq(name, repository) && (!want.tag || (tag && streq(tag, want.tag)));
}

/* ---- lines ---- */

/* The digest under which the image is known in a repository. */
static const char *digest_in(const Image *i, const char *repository)
{
	size_t n = strlen(repository);
	for (size_t k = 0; k < i->repo_digests.n; k++)
		if (strncmp(i->repo_digests.items[k], repository, n) == 0 && i->repo_digests.items[k][n] == '@')
			return i->repo_digests.items[k] + n + 1;
	return NULL;
}

static int put_named(Listing *l, const Image *i, Err *e)
{
	for (size_t k = 0; k < i->names.n; k++) {
		Reference ref;
		int r = reference_parse(str_of(i->names.items[k]), l->in->arena, &ref, e);
		if (r < 0) return r;
		const char *full = reference_name(&ref, l->in->arena), *familiar = reference_familiar_name(&ref, l->in->arena);
		if (!full || !familiar) return err_sys(e, ENOMEM, "images");
		if (!passes_reference(l, familiar, ref.tag)) continue;
		const Line line = { .image = i, .repository = familiar, .tag = ref.tag, .digest = digest_in(i, full) };
		if ((r = put_row(l, &line, e)) < 0) return r;
	}
	return 0;
}

static int put_nameless(Listing *l, const Image *i, Err *e)
{
	Line line = { .image = i };
	if (i->repo_digests.n) {
		Reference ref;
		int r = reference_parse(str_of(i->repo_digests.items[0]), l->in->arena, &ref, e);
		if (r < 0) return r;
		line.repository = reference_familiar_name(&ref, l->in->arena);
		line.digest = strchr(i->repo_digests.items[0], '@') + 1;
	}
	return passes_reference(l, line.repository, NULL) ? put_row(l, &line, e) : 0;
}

static int put_lines(Listing *l, Err *e)
{
	for (size_t k = 0; k < l->images.n; k++) {
		const Image *i = &l->images.items[k];
		int r = passes(l, i, e);
		if (r < 0) return r;
		if (r == 0) continue;
		r = i->names.n ? put_named(l, i, e) : put_nameless(l, i, e);
		if (r < 0) return r;
	}
	return 0;
}

static void listing_done(Listing *l)
{
	image_store_close(l->store);
	format_done(&l->format);
	buf_done(&l->ids);
}

int image_ls_run(Invocation *in, Err *e)
{
	AUTO(listing_done) Listing l = { .in = in, .ids = BUF_INIT(FORMAT_OUTPUT_MAX) };
	const Buf *out = &l.ids;
	l.quiet = option_switch(in, "quiet");
	l.full = option_switch(in, "no-trunc");
	const char *standard = option_switch(in, "digests")
				       ? "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
				       : "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
	static const TemplateHost host = { .type = "*formatter.imageContext" };
	int r = format_init(&l.format, option_value(in, "format"), standard, fields, &host, in->arena, e);
	if (r < 0 || (r = skep_store(in, &l.store, e)) < 0 || (r = image_list(l.store, in->arena, &l.images, e)) < 0) return r;
	if ((r = put_lines(&l, e)) < 0) return r;
	if (!l.quiet && (r = format_finish(&l.format, &out, e)) < 0) return r;
	return print_buf(out, e);
}
