/* cmd_image_bootstrap.c: image bootstrap: an image out of this machine's Debian packages. */
#include "cli/skep/store.h"
#include "image/bootstrap.h"
#include "image/event.h"
#include "image/snapshot.h"

enum { OUTPUT_MAX = 4096, STEP_MAX = 65536 };

static bool is_debian(const Reference *ref)
{
	return streq(ref->path, "library/debian") || ends_with(ref->path, "/debian") || streq(ref->path, "debian");
}

/* As the user typed it, less what does not change the image. */
static const char *step_of(const Invocation *in, const char *what)
{
	AUTO_BUF b = BUF_INIT(STEP_MAX);
	const char *include = option_value(in, "include");
	buf_printf(&b, "skep image bootstrap %s", what);
	if (!starts_with(what, "busybox")) buf_printf(&b, " --variant %s", option_value(in, "variant"));
	if (include && *include) buf_printf(&b, " --include %s", include);
	return buf_failed(&b) ? NULL : arena_strdup(in->arena, buf_str(&b));
}

static int make_name(const Invocation *in, const char *what, const char **ret, Err *e)
{
	Reference ref;
	const char *tag = option_value(in, "tag");
	int r = reference_parse(str_of(tag && *tag ? tag : what), in->arena, &ref, e);
	if (r < 0) return r;
	if (ref.digest.algorithm) return err_set(e, ERR_USAGE, EINVAL, "image bootstrap: a digest cannot be chosen: %s", tag ? tag : what);
	reference_default_tag(&ref);
	*ret = reference_format(&ref, in->arena);
	return *ret ? 0 : err_sys(e, ENOMEM, "image bootstrap");
}

int image_bootstrap_run(Invocation *in, Err *e)
{
	AUTO_IMAGE_STORE *s = NULL;
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	const char *what = in->args.items[0];
	Reference ref;
	Image made;
	char id[DIGEST_TEXT_MAX];
	BootstrapOptions o = { .variant = option_value(in, "variant"),
			       .include = option_value(in, "include"),
			       .mirror = option_value(in, "mirror"),
			       .created_by = step_of(in, what) };
	int r = reference_parse(str_of(what), in->arena, &ref, e);
	if (r < 0 || (r = make_name(in, what, &o.name, e)) < 0) return r;
	bool busybox = streq(ref.path, "library/busybox");
	if (!o.created_by) return err_sys(e, ENOMEM, "image bootstrap");
	if (!busybox && !(is_debian(&ref) && ref.tag))
		return err_set(e, ERR_USAGE, EINVAL, "image bootstrap: %s cannot be made here: debian:SUITE and busybox can", what);
	o.suite = ref.tag;
	if ((r = skep_store(in, &s, e)) < 0) return r;
	r = busybox ? bootstrap_busybox(s, &o, in->arena, &made, e) : bootstrap_debian(s, &o, in->arena, &made, e);
	if (r < 0) return r;
	digest_format(&made.id, id);
	image_event(s, "import", id, id);
	buf_printf(&out, "%s\n", id);
	return print_buf(&out, e);
}
