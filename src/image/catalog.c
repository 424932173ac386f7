/* catalog.c: finding, listing and naming images. */
#include "image/catalog.h"

#include "image/store_impl.h"

#define IMAGE_COLUMNS "manifest, target, id, os, architecture, variant, created, size, added"

static int no_image(const char *name, Err *e)
{
	return err_set(e, ERR_NOT_FOUND, ENOENT, "No such image: %.300s", name);
}

/* ---- rows to images ---- */

static int read_image(const DbRows *rows, Arena *a, Image *ret, Err *e)
{
	Image i = { .size = db_row_int(rows, 7), .added = db_row_int(rows, 8) };
	int r;
	if ((r = store_row_digest(rows, 0, &i.manifest, e)) < 0 || (r = store_row_digest(rows, 1, &i.target, e)) < 0 ||
	    (r = store_row_digest(rows, 2, &i.id, e)) < 0)
		return r;
	if (db_row_dup(rows, 3, a, &i.platform.os) < 0 || db_row_dup(rows, 4, a, &i.platform.architecture) < 0 ||
	    db_row_dup(rows, 5, a, &i.platform.variant) < 0 || db_row_dup(rows, 6, a, &i.created) < 0)
		return err_sys(e, ENOMEM, "read the images");
	*ret = i;
	return 0;
}

static int add_string(StrList *l, const char *s, Arena *a)
{
	/* room for 1, 2, 4, … strings and the NULL behind them */
	if ((l->n & (l->n - 1)) == 0) {
		const char **items = arena_array(a, 2 * l->n + 2, sizeof *items);
		if (!items) return -ENOMEM;
		if (l->n) memcpy(items, l->items, l->n * sizeof *items);
		l->items = items;
	}
	if (!s) return -ENOMEM;
	l->items[l->n++] = s;
	l->items[l->n] = NULL;
	return 0;
}

static int read_strings(ImageStore *s, const char *sql, const Digest *d, Arena *a, StrList *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	StrList l = { 0 };
	int r = db_query(s->db, sql, DB_ARGS(DB_DIGEST(d)), &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0)
		if (add_string(&l, arena_str(a, db_row_str(&rows, 0)), a) < 0) return err_sys(e, ENOMEM, "read the images");
	if (r < 0) return r;
	*ret = l;
	return 0;
}

static int read_names(ImageStore *s, Image *i, Arena *a, Err *e)
{
	int r = read_strings(s, "SELECT name FROM names WHERE manifest = ? ORDER BY name", &i->manifest, a, &i->names, e);
	if (r < 0) return r;
	return read_strings(s, "SELECT DISTINCT repository || '@' || target FROM repo_digests WHERE manifest = ? ORDER BY 1", &i->manifest,
			    a, &i->repo_digests, e);
}

/* The first row of a query for images, with its names. 1, or 0 when there is none. */
static int get_image(ImageStore *s, const char *sql, DbArgs args, Arena *a, Image *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(s->db, sql, args, &rows, e);
	if (r <= 0) return r;
	if ((r = read_image(&rows, a, ret, e)) < 0) return r;
	db_rows_done(&rows);
	r = read_names(s, ret, a, e);
	return r < 0 ? r : 1;
}

/* ---- finding ---- */

static int find_name(ImageStore *s, Reference *ref, Arena *a, Image *ret, Err *e)
{
	if (ref->digest.algorithm) {
		const char *repository = reference_name(ref, a);
		if (!repository) return err_sys(e, ENOMEM, "find an image");
		return get_image(s,
				 "SELECT " IMAGE_COLUMNS " FROM images WHERE manifest = (SELECT manifest FROM repo_digests WHERE "
				 "repository = ?1 AND (target = ?2 OR manifest = ?2))",
				 DB_ARGS(db_text(repository), DB_DIGEST(&ref->digest)), a, ret, e);
	}
	reference_default_tag(ref);
	const char *name = reference_format(ref, a);
	if (!name) return err_sys(e, ENOMEM, "find an image");
	return get_image(s, "SELECT " IMAGE_COLUMNS " FROM images WHERE manifest = (SELECT manifest FROM names WHERE name = ?)",
			 DB_ARGS(db_text(name)), a, ret, e);
}

static bool is_hex(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("0123456789abcdef", s.p[i])) return false;
	return s.n > 0 && s.n <= 64;
}

/* By the beginning of an id, or of the digest of a manifest. */
static int find_id(ImageStore *s, const char *text, Arena *a, Image *ret, Err *e)
{
	Str id = str_of(text);
	if (str_starts(id, "sha256:")) id = (Str){ id.p + 7, id.n - 7 };
	if (!is_hex(id)) return 0;
	char *low = arena_printf(a, "sha256:%.*s", (int)id.n, id.p), *high = arena_printf(a, "sha256:%.*sg", (int)id.n, id.p);
	if (!low || !high) return err_sys(e, ENOMEM, "find an image");
	AUTO_DB_ROWS rows = { 0 };
	DbArgs range = DB_ARGS(db_text(low), db_text(high));
	int r = db_get(s->db, "SELECT count(DISTINCT id) FROM images WHERE id >= ?1 AND id < ?2", range, &rows, e);
	int64_t n = r > 0 ? db_row_int(&rows, 0) : 0;
	db_rows_done(&rows);
	if (r < 0) return r;
	if (n > 1) return err_set(e, ERR_USAGE, EINVAL, "%s is the beginning of the ids of %jd images: give more of it", text, (intmax_t)n);
	if (n == 1)
		return get_image(s, "SELECT " IMAGE_COLUMNS " FROM images WHERE id >= ?1 AND id < ?2 ORDER BY added DESC", range, a, ret,
				 e);
	return get_image(s,
			 "SELECT " IMAGE_COLUMNS " FROM images WHERE (manifest >= ?1 AND manifest < ?2) OR (target >= ?1 AND target < ?2) "
			 "ORDER BY added DESC",
			 range, a, ret, e);
}

int image_find(ImageStore *s, const char *name, Arena *a, Image *ret, Err *e)
{
	Reference ref;
	Err why = ERR_INIT;
	int r = reference_parse(str_of(name), a, &ref, &why);
	if (r == -ENOMEM) return err_sys(e, ENOMEM, "find an image");
	bool is_reference = r >= 0;
	if (is_reference && (r = find_name(s, &ref, a, ret, e)) != 0) return r < 0 ? r : 0;
	if ((r = find_id(s, name, a, ret, e)) != 0) return r < 0 ? r : 0;
	const char *familiar = is_reference ? reference_familiar(&ref, a) : NULL; /* with its tag: it was looked for so */
	if (is_reference || is_hex(str_of(name)) || starts_with(name, "sha256:")) return no_image(familiar ? familiar : name, e);
	*e = why;
	return -EINVAL;
}

/* ---- listing ---- */

static int compare_manifests(const void *a, const void *b)
{
	const Image *x = *(Image *const *)a, *y = *(Image *const *)b;
	return memcmp(&x->manifest, &y->manifest, sizeof x->manifest);
}

/* One pass over a table of (manifest, text), for all images at once. */
static int read_all_strings(ImageStore *s, const char *sql, Image **sorted, size_t n, bool names, Arena *a, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_query(s->db, sql, DB_NONE, &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0) {
		Image key = { 0 }, *at = &key, **found;
		if ((r = store_row_digest(&rows, 0, &key.manifest, e)) < 0) return r;
		found = n ? bsearch(&at, sorted, n, sizeof *sorted, compare_manifests) : NULL;
		if (!found) continue;
		if (add_string(names ? &(*found)->names : &(*found)->repo_digests, arena_str(a, db_row_str(&rows, 1)), a) < 0)
			return err_sys(e, ENOMEM, "read the images");
	}
	return r;
}

static int read_images(ImageStore *s, Arena *a, ImageList *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	size_t n = 0;
	int r = db_get(s->db, "SELECT count(*) FROM images", DB_NONE, &rows, e);
	size_t max = r > 0 ? (size_t)db_row_int(&rows, 0) : 0;
	db_rows_done(&rows);
	Image *items = r < 0 ? NULL : arena_array(a, max + 1, sizeof *items);
	if (r >= 0 && !items) return err_sys(e, ENOMEM, "read the images");
	if (r >= 0) r = db_query(s->db, "SELECT " IMAGE_COLUMNS " FROM images ORDER BY created DESC, id", DB_NONE, &rows, e);
	while (r >= 0 && n < max && (r = db_next(&rows, e)) > 0)
		r = read_image(&rows, a, &items[n++], e);
	if (r < 0) return r;
	ret->items = items;
	ret->n = n;
	return 0;
}

int image_list(ImageStore *s, Arena *a, ImageList *ret, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	ImageList l = { 0 };
	int r = db_begin(s->db, DB_READ, &tx, e);
	if (r < 0 || (r = read_images(s, a, &l, e)) < 0) return r;
	Image **sorted = arena_array(a, l.n + 1, sizeof *sorted);
	if (!sorted) return err_sys(e, ENOMEM, "read the images");
	for (size_t i = 0; i < l.n; i++)
		sorted[i] = &l.items[i];
	qsort(sorted, l.n, sizeof *sorted, compare_manifests);
	r = read_all_strings(s, "SELECT manifest, name FROM names ORDER BY name", sorted, l.n, true, a, e);
	if (r >= 0)
		r = read_all_strings(s, "SELECT DISTINCT manifest, repository || '@' || target FROM repo_digests ORDER BY 2", sorted, l.n,
				     false, a, e);
	if (r < 0 || (r = db_commit(&tx, e)) < 0) return r;
	*ret = l;
	return 0;
}

static ImageLayer *more_layers(const ImageLayer *items, size_t *room, Arena *a)
{
	size_t n = *room;
	*room = n ? 2 * n : 16;
	ImageLayer *more = arena_array(a, *room, sizeof *more);
	if (more && n) memcpy(more, items, n * sizeof *more);
	return more;
}

int image_layers(ImageStore *s, const Digest *manifest, Arena *a, ImageLayerList *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	ImageLayer *items = NULL;
	size_t n = 0, room = 0;
	int r = db_query(s->db,
			 "SELECT image_layers.diff_id, image_layers.blob, tar_size, index_size, size, entries, opaque FROM image_layers "
			 "LEFT JOIN layers USING (diff_id) WHERE manifest = ? ORDER BY position",
			 DB_ARGS(DB_DIGEST(manifest)), &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0 && n < LAYERS_MAX) {
		if (n == room && !(items = more_layers(items, &room, a))) return err_sys(e, ENOMEM, "read the layers");
		ImageLayer *l = &items[n++];
		l->there = !db_row_null(&rows, 2);
		if ((r = store_row_digest(&rows, 0, &l->diff_id, e)) < 0 || (r = store_row_digest(&rows, 1, &l->blob, e)) < 0) return r;
		l->tar_size = (uint64_t)db_row_int(&rows, 2);
		l->index_size = (uint64_t)db_row_int(&rows, 3);
		l->size = (uint64_t)db_row_int(&rows, 4);
		l->entries = (uint64_t)db_row_int(&rows, 5);
		l->opaque = db_row_int(&rows, 6);
	}
	if (r < 0) return r;
	ret->items = items;
	ret->n = n;
	return 0;
}

int image_documents(ImageStore *s, const Image *i, Arena *a, Manifest *ret_manifest, ImageConfig *ret_config, Err *e)
{
	char *text;
	size_t n;
	int r = 0;
	if (ret_manifest) {
		r = content_read(s, &i->manifest, MANIFEST_MAX, a, &text, &n, e);
		if (r >= 0) r = manifest_parse(text, n, NULL, a, ret_manifest, e);
	}
	if (r >= 0 && ret_config) {
		r = content_read(s, &i->id, MANIFEST_MAX, a, &text, &n, e);
		if (r >= 0) r = image_config_parse(text, n, a, ret_config, e);
	}
	return r;
}

int image_tag(ImageStore *s, const Digest *manifest, const char *name, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	int r = db_begin(s->db, DB_DURABLE, &tx, e);
	if (r >= 0) r = db_run(s->db, "INSERT OR REPLACE INTO names VALUES(?, ?)", DB_ARGS(db_text(name), DB_DIGEST(manifest)), e);
	if (r == -EBUSY) return err_set(e, ERR_NOT_FOUND, ENOENT, "tag %s: the image is gone", name);
	if (r >= 0) r = store_names_changed(s->db, e);
	if (r < 0 || (r = db_commit(&tx, e)) < 0) return r;
	return store_write_index(s, e);
}
