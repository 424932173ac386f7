/* remove.c: taking images and what only they use out of the store. */
#include <fcntl.h>

#include "image/snapshot.h"
#include "image/store_impl.h"
#include "sys/proc.h"

static int say(StrList *l, char *text, Arena *a, Err *e)
{
	const char **items = text ? arena_array(a, l->n + 2, sizeof *items) : NULL;
	if (!items) return err_sys(e, ENOMEM, "remove an image");
	if (l->n) memcpy(items, l->items, l->n * sizeof *items);
	items[l->n++] = text;
	l->items = items;
	return 0;
}

static int say_name(StrList *l, const char *name, Arena *a, Err *e)
{
	Reference ref;
	int r = reference_parse(str_of(name), a, &ref, e);
	if (r < 0) return r;
	const char *familiar = reference_familiar(&ref, a);
	return say(l, familiar ? arena_strdup(a, familiar) : NULL, a, e);
}

/* Leases of processes that are gone count no more. */
static int drop_dead_leases(ImageStore *s, Err *e)
{
	char boot[BOOT_ID_MAX];
	AUTO_DB_ROWS rows = { 0 };
	int64_t dead[64];
	size_t n = 0;
	int r = store_boot_id(boot);
	if (r < 0) return err_sys(e, r, "read the boot id");
	r = db_run(s->db, "DELETE FROM leases WHERE boot <> ?", DB_ARGS(db_text(boot)), e);
	if (r >= 0) r = db_query(s->db, "SELECT id, pid, start_time FROM leases", DB_NONE, &rows, e);
	while (r >= 0 && n < ARRAY_LEN(dead) && (r = db_next(&rows, e)) > 0) {
		uint64_t start;
		int x = proc_start_time((pid_t)db_row_int(&rows, 1), &start);
		if (x < 0 || start != (uint64_t)db_row_int(&rows, 2)) dead[n++] = db_row_int(&rows, 0);
	}
	db_rows_done(&rows);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = db_run(s->db, "DELETE FROM leases WHERE id = ?", DB_ARGS(db_int(dead[i])), e);
	return r;
}

/* Files of rows that nothing refers to any more: doomed in the transaction that deletes the rows. */
static int doom_contents(ImageStore *s, Removal *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	static const char unused[] =
		"FROM contents WHERE NOT EXISTS (SELECT 1 FROM image_contents WHERE image_contents.digest = contents.digest) "
		"AND NOT EXISTS (SELECT 1 FROM lease_items WHERE lease_items.digest = contents.digest)";
	char sql[512];
	snprintf(sql, sizeof sql, "SELECT coalesce(sum(size), 0) %s", unused);
	int r = db_get(s->db, sql, DB_NONE, &rows, e);
	if (r > 0) ret->freed += db_row_int(&rows, 0);
	db_rows_done(&rows);
	snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO doomed SELECT 'blobs/' || replace(digest, ':', '/') %s", unused);
	if (r >= 0) r = db_run(s->db, sql, DB_NONE, e);
	snprintf(sql, sizeof sql, "DELETE %s", unused);
	return r < 0 ? r : db_run(s->db, sql, DB_NONE, e);
}

static int doom_layers(ImageStore *s, Arena *a, Removal *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	static const char unused[] =
		"FROM layers WHERE NOT EXISTS (SELECT 1 FROM image_layers WHERE image_layers.diff_id = layers.diff_id) "
		"AND NOT EXISTS (SELECT 1 FROM lease_items WHERE lease_items.digest = layers.diff_id)";
	char sql[512];
	snprintf(sql, sizeof sql, "SELECT diff_id, tar_size + index_size %s", unused);
	int r = db_query(s->db, sql, DB_NONE, &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0) {
		ret->freed += db_row_int(&rows, 1);
		r = say(&ret->deleted, arena_str(a, db_row_str(&rows, 0)), a, e);
	}
	db_rows_done(&rows);
	snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO doomed SELECT 'layers/' || substr(diff_id, instr(diff_id, ':') + 1) %s", unused);
	if (r >= 0) r = db_run(s->db, sql, DB_NONE, e);
	snprintf(sql, sizeof sql, "DELETE %s", unused);
	if (r >= 0) r = db_run(s->db, sql, DB_NONE, e);
	if (r >= 0)
		r = db_run(s->db,
			   "DELETE FROM forms WHERE NOT EXISTS (SELECT 1 FROM image_layers WHERE image_layers.blob = forms.blob) AND "
			   "NOT EXISTS (SELECT 1 FROM layers WHERE layers.diff_id = forms.diff_id)",
			   DB_NONE, e);
	return r;
}

/* Merged indexes and trees of chains that no image has any more. */
static int doom_snapshots(ImageStore *s, Removal *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	static const char unused[] =
		"FROM snapshots WHERE NOT EXISTS (SELECT 1 FROM image_chains WHERE image_chains.chain_id = snapshots.chain_id) "
		"AND NOT EXISTS (SELECT 1 FROM lease_items WHERE lease_items.digest = snapshots.chain_id)";
	char sql[512];
	snprintf(sql, sizeof sql, "SELECT coalesce(sum(size), 0) %s", unused);
	int r = db_get(s->db, sql, DB_NONE, &rows, e);
	if (r > 0) ret->freed += db_row_int(&rows, 0);
	db_rows_done(&rows);
	snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO doomed SELECT kind || '/' || substr(chain_id, instr(chain_id, ':') + 1) %s",
		 unused);
	if (r >= 0) r = db_run(s->db, sql, DB_NONE, e);
	snprintf(sql, sizeof sql, "DELETE %s", unused);
	return r < 0 ? r : db_run(s->db, sql, DB_NONE, e);
}

/* An image that is mounted stays: what lies below a mount of a tree would be gone, and a name for what is in use helps its user. */
static int check_mounts(ImageStore *s, const Image *i, Arena *a, Err *e)
{
	ImageMountList l;
	char hex[DIGEST_HEX_MAX];
	int r = mount_list(s, a, &l, e);
	for (size_t k = 0; r >= 0 && k < l.n; k++) {
		if (!digest_equal(&l.items[k].manifest, &i->manifest)) continue;
		return err_set(
			e, ERR_STATE, EBUSY, "conflict: unable to delete %.12s - image is mounted at %s%s: `skep image unmount %s` first",
			digest_hex(&i->id, hex), l.items[k].path, l.items[k].here ? "" : " (in another mount namespace)", l.items[k].path);
	}
	return r < 0 ? r : 0;
}

/* The container that was made of the image, or has it mounted: 1, with its id in *ret; 0: there is none. */
static int find_container(ImageStore *s, const Image *i, Arena *a, const char **ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(s->db,
		       "SELECT id FROM containers WHERE manifest = ?1 UNION ALL SELECT container FROM container_images WHERE manifest = ?1",
		       DB_ARGS(DB_DIGEST(&i->manifest)), &rows, e);
	if (r > 0 && db_row_dup(&rows, 0, a, ret) < 0) return err_sys(e, ENOMEM, "find containers of an image");
	return r;
}

/* An image stays as long as there are containers of it. */
static int check_containers(ImageStore *s, const Image *i, Arena *a, Err *e)
{
	const char *container = NULL;
	char hex[DIGEST_HEX_MAX];
	int r = find_container(s, i, a, &container, e);
	if (r <= 0) return r;
	return err_set(e, ERR_STATE, EBUSY, "conflict: unable to delete %.12s (cannot be forced) - image is being used by container %.12s",
		       digest_hex(&i->id, hex), container);
}

/* The image's rows, and all that nothing needs then. In the caller's transaction. */
static int drop_image(ImageStore *s, const Image *i, Arena *a, Removal *ret, Err *e)
{
	char id[DIGEST_TEXT_MAX];
	int r = check_mounts(s, i, a, e);
	if (r < 0 || (r = check_containers(s, i, a, e)) < 0) return r;
	for (size_t k = 0; k < i->repo_digests.n; k++)
		if ((r = say_name(&ret->untagged, i->repo_digests.items[k], a, e)) < 0) return r;
	if ((r = db_run(s->db, "DELETE FROM images WHERE manifest = ?", DB_ARGS(DB_DIGEST(&i->manifest)), e)) < 0) return r;
	if ((r = say(&ret->deleted, arena_strdup(a, digest_format(&i->id, id)), a, e)) < 0) return r;
	if ((r = drop_dead_leases(s, e)) < 0 || (r = doom_contents(s, ret, e)) < 0) return r;
	if ((r = doom_snapshots(s, ret, e)) < 0) return r;
	return doom_layers(s, a, ret, e);
}

/* The transaction is durable before the first file goes: else a power cut could bring back the rows and not the files. */
static int finish(ImageStore *s, DbTx *tx, Err *e)
{
	int r = store_names_changed(s->db, e);
	if (r < 0 || (r = db_commit(tx, e)) < 0 || (r = store_sweep(s, e)) < 0) return r;
	return store_write_index(s, e);
}

/* The last name of an image with containers. */
static int refuse_untag(const char *name, const Image *i, const char *container, Arena *a, Err *e)
{
	char hex[DIGEST_HEX_MAX];
	Reference ref;
	Err ignored = ERR_INIT;
	const char *familiar = reference_parse(str_of(name), a, &ref, &ignored) < 0 ? NULL : reference_familiar(&ref, a);
	return err_set(
		e, ERR_STATE, EBUSY,
		"conflict: unable to remove repository reference \"%s\" (must force) - container %.12s is using its referenced image %.12s",
		familiar ? familiar : name, container, digest_hex(&i->id, hex));
}

static int untag(ImageStore *s, const char *name, bool force, Arena *a, Removal *ret, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	Image i;
	const char *container = NULL;
	int r = db_begin(s->db, DB_DURABLE, &tx, e);
	if (r < 0 || (r = image_find(s, name, a, &i, e)) < 0 || (r = find_container(s, &i, a, &container, e)) < 0) return r;
	if (container && i.names.n <= 1 && !force) return refuse_untag(name, &i, container, a, e);
	if ((r = db_run(s->db, "DELETE FROM names WHERE name = ?", DB_ARGS(db_text(name)), e)) < 0) return r;
	if (r == 0) return err_set(e, ERR_NOT_FOUND, ENOENT, "No such image: %s", name);
	*ret = (Removal){ 0 };
	if ((r = say_name(&ret->untagged, name, a, e)) < 0) return r;
	if (i.names.n <= 1 && !container && (r = drop_image(s, &i, a, ret, e)) < 0) return r;
	return finish(s, &tx, e);
}

static int remove_all(ImageStore *s, const Image *i, Arena *a, Removal *ret, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	int r;
	if ((r = db_begin(s->db, DB_DURABLE, &tx, e)) < 0) return r;
	*ret = (Removal){ 0 };
	for (size_t k = 0; k < i->names.n; k++)
		if ((r = say_name(&ret->untagged, i->names.items[k], a, e)) < 0) return r;
	if ((r = db_run(s->db, "DELETE FROM names WHERE manifest = ?", DB_ARGS(DB_DIGEST(&i->manifest)), e)) < 0) return r;
	if ((r = drop_image(s, i, a, ret, e)) < 0) return r;
	return finish(s, &tx, e);
}

/* ---- on a full disk ---- */

/* When the disk is full, once more with the reserve, and with the room that the database's log has taken. */
static bool try_again(const ImageStore *s, int r, Err *e)
{
	if (r != -ENOSPC) return false;
	(void)store_reserve_give(s);
	db_checkpoint(s->db);
	*e = ERR_INIT;
	return true;
}

int image_untag(ImageStore *s, const char *name, bool force, Arena *a, Removal *ret, Err *e)
{
	int r = untag(s, name, force, a, ret, e);
	if (try_again(s, r, e)) r = untag(s, name, force, a, ret, e);
	store_reserve_take(s);
	return r;
}

int image_remove(ImageStore *s, const Image *i, bool force, Arena *a, Removal *ret, Err *e)
{
	char id[DIGEST_HEX_MAX];
	if (i->names.n > 1 && !force)
		return err_set(e, ERR_STATE, EBUSY,
			       "conflict: unable to delete %.12s (must be forced) - image is referenced in multiple repositories",
			       digest_hex(&i->id, id));
	int r = remove_all(s, i, a, ret, e);
	if (try_again(s, r, e)) r = remove_all(s, i, a, ret, e);
	store_reserve_take(s);
	return r;
}

static int drop_blobs(ImageStore *s, int64_t *ret_freed, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	AUTO_DB_ROWS rows = { 0 };
	static const char spare[] =
		"FROM contents WHERE digest IN (SELECT forms.blob FROM forms JOIN layers USING (diff_id) WHERE "
		"forms.blob <> forms.diff_id) AND NOT EXISTS (SELECT 1 FROM lease_items WHERE lease_items.digest = contents.digest)";
	char sql[512];
	int r = db_begin(s->db, DB_DURABLE, &tx, e);
	if (r >= 0) r = drop_dead_leases(s, e);
	snprintf(sql, sizeof sql, "SELECT coalesce(sum(size), 0) %s", spare);
	if (r >= 0) r = db_get(s->db, sql, DB_NONE, &rows, e);
	int64_t freed = r > 0 ? db_row_int(&rows, 0) : 0;
	db_rows_done(&rows);
	snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO doomed SELECT 'blobs/' || replace(digest, ':', '/') %s", spare);
	if (r >= 0) r = db_run(s->db, sql, DB_NONE, e);
	snprintf(sql, sizeof sql, "DELETE %s", spare);
	if (r >= 0) r = db_run(s->db, sql, DB_NONE, e);
	if (r < 0 || (r = db_commit(&tx, e)) < 0 || (r = store_sweep(s, e)) < 0) return r;
	*ret_freed = freed;
	return 0;
}

int store_drop_blobs(ImageStore *s, int64_t *ret_freed, Err *e)
{
	int r = drop_blobs(s, ret_freed, e);
	if (try_again(s, r, e)) r = drop_blobs(s, ret_freed, e);
	store_reserve_take(s);
	return r;
}

int store_usage(ImageStore *s, StoreUsage *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(
		s->db,
		/* a tar that a manifest names as it is has two names and takes its room once */
		"WITH blobs AS (SELECT * FROM contents WHERE digest NOT IN (SELECT diff_id FROM layers)) "
		"SELECT (SELECT count(*) FROM images), (SELECT count(*) FROM images WHERE manifest IN (SELECT manifest FROM containers)), "
		"(SELECT count(*) FROM contents), (SELECT coalesce(sum(size), 0) FROM blobs), (SELECT count(*) FROM layers), "
		"(SELECT coalesce(sum(tar_size + index_size), 0) FROM layers), "
		"(SELECT coalesce(sum(tar_size + index_size), 0) FROM layers WHERE NOT EXISTS (SELECT 1 FROM image_layers JOIN containers USING (manifest) "
		"WHERE image_layers.diff_id = layers.diff_id)), "
		"(SELECT coalesce(sum(size), 0) FROM blobs WHERE NOT EXISTS (SELECT 1 FROM image_contents JOIN containers USING (manifest) "
		"WHERE image_contents.digest = blobs.digest))",
		DB_NONE, &rows, e);
	if (r < 0) return r;
	*ret = (StoreUsage){ .images = db_row_int(&rows, 0),
			     .active = db_row_int(&rows, 1),
			     .blobs = db_row_int(&rows, 2),
			     .blob_size = db_row_int(&rows, 3),
			     .layers = db_row_int(&rows, 4),
			     .layer_size = db_row_int(&rows, 5),
			     .size = db_row_int(&rows, 3) + db_row_int(&rows, 5),
			     .reclaimable = db_row_int(&rows, 6) + db_row_int(&rows, 7) };
	return 0;
}
