/* cmd_image.c: image tag, rm. */
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
	if (r < 0) return r;
	if ((r = reference_parse(str_of(in->args.items[1]), in->arena, &ref, e)) < 0)
		return err_wrap(e, "Error parsing reference: \"%.128s\" is not a valid repository/tag", in->args.items[1]);
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
			if (r >= 0) put_removal(s, &i, &done, "Untagged", "Deleted", out);
			return r;
		}
	}
	r = image_remove(s, &i, force, a, &done, e);
	if (r >= 0) put_removal(s, &i, &done, "Untagged", "Deleted", out);
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
