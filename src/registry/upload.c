/* upload.c: see upload.h. */
#include "registry/upload.h"

#include "base/time.h"
#include "sys/fd.h"

/* Ids are random: their first digits spread well. */
static Upload **bucket(Uploads *u, const char *id)
{
	unsigned h = 0;
	for (size_t i = 0; i < 4; i++)
		h = h * 31 + (uint8_t)id[i];
	return &u->buckets[h % UPLOADS_BUCKETS];
}

static void idle_remove(Uploads *u, Upload *upload)
{
	*(upload->newer ? &upload->newer->older : &u->newest) = upload->older;
	*(upload->older ? &upload->older->newer : &u->oldest) = upload->newer;
	upload->newer = upload->older = NULL;
	u->idle--;
}

static void idle_add(Uploads *u, Upload *upload)
{
	upload->newer = NULL;
	upload->older = u->newest;
	*(u->newest ? &u->newest->newer : &u->oldest) = upload;
	u->newest = upload;
	u->idle++;
	if (u->idle > UPLOADS_IDLE_MAX) uploads_forget(u, u->oldest);
}

static Upload *add(Uploads *u, const char *id, const char *repository, uint8_t algorithm)
{
	Upload *upload = calloc(1, sizeof *upload);
	if (!upload) return NULL;
	snprintf(upload->id, sizeof upload->id, "%s", id);
	snprintf(upload->repository, sizeof upload->repository, "%s", repository);
	upload->algorithm = algorithm;
	upload->fd = -1;
	Upload **at = bucket(u, id);
	upload->chain = *at;
	*at = upload;
	u->n++;
	return upload;
}

void uploads_forget(Uploads *u, Upload *upload)
{
	Upload **at = bucket(u, upload->id);
	while (*at != upload)
		at = &(*at)->chain;
	*at = upload->chain;
	if (!upload->busy) idle_remove(u, upload);
	u->n--;
	fd_close(upload->fd);
	hash_free(upload->hash);
	free(upload);
}

int uploads_new(Uploads *u, const Storage *s, const char *repository, uint8_t algorithm, Upload **ret)
{
	char id[SESSION_LENGTH + 1];
	int r = session_new(id);
	if (r < 0) return r;
	AUTO_FD int fd = storage_upload_create(s, id, repository, algorithm);
	if (fd < 0) return fd;
	Upload *upload = add(u, id, repository, algorithm);
	if (!upload) {
		storage_upload_remove(s, id);
		return -ENOMEM;
	}
	/* without memory for it the hash is made at the end, from the file */
	if (hash_new(algorithm, &upload->hash) < 0) upload->hash = NULL;
	upload->busy = true;
	upload->fd = take_fd(fd);
	*ret = upload;
	return 0;
}

int uploads_find(Uploads *u, const Storage *s, const char *id, const char *repository, Upload **ret)
{
	if (!session_valid(str_of(id))) return -ENOENT;
	Upload *upload = *bucket(u, id);
	while (upload && !streq(upload->id, id))
		upload = upload->chain;
	if (!upload) {
		char name[NAME_MAX_LENGTH + 1];
		uint8_t algorithm;
		uint64_t size;
		int r = storage_upload_info(s, id, name, &algorithm, &size);
		if (r < 0) return r;
		if (!streq(name, repository)) return -ENOENT;
		upload = add(u, id, name, algorithm);
		if (!upload) return -ENOMEM;
		upload->size = size;
		if (!size && hash_new(algorithm, &upload->hash) < 0) upload->hash = NULL;
		idle_add(u, upload);
	}
	if (!streq(upload->repository, repository)) return -ENOENT;
	*ret = upload;
	return 0;
}

int uploads_take(Uploads *u, const Storage *s, Upload *upload)
{
	if (upload->busy) return -EBUSY;
	int fd = storage_upload_open(s, upload->id);
	if (fd < 0) return fd;
	idle_remove(u, upload);
	upload->busy = true;
	upload->fd = fd;
	return 0;
}

void uploads_release(Uploads *u, Upload *upload)
{
	upload->fd = fd_close(upload->fd);
	upload->busy = false;
	upload->writer = NULL;
	idle_add(u, upload);
}

int upload_publish(const Upload *upload, const Storage *s, const Digest *d, uint64_t size, const RegistryOptions *limits, Committer *c,
		   Db *db, Err *e)
{
	char text[DIGEST_TEXT_MAX];
	int r = catalog_add_blob(db, limits, upload->repository, digest_format(d, text), size, time_now(), e);
	if (r < 0) return r;
	r = storage_blob_publish(s, upload->id, d);
	if (r < 0) return err_sys(e, -r, "move upload %s to its place", upload->id);
	commit_directory_changed(c, storage_blob_directory(s, d));
	return 0;
}

void uploads_remove(Uploads *u, const Storage *s, Upload *upload)
{
	storage_upload_remove(s, upload->id);
	uploads_forget(u, upload);
}

typedef struct Expiry {
	Uploads *u;
	const Storage *s;
	int64_t before;
	size_t n;
} Expiry;

static bool expire_one(void *arg, const char *session, int64_t changed)
{
	Expiry *x = arg;
	if (changed >= x->before) return true;
	Upload *upload = *bucket(x->u, session);
	while (upload && !streq(upload->id, session))
		upload = upload->chain;
	if (upload && upload->busy) return true;
	if (upload) uploads_forget(x->u, upload);
	storage_upload_remove(x->s, session);
	x->n++;
	return true;
}

size_t uploads_expire(Uploads *u, const Storage *s, int64_t before)
{
	Expiry x = { u, s, before, 0 };
	return storage_each_upload(s, expire_one, &x) < 0 ? 0 : x.n;
}

void uploads_done(Uploads *u)
{
	for (size_t i = 0; i < UPLOADS_BUCKETS; i++)
		while (u->buckets[i])
			uploads_forget(u, u->buckets[i]);
}
