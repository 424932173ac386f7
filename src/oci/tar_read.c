/* tar_read.c: the push parser, see tar_read.h.
 *
 * A member goes through: headers that announce it (pax, long names: READ_META), its own header, the rest of an old GNU sparse map
 * (READ_EXTENSION) or a map of version 1.0 (READ_MAP), the entry callback, its data (READ_DATA), the padding. */
#include "oci/tar_impl.h"

typedef enum {
	READ_HEADER,    /* a block: a header, or the first zero block */
	READ_EXTENSION, /* a block: more of an old GNU sparse map */
	READ_MAP,       /* a block: of a sparse map of version 1.0 */
	READ_ZERO,      /* a block: the second zero block */
	READ_META,      /* left bytes of an extended header or a long name */
	READ_DATA,      /* left bytes of a file */
	READ_PADDING,   /* left bytes to the next block */
	READ_END,       /* zeros */
} ReadState;

enum { SPARSE_AT = 386, SPARSE_PAIRS = 4, SPARSE_MORE_AT = 482, SPARSE_SIZE_AT = 483, EXTENSION_PAIRS = 21, EXTENSION_MORE_AT = 504 };
enum { DEVICE_MAJOR_MAX = 0xfff, DEVICE_MINOR_MAX = 0xfffff }; /* the kernel's 12 and 20 bits */

struct TarReader {
	TarVisitor visitor;
	TarLimits limits;
	ReadState state;
	uint64_t at;   /* of the next byte to be read */
	uint64_t left; /* of what state says */
	uint64_t entries;
	size_t n_block;
	unsigned char block[TAR_BLOCK_BYTES]; /* a block whose beginning came in an earlier piece */

	/* the member on its way */
	bool pending; /* a header that announces it has been read; header says where the first one was */
	bool used;    /* has, pax or map hold something */
	uint64_t header;
	char meta;   /* the typeflag of what READ_META reads */
	bool has[3]; /* pax, long name, long link */
	Buf text[3]; /* their contents */
	TarPax pax;  /* strings point into text[META_PAX] */
	TarMap map;
	TarEntry entry;
	char *path, *link; /* limits.path + 1 bytes each */
	char uname[33], gname[33];

	int failed; /* negative errno; error says why */
	Err error;
};

enum { META_PAX, META_NAME, META_LINK };

/* ---- the member's headers ---- */

static int meta_index(char type)
{
	return type == 'L' ? META_NAME : type == 'K' ? META_LINK : META_PAX;
}

static void member_forget(TarReader *r)
{
	if (!r->used) return; /* most members have one plain header */
	tar_pax_reset(&r->pax);
	tar_map_reset(&r->map);
	memset(r->has, 0, sizeof r->has);
	r->used = false;
}

static void padding_begin(TarReader *r, uint64_t bytes)
{
	r->left = -bytes & (TAR_BLOCK_BYTES - 1);
	r->state = r->left ? READ_PADDING : READ_HEADER;
}

/* A long name ends at its first NUL; only NULs may follow. */
static TarRule long_name_check(const Buf *b, TarRule rule)
{
	size_t n = strnlen(b->p, b->n);
	return tar_is_zero(b->p + n, b->n - n) ? TAR_OK : rule;
}

/* All of an extended header or long name is there. */
static int meta_end(TarReader *r, Err *e)
{
	Buf *b = &r->text[meta_index(r->meta)];
	uint64_t at = r->at - b->n;
	TarRule rule = TAR_OK;
	if (buf_failed(b)) return tar_refuse_at(e, TAR_MEMORY, at);
	if (r->meta == 'x' || r->meta == 'g') {
		int k = tar_pax_parse(&r->pax, &r->map, b->p, b->n, r->meta == 'g', at, &r->limits, e);
		if (k < 0) return k;
	} else {
		rule = long_name_check(b, r->meta == 'L' ? TAR_NAME_NUL : TAR_LINK_NUL);
		if (rule) return tar_refuse_at(e, rule, at);
	}
	padding_begin(r, b->n);
	return 0;
}

static int meta_begin(TarReader *r, const TarHeader *h, uint64_t at, Err *e)
{
	int i = meta_index(h->type);
	Buf *b = &r->text[i];
	if (h->type == 'g' && r->pending) return tar_refuse_at(e, TAR_META_GLOBAL, at);
	if (r->has[i]) return tar_refuse_at(e, TAR_META_TWICE, at);
	if (h->size < 0) return tar_refuse_at(e, TAR_SIZE_NEGATIVE, at);
	if ((uint64_t)h->size > r->limits.pax_bytes) return tar_refuse_at(e, TAR_META_LIMIT, at);
	if (h->type != 'g') {
		if (!r->pending) r->header = at;
		r->pending = r->used = r->has[i] = true;
	}
	r->entry.path = NULL;
	buf_reset(b);
	if (!buf_reserve(b, 0)) return tar_refuse_at(e, TAR_MEMORY, at); /* so that b->p is not NULL */
	r->meta = h->type;
	r->left = (uint64_t)h->size;
	r->state = READ_META;
	return r->left ? 0 : meta_end(r, e);
}

/* ---- names ---- */

static Str long_name(const TarReader *r, int i)
{
	return (Str){ r->text[i].p, strnlen(r->text[i].p, r->text[i].n) };
}

/* The name as written; joined has room for prefix and name of a header. */
static Str raw_name(const TarReader *r, const TarHeader *h, char joined[static TAR_BLOCK_BYTES])
{
	if (r->pax.seen & PAX_SPARSE_NAME) return r->pax.sparse_name;
	if (r->pax.seen & PAX_PATH) return r->pax.path;
	if (r->has[META_NAME]) return long_name(r, META_NAME);
	if (!h->prefix.n) return h->name;
	memcpy(joined, h->prefix.p, h->prefix.n);
	joined[h->prefix.n] = '/';
	memcpy(joined + h->prefix.n + 1, h->name.p, h->name.n);
	return (Str){ joined, h->prefix.n + 1 + h->name.n };
}

/* The same rules as for names, said of the target. */
static TarRule link_rule(TarRule rule)
{
	switch (rule) {
	case TAR_NAME_EMPTY:
		return TAR_LINK_EMPTY;
	case TAR_NAME_NUL:
		return TAR_LINK_NUL;
	case TAR_NAME_DOTDOT:
		return TAR_LINK_DOTDOT;
	case TAR_NAME_PART:
		return TAR_LINK_PART;
	case TAR_NAME_DEPTH:
		return TAR_LINK_DEPTH;
	case TAR_NAME_LONG:
		return TAR_LINK_LONG;
	default:
		return rule;
	}
}

static TarRule member_link(TarReader *r, const TarHeader *h)
{
	TarEntry *t = &r->entry;
	Str raw = r->pax.seen & PAX_LINKPATH ? r->pax.linkpath : r->has[META_LINK] ? long_name(r, META_LINK) : h->link;
	size_t n;
	if (t->type != TAR_HARDLINK && t->type != TAR_SYMLINK) return TAR_OK;
	if (r->pax.seen & PAX_LINKPATH && r->has[META_LINK]) return TAR_LINK_TWICE;
	t->link = r->link;
	if (t->type == TAR_HARDLINK) {
		TarRule rule = tar_name_clean(raw, &r->limits, r->link, &n);
		if (rule) return link_rule(rule);
		return !n ? TAR_LINK_ROOT : streq(r->link, r->path) ? TAR_LINK_SELF : TAR_OK;
	}
	if (!raw.n) return TAR_LINK_EMPTY;
	if (raw.n > r->limits.path) return TAR_LINK_LONG;
	memcpy(r->link, raw.p, raw.n);
	r->link[raw.n] = 0;
	return TAR_OK;
}

static TarRule member_name(TarReader *r, Str raw)
{
	size_t n;
	TarRule rule = tar_name_clean(raw, &r->limits, r->path, &n);
	if (rule) return rule;
	if (r->pax.seen & PAX_PATH && r->has[META_NAME]) return TAR_NAME_TWICE;
	if (!n && r->entry.type != TAR_DIR) return TAR_ROOT_TYPE;
	/* GNU tar and bsdtar make a directory of it, docker a file */
	if (r->entry.type == TAR_FILE && raw.p[raw.n - 1] == '/') return TAR_FILE_SLASH;
	r->entry.path = r->path;
	return TAR_OK;
}

/* ---- attributes ---- */

static TarRule member_type(TarReader *r, const TarHeader *h, Str raw)
{
	static const TarType types[] = { TAR_FILE, TAR_HARDLINK, TAR_SYMLINK, TAR_CHAR, TAR_BLOCK, TAR_DIR, TAR_FIFO, TAR_FILE };
	TarEntry *t = &r->entry;
	if (h->type >= '0' && h->type <= '7')
		t->type = types[h->type - '0'];
	else if (!h->type) /* v7 knew no directories: those who added them marked them so */
		t->type = raw.n && raw.p[raw.n - 1] == '/' ? TAR_DIR : TAR_FILE;
	else if (h->type == 'S' && h->magic == TAR_GNU)
		t->type = TAR_FILE;
	else
		return h->type == 'S' ? TAR_SPARSE_KIND : TAR_TYPE;
	return TAR_OK;
}

static bool member_id(bool given, uint64_t pax, int64_t header, uint32_t *ret)
{
	uint64_t v = given ? pax : (uint64_t)header;
	*ret = (uint32_t)v;
	return v < UINT32_MAX; /* a negative number is large */
}

static const char *member_owner(bool given, Str pax, Str header, char copy[static 33])
{
	if (given) return pax.p;
	if (!header.n) return NULL;
	memcpy(copy, header.p, header.n);
	copy[header.n] = 0;
	return copy;
}

static TarRule member_device(TarReader *r, const TarHeader *h)
{
	int64_t major, minor;
	if (r->entry.type != TAR_CHAR && r->entry.type != TAR_BLOCK) return TAR_OK;
	if (!tar_header_device(h, &major, &minor)) return TAR_DEVICE;
	uint64_t a = r->pax.seen & PAX_DEVMAJOR ? r->pax.devmajor : (uint64_t)major;
	uint64_t b = r->pax.seen & PAX_DEVMINOR ? r->pax.devminor : (uint64_t)minor;
	if (a > DEVICE_MAJOR_MAX || b > DEVICE_MINOR_MAX) return TAR_DEVICE;
	r->entry.major = (uint32_t)a;
	r->entry.minor = (uint32_t)b;
	return TAR_OK;
}

static TarRule member_attributes(TarReader *r, const TarHeader *h)
{
	TarEntry *t = &r->entry;
	const TarPax *p = &r->pax;
	t->mode = (uint32_t)h->mode & 07777;
	if (!member_id(p->seen & PAX_UID, p->uid, h->uid, &t->uid)) return TAR_UID_RANGE;
	if (!member_id(p->seen & PAX_GID, p->gid, h->gid, &t->gid)) return TAR_GID_RANGE;
	t->uname = member_owner(p->seen & PAX_UNAME, p->uname, h->uname, r->uname);
	t->gname = member_owner(p->seen & PAX_GNAME, p->gname, h->gname, r->gname);
	t->mtime = p->seen & PAX_MTIME ? p->mtime : h->mtime;
	t->mtime_ns = p->seen & PAX_MTIME ? p->mtime_ns : 0;
	t->xattrs = p->n_xattrs ? p->xattrs : NULL;
	t->n_xattrs = p->n_xattrs;
	return member_device(r, h);
}

/* ---- data ---- */

/* The stored size; the file's own is another one if it is sparse. */
static TarRule member_size(TarReader *r, const TarHeader *h)
{
	TarEntry *t = &r->entry;
	uint64_t v = r->pax.seen & PAX_SIZE ? r->pax.size : (uint64_t)h->size;
	if (h->size < 0 || v > INT64_MAX) return TAR_SIZE_NEGATIVE;
	if (v && t->type != TAR_FILE) return TAR_SIZE_TYPE;
	if (v > r->limits.size || v > INT64_MAX - TAR_BLOCK_BYTES - r->at) return TAR_SIZE_LIMIT;
	if (r->pax.seen & PAX_REALSIZE && r->pax.realsize != v) return TAR_REALSIZE;
	t->size = t->stored = v;
	t->offset = r->at;
	return TAR_OK;
}

static TarRule sparse_old(TarReader *r, const TarHeader *h)
{
	bool last;
	int64_t size;
	if (r->pax.seen & PAX_SPARSE_ANY) return TAR_SPARSE_MIXED;
	if (!tar_number(h->block + SPARSE_SIZE_AT, 12, &size)) return TAR_SIZE;
	if (size < 0) return TAR_SIZE_NEGATIVE;
	r->entry.size = (uint64_t)size;
	TarRule rule = tar_map_header(&r->map, h->block + SPARSE_AT, SPARSE_PAIRS, &last);
	if (rule) return rule;
	if (!h->block[SPARSE_MORE_AT]) return TAR_OK;
	r->state = READ_EXTENSION;
	return last ? TAR_SPARSE_COUNT : TAR_OK;
}

/* Which of the three ways to write it in pax records, and whether all of its records are there. */
static TarRule sparse_pax(TarReader *r)
{
	const TarPax *p = &r->pax;
	uint32_t version = p->seen & (PAX_SPARSE_MAJOR | PAX_SPARSE_MINOR), sizes = p->seen & (PAX_SPARSE_REALSIZE | PAX_SPARSE_SIZE);
	uint32_t maps = p->seen & (PAX_SPARSE_MAP | PAX_SPARSE_BYTES | PAX_SPARSE_BLOCKS);
	if (version && version != (PAX_SPARSE_MAJOR | PAX_SPARSE_MINOR)) return TAR_SPARSE_MIXED;
	if (version && !(p->sparse_major == 0 && p->sparse_minor <= 1) && !(p->sparse_major == 1 && p->sparse_minor == 0))
		return TAR_SPARSE_KIND;
	if (!sizes || (sizes == (PAX_SPARSE_REALSIZE | PAX_SPARSE_SIZE) && p->sparse_size != p->sparse_realsize)) return TAR_SPARSE_MIXED;
	r->entry.size = p->seen & PAX_SPARSE_SIZE ? p->sparse_size : p->sparse_realsize;
	if (version && p->sparse_major == 1) {
		r->state = READ_MAP;
		return maps ? TAR_SPARSE_MIXED : r->entry.stored < TAR_BLOCK_BYTES ? TAR_SPARSE_SHORT : TAR_OK;
	}
	if (!maps || (maps & PAX_SPARSE_MAP && maps & PAX_SPARSE_BYTES)) return TAR_SPARSE_MIXED;
	if (maps & PAX_SPARSE_MAP) {
		TarRule rule = tar_map_text(&r->map, p->sparse_map);
		if (rule) return rule;
	}
	return maps & PAX_SPARSE_BLOCKS && p->sparse_blocks != r->map.pairs ? TAR_SPARSE_COUNT : TAR_OK;
}

static TarRule member_sparse(TarReader *r, const TarHeader *h)
{
	TarEntry *t = &r->entry;
	bool old = h->type == 'S', pax = r->pax.seen & PAX_SPARSE_ANY;
	r->state = READ_DATA;
	if (!old && !pax) return TAR_OK;
	if (t->type != TAR_FILE) return TAR_SPARSE_TYPE;
	t->sparse = r->used = true;
	TarRule rule = old ? sparse_old(r, h) : sparse_pax(r);
	return rule ? rule : t->size > r->limits.size ? TAR_SIZE_LIMIT : TAR_OK;
}

/* The map, if there is one, is complete: the member goes out. */
static int member_ready(TarReader *r, Err *e)
{
	TarEntry *t = &r->entry;
	if (t->sparse) {
		TarRule rule = tar_map_check(&r->map, t->size, t->stored);
		if (rule) return tar_refuse_name(e, rule, str_of(t->path));
		t->extents = r->map.n ? r->map.items : NULL;
		t->n_extents = r->map.n;
	}
	int k = r->visitor.entry ? r->visitor.entry(r->visitor.arg, t, e) : 0;
	if (k < 0) return k;
	r->left = t->stored;
	r->state = READ_DATA;
	if (!r->left) padding_begin(r, 0);
	return 0;
}

static int refuse_member(Err *e, TarRule rule, const TarHeader *h, Str raw)
{
	int k = tar_refuse_name(e, rule, raw);
	size_t n = strlen(e->msg);
	if (rule == TAR_TYPE)
		snprintf(e->msg + n, sizeof e->msg - n, ": \"%c\" (0x%02x)", h->type >= ' ' && h->type <= '~' ? h->type : '?',
			 (unsigned char)h->type);
	return k;
}

static int member_begin(TarReader *r, const TarHeader *h, uint64_t at, Err *e)
{
	char joined[TAR_BLOCK_BYTES];
	Str raw = raw_name(r, h, joined);
	TarRule rule = ++r->entries > r->limits.entries ? TAR_ENTRIES : TAR_OK;
	r->entry = (TarEntry){ .header = r->pending ? r->header : at };
	if (!rule) rule = member_type(r, h, raw);
	if (!rule) rule = member_name(r, raw);
	if (!rule) rule = member_link(r, h);
	if (!rule) rule = member_attributes(r, h);
	if (!rule) rule = member_size(r, h);
	if (!rule) rule = member_sparse(r, h);
	if (rule) return refuse_member(e, rule, h, raw);
	r->pending = false;
	return r->state == READ_DATA ? member_ready(r, e) : 0;
}

/* ---- blocks ---- */

static int header_block(TarReader *r, const unsigned char *block, Err *e)
{
	uint64_t at = r->at - TAR_BLOCK_BYTES;
	TarHeader h;
	if (!block[0] && tar_is_zero(block, TAR_BLOCK_BYTES)) {
		if (r->pending) return tar_refuse_at(e, TAR_META_ALONE, r->header);
		r->state = READ_ZERO;
		return 0;
	}
	TarRule rule = tar_header_decode(block, &h);
	if (rule) return tar_refuse_at(e, rule, at);
	if (!r->pending) member_forget(r);
	return strchr("xgLK", h.type) && h.type ? meta_begin(r, &h, at, e) : member_begin(r, &h, at, e);
}

static int extension_block(TarReader *r, const unsigned char *block, Err *e)
{
	bool last;
	TarRule rule = tar_map_header(&r->map, block, EXTENSION_PAIRS, &last);
	bool more = block[EXTENSION_MORE_AT];
	if (!rule && more && last) rule = TAR_SPARSE_COUNT;
	if (rule) return tar_refuse_name(e, rule, str_of(r->entry.path));
	r->entry.offset = r->at;
	return more ? 0 : member_ready(r, e);
}

static int map_block(TarReader *r, const unsigned char *block, Err *e)
{
	bool done = false;
	TarRule rule = tar_map_block(&r->map, block, &done);
	TarEntry *t = &r->entry;
	t->offset = r->at;
	t->stored -= TAR_BLOCK_BYTES;
	if (!rule && !done && t->stored < TAR_BLOCK_BYTES) rule = TAR_SPARSE_SHORT;
	if (rule) return tar_refuse_name(e, rule, str_of(t->path));
	return done ? member_ready(r, e) : 0;
}

/* Blocks that lie in one piece are read where they are. */
static int step_block(TarReader *r, const unsigned char *p, size_t n, size_t *ret_used, Err *e)
{
	const unsigned char *block = p;
	size_t k = TAR_BLOCK_BYTES - r->n_block;
	if (r->n_block || n < k) {
		if (k > n) k = n;
		memcpy(r->block + r->n_block, p, k);
		r->n_block += k;
		block = r->block;
	}
	*ret_used = k;
	r->at += k;
	if (block == r->block && r->n_block < TAR_BLOCK_BYTES) return 0;
	r->n_block = 0;
	switch (r->state) {
	case READ_EXTENSION:
		return extension_block(r, block, e);
	case READ_MAP:
		return map_block(r, block, e);
	case READ_ZERO:
		if (!tar_is_zero(block, TAR_BLOCK_BYTES)) return tar_refuse_at(e, TAR_END_LONE, r->at - TAR_BLOCK_BYTES);
		r->state = READ_END;
		return 0;
	default:
		return header_block(r, block, e);
	}
}

static int step(TarReader *r, const unsigned char *p, size_t n, size_t *ret_used, Err *e)
{
	int k = 0;
	if (r->state <= READ_ZERO) return step_block(r, p, n, ret_used, e);
	if (r->state == READ_END && !tar_is_zero(p, n)) {
		while (!*p++)
			r->at++;
		return tar_refuse_at(e, TAR_END_GARBAGE, r->at);
	}
	if (r->state != READ_END && n > r->left) n = r->left;
	*ret_used = n;
	r->at += n;
	if (r->state == READ_END) return 0;
	r->left -= n;
	switch (r->state) {
	case READ_META:
		buf_put(&r->text[meta_index(r->meta)], p, n);
		return r->left ? 0 : meta_end(r, e);
	case READ_DATA:
		if (r->visitor.data) k = r->visitor.data(r->visitor.arg, &r->entry, p, n, e);
		if (k >= 0 && !r->left) padding_begin(r, r->entry.stored);
		return k < 0 ? k : 0;
	default:
		if (!r->left) r->state = READ_HEADER;
		return 0;
	}
}

/* ---- the interface ---- */

TarReader *tar_reader_new(const TarVisitor *v, const TarLimits *limits)
{
	enum { PATH_LIMIT = 65535 };
	TarReader *r = calloc(1, sizeof *r);
	if (!r) return NULL;
	r->visitor = *v;
	r->limits = limits ? *limits : TAR_LIMITS_DEFAULT;
	if (r->limits.path > PATH_LIMIT) r->limits.path = PATH_LIMIT;
	r->path = malloc(r->limits.path + 1);
	r->link = malloc(r->limits.path + 1);
	r->map.max = r->limits.extents;
	for (size_t i = 0; i < ARRAY_LEN(r->text); i++)
		r->text[i] = BUF_INIT(r->limits.pax_bytes);
	if (r->path && r->link) return r;
	tar_reader_free(r);
	return NULL;
}

void tar_reader_free(TarReader *r)
{
	if (!r) return;
	for (size_t i = 0; i < ARRAY_LEN(r->text); i++)
		buf_done(&r->text[i]);
	tar_pax_done(&r->pax);
	tar_map_done(&r->map);
	free(r->path);
	free(r->link);
	free(r);
}

static int fail(TarReader *r, int errnum, const Err *e)
{
	r->failed = errnum;
	r->error = *e;
	return errnum;
}

int tar_reader_feed(TarReader *r, const void *p, size_t n, Err *e)
{
	const unsigned char *b = p;
	while (n && !r->failed) {
		size_t used = 0;
		int k = step(r, b, n, &used, e);
		if (k < 0) return fail(r, k, e);
		b += used;
		n -= used;
	}
	if (r->failed) *e = r->error;
	return r->failed;
}

uint64_t tar_reader_skip(TarReader *r, uint64_t n)
{
	if (r->failed || r->state != READ_DATA) return 0;
	if (n > r->left) n = r->left;
	r->at += n;
	r->left -= n;
	if (!r->left) padding_begin(r, r->entry.stored);
	return n;
}

int tar_reader_finish(TarReader *r, Err *e)
{
	bool boundary = r->state == READ_END || ((r->state == READ_HEADER || r->state == READ_ZERO) && !r->n_block && !r->pending);
	if (!r->failed && !boundary) {
		bool named = r->state == READ_DATA || r->state == READ_PADDING || r->state == READ_MAP || r->state == READ_EXTENSION;
		Str name = named && r->entry.path ? str_of(r->entry.path) : (Str){ "", 0 };
		int k = err_set(e, ERR_CONFIG, EBADMSG, "tar: byte %llu: the archive is truncated%s%.256s%s", (unsigned long long)r->at,
				name.n ? ", in \"" : "", name.p, name.n ? "\"" : "");
		return fail(r, k, e);
	}
	if (r->failed) *e = r->error;
	return r->failed;
}
