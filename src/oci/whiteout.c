/* whiteout.c: see whiteout.h. */
#include "oci/whiteout.h"

#include "base/str.h"

static const char prefix[] = ".wh.", meta[] = ".wh..wh.", opaque[] = ".wh..wh..opq";

static WhiteoutKind classify_part(Str part)
{
	if (!str_starts(part, prefix)) return WHITEOUT_NONE;
	if (str_eq(part, opaque)) return WHITEOUT_OPAQUE;
	if (str_eq(part, ".wh.") || str_eq(part, ".wh..") || str_eq(part, ".wh...") || str_eq(part, meta)) return WHITEOUT_INVALID;
	return str_starts(part, meta) ? WHITEOUT_SKIP : WHITEOUT_FILE;
}

Whiteout whiteout_classify(const char *path)
{
	Str part, rest = str_of(path);
	while (str_next(&rest, '/', &part)) {
		WhiteoutKind kind = classify_part(part);
		if (kind == WHITEOUT_NONE) continue;
		/* aufs' own directories have contents; a whiteout takes a name away, and cannot be one */
		if (rest.p && kind != WHITEOUT_SKIP) kind = WHITEOUT_INVALID;
		size_t at = (size_t)(part.p - path);
		if (kind == WHITEOUT_FILE) return (Whiteout){ kind, at ? at - 1 : 0, part.p + sizeof prefix - 1 };
		return (Whiteout){ kind, kind == WHITEOUT_OPAQUE && at ? at - 1 : 0, NULL };
	}
	return (Whiteout){ WHITEOUT_NONE, 0, NULL };
}

bool whiteout_is_forged(const TarEntry *t)
{
	if (t->type == TAR_CHAR && !t->major && !t->minor) return true;
	for (size_t i = 0; i < t->n_xattrs; i++)
		if (starts_with(t->xattrs[i].name, "trusted.overlay.") || starts_with(t->xattrs[i].name, "user.overlay.")) return true;
	return false;
}
