/* erofs_xattr.c: extended attributes of a tree: each name with each value is kept once, however many inodes have it. */
#include "sys/erofs_impl.h"

/* What e_name_index says in place of the beginning of a name. */
static const char *const prefixes[] = {
	[1] = "user.", [2] = "system.posix_acl_access", [3] = "system.posix_acl_default", [4] = "trusted.", [6] = "security.",
};
enum { PREFIX_ACL_ACCESS = 2, PREFIX_ACL_DEFAULT = 3, BUCKET_FILL = 2 };

const char *erofs_xattr_prefix(uint8_t index)
{
	return index < ARRAY_LEN(prefixes) ? prefixes[index] : NULL;
}

uint8_t erofs_xattr_split(Str name, Str *ret_rest)
{
	for (size_t i = 1; i < ARRAY_LEN(prefixes); i++) {
		if (!prefixes[i] || !str_starts(name, prefixes[i])) continue;
		size_t n = strlen(prefixes[i]);
		*ret_rest = (Str){ name.p + n, name.n - n };
		bool whole = i == PREFIX_ACL_ACCESS || i == PREFIX_ACL_DEFAULT;
		return whole == !ret_rest->n ? (uint8_t)i : 0;
	}
	return 0;
}

/* Twice the buckets, when the chains get long. Without memory they stay as they are. */
static void grow_buckets(ErofsTree *t)
{
	if (t->n_xattrs < t->xattrs_n * BUCKET_FILL) return;
	size_t n = t->xattrs_n * 4;
	ErofsXattr **to = calloc(n, sizeof(ErofsXattr *));
	if (!to) return;
	for (size_t i = 0; i < t->xattrs_n; i++) {
		for (ErofsXattr *x = t->xattrs[i], *next; x; x = next) {
			next = x->next;
			x->next = to[x->hash & (n - 1)];
			to[x->hash & (n - 1)] = x;
		}
	}
	free(t->xattrs);
	t->xattrs = to;
	t->xattrs_n = n;
}

int erofs_xattr_intern(ErofsTree *t, uint8_t prefix, Str name, Str value, ErofsXattr **ret, Err *e)
{
	if (name.n > EROFS_NAME_MAX || value.n > EROFS_XATTR_VALUE_MAX)
		return err_set(e, ERR_UNSUPPORTED, E2BIG,
			       "an attribute of %zu bytes in name and %zu in value: at most %d and %d are possible", name.n, value.n,
			       EROFS_NAME_MAX, EROFS_XATTR_VALUE_MAX);
	uint64_t bytes = EROFS_XATTR_ENTRY + name.n + value.n;
	if (t->xattr_bytes > t->limits.xattr_bytes || bytes > t->limits.xattr_bytes - t->xattr_bytes)
		return erofs_quota(e, t->limits.xattr_bytes, "bytes of extended attributes");
	t->xattr_bytes += bytes;
	uint64_t hash = erofs_hash(t, value.p, value.n, erofs_hash(t, name.p, name.n, prefix));
	for (ErofsXattr *x = t->xattrs[hash & (t->xattrs_n - 1)]; x; x = x->next) {
		if (x->hash != hash || x->prefix != prefix || x->name_n != name.n || x->value_n != value.n) continue;
		if (memcmp(x->bytes, name.p, name.n) == 0 && memcmp(x->bytes + name.n, value.p, value.n) == 0) {
			*ret = x;
			return 0;
		}
	}
	ErofsXattr *x = arena_alloc(&t->arena, sizeof *x + name.n + value.n);
	if (!x) return erofs_no_memory(t, e);
	*x = (ErofsXattr){ .hash = hash, .prefix = prefix, .name_n = (uint8_t)name.n, .value_n = (uint32_t)value.n };
	if (name.n) memcpy(x->bytes, name.p, name.n);
	if (value.n) memcpy(x->bytes + name.n, value.p, value.n);
	grow_buckets(t);
	x->next = t->xattrs[hash & (t->xattrs_n - 1)];
	t->xattrs[hash & (t->xattrs_n - 1)] = x;
	t->n_xattrs++;
	*ret = x;
	return 0;
}

static int compare(const ErofsXattr *a, const ErofsXattr *b)
{
	if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
	return erofs_names_compare((Str){ a->bytes, a->name_n }, (Str){ b->bytes, b->name_n });
}

int erofs_xattr_add(ErofsTree *t, ErofsInode *inode, ErofsXattr *x, Err *e)
{
	size_t n = 0;
	ErofsXattrRef **at = &inode->xattrs;
	for (ErofsXattrRef *ref = *at; ref; ref = ref->next) {
		int order = compare(ref->x, x);
		if (order == 0) {
			ref->x = x;
			return 0;
		}
		if (order < 0) at = &ref->next;
		n++;
	}
	if (n >= EROFS_XATTRS_MAX) return err_set(e, ERR_UNSUPPORTED, E2BIG, "more than %d extended attributes", EROFS_XATTRS_MAX);
	ErofsXattrRef *ref = arena_alloc(&t->arena, sizeof *ref);
	if (!ref) return erofs_no_memory(t, e);
	*ref = (ErofsXattrRef){ .next = *at, .x = x };
	*at = ref;
	return 0;
}

int erofs_node_set_xattr(ErofsTree *t, ErofsNode *node, const char *name, const void *value, size_t n, Err *e)
{
	Str rest;
	ErofsXattr *x;
	uint8_t prefix = erofs_xattr_split(str_of(name), &rest);
	if (!prefix) return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP, "attribute %.64s: EROFS has no place for it", name);
	if (streq(name, "trusted.overlay.opaque") || streq(name, "trusted.overlay.origin"))
		return err_set(e, ERR_SECURITY, EINVAL, "attribute %s: it says what only a whiteout may say", name);
	int r = erofs_xattr_intern(t, prefix, rest, (Str){ value, n }, &x, e);
	if (r >= 0) r = erofs_xattr_add(t, node->inode, x, e);
	return r < 0 ? err_wrap(e, "attribute %.64s", name) : 0;
}

ErofsXattrs erofs_xattrs(const ErofsTree *t, const ErofsInode *i)
{
	ErofsXattrs it = { .next = i->xattrs };
	if (!inode_is_dir(i)) return it;
	if (i->opaque) it.marks[0] = t->opaque;
	if (i->u.dir.whiteouts) it.marks[1] = t->origin;
	return it;
}

ErofsXattr *erofs_xattrs_next(ErofsXattrs *it)
{
	for (size_t i = 0; i < ARRAY_LEN(it->marks); i++)
		if (it->marks[i]) return take(it->marks[i]);
	if (!it->next) return NULL;
	ErofsXattr *x = it->next->x;
	it->next = it->next->next;
	return x;
}

void erofs_node_clear_xattrs(ErofsTree *t, ErofsNode *node)
{
	(void)t;
	node->inode->xattrs = NULL;
}

void erofs_node_xattr(const ErofsNode *node, size_t i, char name[EROFS_XATTR_NAME_SIZE], Str *ret_value)
{
	const ErofsXattrRef *ref = node->inode->xattrs;
	while (i--)
		ref = ref->next;
	const ErofsXattr *x = ref->x;
	snprintf(name, EROFS_XATTR_NAME_SIZE, "%s%.*s", prefixes[x->prefix], (int)x->name_n, x->bytes);
	*ret_value = (Str){ x->bytes + x->name_n, x->value_n };
}
