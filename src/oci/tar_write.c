/* tar_write.c: see tar_write.h. */
#include "oci/tar_write.h"
#include "oci/tar_impl.h"

enum { NAME_MAX_BYTES = 100, OWNER_MAX_BYTES = 31, TARGET_MAX_BYTES = 4095, RECORDS_MAX = 1 << 20 };

struct TarWriter {
	TarSink *sink;
	void *arg;
	Buf head, records; /* of the member that begins */
	char *name;        /* its path, for messages */
	uint64_t size;     /* of the file */
	uint64_t at;       /* bytes of it that have been written */
	TarExtent *extents;
	size_t n_extents, next; /* next: the extent that data goes to */
	uint64_t filled;        /* bytes of it */
	bool sparse;
	int failed; /* negative errno; error says why */
	Err error;
};

static const char zeros[8192];

static int fail(TarWriter *w, int errnum, const Err *e)
{
	w->failed = errnum;
	w->error = *e;
	return errnum;
}

static int put(TarWriter *w, const void *p, size_t n, Err *e)
{
	int r = n ? w->sink(w->arg, p, n, e) : 0;
	return r < 0 ? fail(w, r, e) : 0;
}

static int put_zeros(TarWriter *w, uint64_t n, Err *e)
{
	while (n) {
		size_t k = n < sizeof zeros ? (size_t)n : sizeof zeros;
		int r = put(w, zeros, k, e);
		if (r < 0) return r;
		n -= k;
	}
	return 0;
}

static int refuse(Err *e, const TarEntry *t, const char *why)
{
	return err_set(e, ERR_CONFIG, EINVAL, "tar: cannot write \"%.256s\": %s", t->path, why);
}

static int no_memory(Err *e, const TarEntry *t)
{
	return err_sys(e, ENOMEM, "tar: write \"%.256s\"", t->path);
}

/* ---- what can be written ---- */

static bool is_clean(const char *path)
{
	const TarLimits limits = TAR_LIMITS_DEFAULT;
	char clean[4096];
	size_t n;
	return !tar_name_clean(str_of(*path ? path : "."), &limits, clean, &n) && streq(clean, path);
}

static const char *check_extents(const TarEntry *t)
{
	uint64_t end = 0, sum = 0;
	for (size_t i = 0; i < t->n_extents; i++) {
		const TarExtent *x = &t->extents[i];
		if (x->offset < end || !x->n || __builtin_add_overflow(x->offset, x->n, &end) || end > t->size)
			return "its extents are not in order or beyond its size";
		sum += x->n;
	}
	return sum == t->stored ? NULL : "its extents do not add up to its stored data";
}

static const char *check_entry(const TarEntry *t)
{
	bool link = t->type == TAR_HARDLINK || t->type == TAR_SYMLINK;
	if ((unsigned)t->type > TAR_FIFO) return "an unknown type";
	if (!is_clean(t->path)) return "the path is not clean";
	if (!*t->path && t->type != TAR_DIR) return "the root can only be a directory";
	if (link && (!t->link || !*t->link)) return "a link without a target";
	if (t->type == TAR_HARDLINK && (!is_clean(t->link) || streq(t->link, t->path))) return "the target of the hard link is not clean";
	if (link && strlen(t->link) > TARGET_MAX_BYTES) return "the target of the link is longer than 4095 bytes";
	if (t->uid == UINT32_MAX || t->gid == UINT32_MAX) return "4294967295 is no id";
	if (t->mtime_ns > 999999999) return "the nanoseconds of its time are not below 1000000000";
	if (t->major > 0xfff || t->minor > 0xfffff) return "the device number is not from 0:0 to 4095:1048575";
	if (t->size && t->type != TAR_FILE) return "only a file can have data";
	if (t->size > INT64_MAX - TAR_BLOCK_BYTES) return "the size is too large";
	return t->sparse ? check_extents(t) : NULL;
}

/* ---- pax records ---- */

static size_t decimal_digits(size_t n)
{
	size_t k = 1;
	for (; n >= 10; n /= 10)
		k++;
	return k;
}

/* The length of a record counts its own digits: adding them can make it a digit longer. */
static void put_record(Buf *b, const char *prefix, Str key, const void *value, size_t n)
{
	size_t rest = strlen(prefix) + key.n + n + 3, all = rest + decimal_digits(rest);
	all = rest + decimal_digits(all);
	buf_printf(b, "%zu %s", all, prefix);
	buf_put(b, key.p, key.n);
	buf_putc(b, '=');
	buf_put(b, value, n);
	buf_putc(b, '\n');
}

static void put_text(Buf *b, const char *key, const char *value)
{
	put_record(b, "", str_of(key), value, strlen(value));
}

static void put_number(Buf *b, const char *key, uint64_t v)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)v);
	put_text(b, key, text);
}

/* {-2, 500000000} is "-1.5"; zeros at the end are cut. */
static void put_time(Buf *b, int64_t seconds, uint32_t ns)
{
	char text[48];
	bool minus = seconds < 0;
	uint64_t whole = minus ? -(uint64_t)seconds : (uint64_t)seconds;
	if (minus && ns) {
		whole--;
		ns = 1000000000 - ns;
	}
	int n = snprintf(text, sizeof text, "%s%llu.%09u", minus ? "-" : "", (unsigned long long)whole, ns);
	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.') n--;
	put_record(b, "", STR("mtime"), text, (size_t)n);
}

static int xattr_order(const void *a, const void *b)
{
	return strcmp((*(const TarXattr *const *)a)->name, (*(const TarXattr *const *)b)->name);
}

/* "=" would end the key: GNU tar's way out is "%3D", and "%25" for "%". */
static void put_xattr(Buf *b, Buf *name, const TarXattr *x)
{
	buf_reset(name);
	for (const char *p = x->name; *p; p++)
		if (*p == '=' || *p == '%')
			buf_puts(name, *p == '=' ? "%3D" : "%25");
		else
			buf_putc(name, *p);
	put_record(b, "SCHILY.xattr.", (Str){ buf_str(name), name->n }, x->value, x->n);
	if (buf_failed(name)) b->failed = true;
}

static int put_xattrs(Buf *b, const TarEntry *t, Err *e)
{
	enum { NAME_MAX_XATTR = 255, VALUE_MAX_XATTR = 64 << 10 };
	AUTO_FREE const TarXattr **sorted = NULL;
	AUTO_BUF name = BUF_INIT(3 * NAME_MAX_XATTR);
	if (!t->n_xattrs) return 0;
	sorted = reallocarray(NULL, t->n_xattrs, sizeof *sorted);
	if (!sorted) return no_memory(e, t);
	for (size_t i = 0; i < t->n_xattrs; i++)
		sorted[i] = &t->xattrs[i];
	qsort(sorted, t->n_xattrs, sizeof *sorted, xattr_order);
	for (size_t i = 0; i < t->n_xattrs && b->n <= RECORDS_MAX; i++) {
		size_t n = strlen(sorted[i]->name);
		if (!n || n > NAME_MAX_XATTR) return refuse(e, t, "the name of an extended attribute must have 1 to 255 bytes");
		if (i && streq(sorted[i]->name, sorted[i - 1]->name)) return refuse(e, t, "an extended attribute twice");
		if (sorted[i]->n > VALUE_MAX_XATTR) return refuse(e, t, "the value of an extended attribute is larger than 64 KiB");
		put_xattr(b, &name, sorted[i]);
	}
	return 0;
}

/* ---- headers ---- */

/* Octal with a NUL at the end; false, and zeros, when it does not fit. */
static bool put_octal(char *field, size_t n, uint64_t v)
{
	bool fits = v >> (3 * (n - 1)) == 0;
	if (!fits) v = 0;
	for (size_t i = n - 1; i-- > 0; v >>= 3)
		field[i] = (char)('0' + (v & 7));
	return fits;
}

static void checksum(char *block)
{
	uint64_t sum = 0;
	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
		sum += (unsigned char)block[i];
	put_octal(block + 148, 7, sum);
	block[154] = 0;
}

static void put_magic(char *block, char type)
{
	static const char magic[8] = { 'u', 's', 't', 'a', 'r', 0, '0', '0' };
	block[156] = type;
	memcpy(block + 257, magic, sizeof magic);
}

/* Writes s into a field without a NUL at the end if need be; false when it is too long. */
static bool put_field(char *field, size_t n, Str s)
{
	memcpy(field, s.p, s.n < n ? s.n : n);
	return s.n <= n;
}

/* The member's own header into block, what does not fit there into w->records, sorted by key (ASCII). */
static int put_header(TarWriter *w, const TarEntry *t, Str path, char block[static TAR_BLOCK_BYTES], Err *e)
{
	static const char types[] = { [TAR_FILE] = '0',  [TAR_HARDLINK] = '1', [TAR_SYMLINK] = '2', [TAR_CHAR] = '3',
				      [TAR_BLOCK] = '4', [TAR_DIR] = '5',      [TAR_FIFO] = '6' };
	bool link = t->type == TAR_HARDLINK || t->type == TAR_SYMLINK, device = t->type == TAR_CHAR || t->type == TAR_BLOCK;
	Str target = link ? str_of(t->link) : STR(""), uname = t->uname ? str_of(t->uname) : STR(""),
	    gname = t->gname ? str_of(t->gname) : STR("");
	Buf *b = &w->records;
	int r = put_xattrs(b, t, e);
	if (r < 0) return r;
	put_octal(block + 100, 8, t->mode & 07777);
	put_octal(block + 329, 8, device ? t->major : 0);
	put_octal(block + 337, 8, device ? t->minor : 0);
	if (!put_octal(block + 116, 8, t->gid)) put_number(b, "gid", t->gid);
	if (!put_field(block + 297, OWNER_MAX_BYTES, gname)) put_text(b, "gname", gname.p);
	if (!put_field(block + 157, NAME_MAX_BYTES, target)) put_text(b, "linkpath", target.p);
	if (!put_octal(block + 136, 12, t->mtime < 0 ? UINT64_MAX : (uint64_t)t->mtime) || t->mtime_ns) put_time(b, t->mtime, t->mtime_ns);
	if (!put_field(block, NAME_MAX_BYTES, path)) put_record(b, "", STR("path"), path.p, path.n);
	if (!put_octal(block + 124, 12, t->size)) put_number(b, "size", t->size);
	if (!put_octal(block + 108, 8, t->uid)) put_number(b, "uid", t->uid);
	if (!put_field(block + 265, OWNER_MAX_BYTES, uname)) put_text(b, "uname", uname.p);
	put_magic(block, types[t->type]);
	checksum(block);
	if (b->n > RECORDS_MAX) return refuse(e, t, "its pax records are over 1 MiB");
	return buf_failed(b) ? no_memory(e, t) : 0;
}

/* The pax header and its records into w->head. */
static void put_pax(TarWriter *w)
{
	char block[TAR_BLOCK_BYTES] = "././@PaxHeader";
	put_octal(block + 100, 8, 0644);
	put_octal(block + 108, 8, 0);
	put_octal(block + 116, 8, 0);
	put_octal(block + 124, 12, w->records.n); /* below RECORDS_MAX */
	put_octal(block + 136, 12, 0);
	put_octal(block + 329, 8, 0);
	put_octal(block + 337, 8, 0);
	put_magic(block, 'x');
	checksum(block);
	buf_put(&w->head, block, sizeof block);
	buf_put(&w->head, buf_str(&w->records), w->records.n);
	buf_put(&w->head, zeros, -w->records.n & (TAR_BLOCK_BYTES - 1));
}

static int put_member(TarWriter *w, const TarEntry *t, Err *e)
{
	char block[TAR_BLOCK_BYTES] = "";
	AUTO_BUF dir = BUF_INIT(4096 + 2);
	Str path = str_of(t->path);
	if (t->type == TAR_DIR) {
		buf_puts(&dir, *t->path ? t->path : ".");
		buf_putc(&dir, '/');
		path = (Str){ buf_str(&dir), dir.n };
	}
	buf_reset(&w->head);
	buf_reset(&w->records);
	int r = buf_failed(&dir) ? no_memory(e, t) : put_header(w, t, path, block, e);
	if (r < 0) return r;
	if (w->records.n) put_pax(w);
	buf_put(&w->head, block, sizeof block);
	if (buf_failed(&w->head)) return no_memory(e, t);
	return put(w, w->head.p, w->head.n, e);
}

/* ---- data ---- */

/* The hole before the next extent, or up to the end of the file. */
static int put_hole(TarWriter *w, Err *e)
{
	uint64_t to = w->next < w->n_extents ? w->extents[w->next].offset : w->size;
	int r = put_zeros(w, to - w->at, e);
	if (r < 0) return r;
	w->at = to;
	return 0;
}

/* The data of the member under way ends here: all of it must be there. */
static int member_end(TarWriter *w, Err *e)
{
	if (w->failed) {
		*e = w->error;
		return w->failed;
	}
	if (w->sparse && w->next == w->n_extents) {
		int r = put_hole(w, e);
		if (r < 0) return r;
	}
	if (w->at < w->size) {
		int r = err_set(e, ERR_INTERNAL, EINVAL, "tar: \"%.256s\": only %llu of its %llu bytes were written", w->name,
				(unsigned long long)w->at, (unsigned long long)w->size);
		return fail(w, r, e);
	}
	int r = put_zeros(w, -w->size & (TAR_BLOCK_BYTES - 1), e);
	w->size = w->at = 0;
	return r;
}

int tar_writer_data(TarWriter *w, const void *p, size_t n, Err *e)
{
	const char *b = p;
	if (w->failed) {
		*e = w->error;
		return w->failed;
	}
	while (n) {
		uint64_t room = w->sparse ? 0 : w->size - w->at;
		if (w->sparse && w->next < w->n_extents) {
			int r = w->filled ? 0 : put_hole(w, e);
			if (r < 0) return r;
			room = w->extents[w->next].n - w->filled;
		}
		size_t k = n < room ? n : (size_t)room;
		if (!k) {
			int r = err_set(e, ERR_INTERNAL, EINVAL, "tar: \"%.256s\": more data than its size", w->name ? w->name : "");
			return fail(w, r, e);
		}
		int r = put(w, b, k, e);
		if (r < 0) return r;
		b += k;
		n -= k;
		w->at += k;
		if (!w->sparse || (w->filled += k) < w->extents[w->next].n) continue;
		w->next++;
		w->filled = 0;
	}
	return 0;
}

int tar_writer_skip(TarWriter *w, uint64_t n, Err *e)
{
	if (w->failed) {
		*e = w->error;
		return w->failed;
	}
	if (w->sparse || n > w->size - w->at) {
		int r = err_set(e, ERR_INTERNAL, EINVAL, "tar: \"%.256s\": more data than its size", w->name ? w->name : "");
		return fail(w, r, e);
	}
	w->at += n;
	return 0;
}

/* ---- the interface ---- */

static bool keep_extents(TarWriter *w, const TarEntry *t)
{
	w->sparse = t->sparse;
	w->n_extents = t->sparse ? t->n_extents : 0;
	w->next = 0;
	w->filled = 0;
	free(w->extents);
	w->extents = NULL;
	if (!w->n_extents) return true;
	w->extents = reallocarray(NULL, w->n_extents, sizeof *w->extents);
	if (w->extents) memcpy(w->extents, t->extents, w->n_extents * sizeof *w->extents);
	return w->extents;
}

int tar_writer_entry(TarWriter *w, const TarEntry *t, Err *e)
{
	int r = member_end(w, e);
	if (r < 0) return r;
	const char *why = check_entry(t);
	if (why) return refuse(e, t, why);
	char *name = strdup(t->path);
	free(w->name);
	w->name = name;
	if (!name || !keep_extents(w, t)) return fail(w, no_memory(e, t), e);
	if ((r = put_member(w, t, e)) < 0) return r;
	w->size = t->size;
	return 0;
}

int tar_writer_finish(TarWriter *w, Err *e)
{
	int r = member_end(w, e);
	return r < 0 ? r : put_zeros(w, 2 * TAR_BLOCK_BYTES, e);
}

TarWriter *tar_writer_new(TarSink *sink, void *arg)
{
	TarWriter *w = calloc(1, sizeof *w);
	if (!w) return NULL;
	w->sink = sink;
	w->arg = arg;
	w->records = BUF_INIT(4 * RECORDS_MAX); /* so that what is over the limit is not taken for a lack of memory */
	w->head = BUF_INIT(RECORDS_MAX + 4 * TAR_BLOCK_BYTES);
	return w;
}

void tar_writer_free(TarWriter *w)
{
	if (!w) return;
	buf_done(&w->head);
	buf_done(&w->records);
	free(w->name);
	free(w->extents);
	free(w);
}
