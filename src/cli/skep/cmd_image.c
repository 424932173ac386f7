/* cmd_image.c: image tag, rm, prune; system df. */
#include "base/size.h"
#include "cli/format.h"
#include "cli/skep/confirm.h"
#include "cli/skep/store.h"
#include "image/event.h"

enum { OUTPUT_MAX = 16 << 20 };

int image_tag_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *s = NULL;
	Image i;
	Reference ref;
	int r = skep_store(in, &s, e);
	if (r >= 0) r = image_find(s, in->args.items[0], in->arena, &i, e);
	if (r >= 0) r = reference_parse(str_of(in->args.items[1]), in->arena, &ref, e);
	if (r < 0) return r;
	if (ref.digest.algorithm) return err_set(e, ERR_USAGE, EINVAL, "refusing to create a tag with a digest reference");
	reference_default_tag(&ref);
	const char *name = reference_format(&ref, in->arena);
	const char *familiar = name ? reference_familiar(&ref, in->arena) : NULL;
	if (!familiar) return err_sys(e, ENOMEM, "tag");
	if ((r = image_tag(s, &i.manifest, name, e)) < 0) return r;
	char id[DIGEST_TEXT_MAX];
	image_event(s, "tag", digest_format(&i.id, id), familiar);
	return 0;
}

/* ---- rm ---- */

static void put_removal(ImageStore *s, const Image *image, const Removal *r, Buf *out)
{
	image_event_removal(s, image, r);
	for (size_t i = 0; i < r->untagged.n; i++)
		buf_printf(out, "Untagged: %s\n", r->untagged.items[i]);
	for (size_t i = 0; i < r->deleted.n; i++)
		buf_printf(out, "Deleted: %s\n", r->deleted.items[i]);
}

/* A name takes away that name, and the image with its last one; an id takes away the image. */
static int remove_one(ImageStore *s, const char *arg, bool force, Arena *a, Buf *out, Err *e)
{
	Image i;
	Reference ref;
	Removal done;
	Err ignored = ERR_INIT;
	int r = image_find(s, arg, a, &i, e);
	if (r < 0) return r;
	if (reference_parse(str_of(arg), a, &ref, &ignored) >= 0 && !ref.digest.algorithm) {
		reference_default_tag(&ref);
		const char *name = reference_format(&ref, a);
		if (!name) return err_sys(e, ENOMEM, "rmi");
		for (size_t k = 0; k < i.names.n; k++) {
			if (!streq(i.names.items[k], name)) continue;
			r = image_untag(s, name, force, a, &done, e);
			if (r >= 0) put_removal(s, &i, &done, out);
			return r;
		}
	}
	r = image_remove(s, &i, force, a, &done, e);
	if (r >= 0) put_removal(s, &i, &done, out);
	return r;
}

int image_rm_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *s = NULL;
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	bool force = option_switch(in, "force"), failed = false;
	int r = skep_store(in, &s, e);
	for (size_t i = 0; r >= 0 && i < in->args.n; i++) {
		Err why = ERR_INIT;
		int x = remove_one(s, in->args.items[i], force, in->arena, &out, &why);
		if (x == -ENOENT && force) continue;
		if (x >= 0) continue;
		if (failed) log_write(&in->log, LOG_ERROR, "%s", e->msg);
		*e = why;
		failed = true;
	}
	if (r < 0) return r;
	Err printing = ERR_INIT;
	if ((r = print_buf(&out, failed ? &printing : e)) < 0) return r;
	return failed ? -(e->errnum ? e->errnum : EIO) : 0;
}

/* ---- prune ---- */

static int prune_images(ImageStore *s, bool all, Arena *a, Buf *out, int64_t *freed, Err *e)
{
	ImageList l;
	int r = image_list(s, a, &l, e);
	/* no container keeps an image yet: with all, every image is unused */
	for (size_t i = 0; r >= 0 && i < l.n; i++) {
		Removal done;
		if (!all && l.items[i].names.n) continue;
		r = image_remove(s, &l.items[i], true, a, &done, e);
		if (r < 0) break;
		put_removal(s, &l.items[i], &done, out);
		*freed += done.freed;
	}
	return r < 0 ? r : 0;
}

int image_prune_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *s = NULL;
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	char size[SIZE_TEXT_MAX];
	int64_t freed = 0;
	bool all = option_switch(in, "all"), blobs = option_switch(in, "blobs");
	const char *warning = blobs ? "WARNING! This will remove the compressed layers of all images; a push will compress them anew."
			      : all ? "WARNING! This will remove all images without at least one container associated to them."
				    : "WARNING! This will remove all dangling images.";
	if (!confirmed(in, warning)) return 0;
	int r = skep_store(in, &s, e);
	if (r >= 0) r = blobs ? store_drop_blobs(s, &freed, e) : prune_images(s, all, in->arena, &out, &freed, e);
	if (r < 0) return r;
	AUTO_BUF text = BUF_INIT(OUTPUT_MAX);
	if (out.n) buf_printf(&text, "Deleted Images:\n%s\n", buf_str(&out));
	size_format((double)freed, SIZE_DECIMAL, size);
	buf_printf(&text, "Total reclaimed space: %s\n", size);
	return print_buf(&text, e);
}

/* ---- df ---- */

static int put_usage(Format *f, const char *type, int64_t total, int64_t active, int64_t bytes, int64_t reclaimable, Arena *a, Err *e)
{
	AUTO_BUF b = BUF_INIT(4096);
	JsonWriter w = JSON_WRITER(&b);
	JsonValue row;
	char size[SIZE_TEXT_MAX], free_text[SIZE_TEXT_MAX], with_share[2 * SIZE_TEXT_MAX], number[24];
	size_format_digits((double)bytes, SIZE_DECIMAL, 4, size);
	size_format_digits((double)reclaimable, SIZE_DECIMAL, 4, free_text);
	snprintf(with_share, sizeof with_share, "%s (%d%%)", free_text, bytes ? (int)(reclaimable * 100 / bytes) : 0);
	json_begin_object(&w);
	snprintf(number, sizeof number, "%jd", (intmax_t)active);
	json_put_string(&w, "Active", number);
	json_put_string(&w, "Reclaimable", bytes ? with_share : free_text);
	json_put_string(&w, "Size", size);
	snprintf(number, sizeof number, "%jd", (intmax_t)total);
	json_put_string(&w, "TotalCount", number);
	json_put_string(&w, "Type", type);
	json_end_object(&w);
	char *text = buf_failed(&b) ? NULL : arena_str(a, (Str){ b.p, b.n });
	if (!text) return err_sys(e, ENOMEM, "system df");
	int r = json_parse(text, b.n, a, &row, e);
	return r < 0 ? r : format_row(f, &row, e);
}

int df_run(Invocation *in, Err *e)
{
	static const FormatField fields[] = { { "Type", "TYPE" }, { "TotalCount", "TOTAL" },        { "Active", "ACTIVE" },
					      { "Size", "SIZE" }, { "Reclaimable", "RECLAIMABLE" }, { 0 } };
	static const TemplateHost host = { .type = "*formatter.diskUsageImagesContext" };
	AUTO_IMAGE_STORE *s = NULL;
	AUTO_FORMAT f = { 0 };
	const Buf *out;
	StoreUsage u;
	int r = format_init(&f, option_value(in, "format"), "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
			    fields, &host, in->arena, e);
	if (r < 0 || (r = skep_store(in, &s, e)) < 0 || (r = store_usage(s, &u, e)) < 0) return r;
	if ((r = put_usage(&f, "Images", u.images, u.active, u.size, u.reclaimable, in->arena, e)) < 0) return r;
	if ((r = put_usage(&f, "Layers", u.layers, u.layers, u.layer_size, 0, in->arena, e)) < 0) return r;
	if ((r = put_usage(&f, "Blobs", u.blobs, u.blobs, u.blob_size, 0, in->arena, e)) < 0) return r;
	if ((r = format_finish(&f, &out, e)) < 0) return r;
	return print_buf(out, e);
}
