/* layout.c: index.json, by which other tools see the store as an OCI image layout (image-layout.md). Each name is an entry of its own, as an
 * image of one platform: what is in the store is all that it promises. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "image/catalog.h"
#include "image/store_impl.h"

enum { INDEX_MAX = 64 << 20 };

static void put_entry(JsonWriter *w, const DbRows *rows)
{
	json_begin_object(w);
	json_put_string(w, "mediaType", db_row_text(rows, 3));
	json_put_string(w, "digest", db_row_text(rows, 1));
	json_put_int(w, "size", db_row_int(rows, 2));
	json_key(w, "annotations");
	json_begin_object(w);
	json_put_string(w, "org.opencontainers.image.ref.name", db_row_text(rows, 0));
	json_end_object(w);
	json_end_object(w);
}

static int write_entries(const ImageStore *s, JsonWriter *w, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_query(s->db,
			 "SELECT name, names.manifest, contents.size, images.media_type FROM names JOIN images USING (manifest) "
			 "JOIN contents ON contents.digest = names.manifest ORDER BY name",
			 DB_NONE, &rows, e);
	while (r >= 0 && (r = db_next(&rows, e)) > 0)
		put_entry(w, &rows);
	return r;
}

void store_index_file(const ImageStore *s, char text[static INDEX_FILE_MAX])
{
	struct stat st;
	text[0] = 0;
	if (fstatat(s->root, "index.json", &st, AT_SYMLINK_NOFOLLOW) < 0) return;
	snprintf(text, INDEX_FILE_MAX, "%ju %jd.%09ld %jd", (uintmax_t)st.st_ino, (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		 (intmax_t)st.st_size);
}

int store_write_index(ImageStore *s, Err *e)
{
	char file[INDEX_FILE_MAX];
	AUTO_BUF out = BUF_INIT(INDEX_MAX);
	JsonWriter w = JSON_WRITER(&out);
	/* one at a time, from the reading of the names on: the last one written has them all */
	AUTO_FD int lock = openat(s->root, "index.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || retry_eintr(flock(lock, LOCK_EX)) < 0) return err_sys(e, errno, "lock %s/index.lock", s->path);
	AUTO_DB_ROWS generation = { 0 };
	/* read before the names: what changes meanwhile is newer than what is written */
	int r = db_get(s->db, "SELECT names FROM generation", DB_NONE, &generation, e);
	int64_t names = r > 0 ? db_row_int(&generation, 0) : 0;
	db_rows_done(&generation);
	if (r < 0) return r;
	json_begin_object(&w);
	json_put_int(&w, "schemaVersion", 2);
	json_put_string(&w, "mediaType", MEDIA_TYPE_OCI_INDEX);
	json_key(&w, "manifests");
	json_begin_array(&w);
	r = write_entries(s, &w, e);
	json_end_array(&w);
	json_end_object(&w);
	if (r >= 0 && buf_failed(&out)) r = err_sys(e, E2BIG, "write %s/index.json", s->path);
	if (r >= 0) r = fd_replace_file(s->root, "index.json", out.p, out.n, 0644, REPLACE_ORDERED, e);
	if (r < 0) return r;
	store_index_file(s, file);
	r = db_run(s->db, "UPDATE generation SET written = ?, file = ?", DB_ARGS(db_int(names), db_text(file)), e);
	return r < 0 ? r : 0;
}
