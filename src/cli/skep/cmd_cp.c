/* cmd_cp.c: cp, diff, commit: the files of a container. */
#include <unistd.h>

#include "base/size.h"
#include "cli/skep/containers.h"
#include "engine/commit.h"
#include "engine/copy.h"
#include "engine/diff.h"
#include "oci/reference.h"

enum { OUTPUT_MAX = 256 << 20 };

/* CopyArg: "CONTAINER:PATH", or a path of the host: what begins with "/" or ".", or has no colon. */
typedef struct CopyArg {
	const char *container; /* NULL: of the host */
	const char *path;
} CopyArg;

static int split(const char *text, Arena *a, CopyArg *ret, Err *e)
{
	Str name, path;
	*ret = (CopyArg){ .path = text };
	if (text[0] == '/' || text[0] == '.' || !str_cut(str_of(text), ':', &name, &path) || !name.n) return 0;
	ret->container = arena_str(a, name);
	ret->path = path.p;
	return ret->container ? 0 : err_sys(e, ENOMEM, "cp");
}

static void tell(const Invocation *in, const CopyRequest *q, bool from)
{
	char size[SIZE_TEXT_MAX];
	if (q->left) dprintf(2, "WARNING: %llu device nodes were not copied: only with --archive are they\n", (unsigned long long)q->left);
	if (option_switch(in, "quiet") || !isatty(1)) return;
	size_format((double)q->bytes, SIZE_DECIMAL, size);
	if (from)
		dprintf(2, "Successfully copied %s to %s\n", size, q->host);
	else
		dprintf(2, "Successfully copied %s to %s:%s\n", size, q->name, q->into);
}

int container_cp_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	CopyArg from, to;
	Record c;
	int r = split(in->args.items[0], in->arena, &from, e);
	if (r >= 0) r = split(in->args.items[1], in->arena, &to, e);
	if (r < 0) return r;
	if (!*in->args.items[0]) return err_set(e, ERR_USAGE, EINVAL, "source can not be empty");
	if (!*in->args.items[1]) return err_set(e, ERR_USAGE, EINVAL, "destination can not be empty");
	if (from.container && to.container) return err_set(e, ERR_USAGE, EINVAL, "copying between containers is not supported");
	if (!from.container && !to.container) return err_set(e, ERR_USAGE, EINVAL, "must specify at least one container source");
	const CopyArg *inside = from.container ? &from : &to, *outside = from.container ? &to : &from;
	CopyRequest q = { .name = inside->container,
			  .path = inside->path,
			  .host = outside->path,
			  .follow = option_switch(in, "follow-link"),
			  .archive = option_switch(in, "archive") };
	if (from.container && streq(q.host, "-") && isatty(1))
		return err_set(e, ERR_USAGE, ENOTTY, "cowardly refusing to write an archive to a terminal. Redirect it");
	if ((r = skep_engine(in, &g, e)) < 0 || (r = record_find(&g, q.name, in->arena, &c, e)) < 0) return r;
	r = from.container ? container_copy_from(&g, &c, &q, in->arena, e) : container_copy_to(&g, &c, &q, in->arena, e);
	if (r < 0) return r;
	tell(in, &q, from.container != NULL);
	return 0;
}

int container_diff_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	AUTO_ARENA a = ARENA_INIT(OUTPUT_MAX);
	Record c;
	ChangeList l;
	int r = skep_engine(in, &g, e);
	if (r < 0 || (r = record_find(&g, in->args.items[0], in->arena, &c, e)) < 0 || (r = container_diff(&g, &c, &a, &l, e)) < 0)
		return r;
	for (size_t i = 0; i < l.n; i++)
		buf_printf(&out, "%c %s\n", "ACD"[l.items[i].kind], l.items[i].path);
	return print_buf(&out, e);
}

int container_commit_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	AUTO_BUF out = BUF_INIT(4096);
	Record c;
	Reference ref;
	Digest id;
	char text[DIGEST_TEXT_MAX];
	CommitRequest q = { .author = option_value(in, "author"),
			    .message = option_value(in, "message"),
			    .changes = *option_list(in, "change"),
			    .pause = option_switch(in, "pause") };
	int r = 0;
	if (in->args.n > 1 && *in->args.items[1]) {
		if ((r = reference_parse(str_of(in->args.items[1]), in->arena, &ref, e)) < 0) return r;
		if (ref.digest.algorithm) return err_set(e, ERR_USAGE, EINVAL, "cannot commit to digest reference");
		reference_default_tag(&ref);
		if (!(q.name = reference_format(&ref, in->arena))) return err_sys(e, ENOMEM, "commit");
	}
	if ((r = skep_engine(in, &g, e)) < 0 || (r = record_find(&g, in->args.items[0], in->arena, &c, e)) < 0) return r;
	if ((r = container_commit(&g, &c, &q, in->arena, &id, e)) < 0) return r;
	buf_printf(&out, "%s\n", digest_format(&id, text));
	return print_buf(&out, e);
}
