/* archive_load.c: see archive_load.h: what is given as an archive, made a tar with a table of contents. */
#include "image/archive_load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/archive_impl.h"

enum { ARCHIVE_ARENA_MAX = 128 << 20 };

/* ---- tars that are compressed, or come through a pipe ---- */

/* The whole archive, inflated by the worker, in a file of its own. */
static int spool(Load *l, int fd, Ingest *ret, Err *e)
{
	LayerImport i = LAYER_IMPORT_INIT;
	i.fd = fd;
	i.tar = true;
	i.name = "archive";
	int r = load_worker(l, e);
	if (r >= 0) r = layer_import(l->store, l->client, &i, 1, &l->req->limits, e);
	if (r >= 0) {
		*ret = i.tar_file;
		i.tar_file = INGEST_NONE;
	}
	layer_import_drop(l->store, &i, 1);
	return r;
}

/* ---- what is in it ---- */

static int load_all(Load *l, Err *e)
{
	if (archive_has(l->source, "index.json")) return load_layout(l, e);
	if (archive_has(l->source, "manifest.json")) return load_docker(l, e);
	if (archive_has(l->source, "repositories"))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "archive: of docker before 1.10, which is not supported: load it with docker 1.10 to 27 and save it again");
	return err_set(e, ERR_CONFIG, EINVAL, "archive: has neither index.json nor manifest.json: not an image archive");
}

static int load_tar(Load *l, int fd, Err *e)
{
	ArchiveSource *source;
	int r = archive_open_tar(fd, l->arena, &source, e);
	l->source = source;
	return r < 0 ? r : load_all(l, e);
}

static int load_dir(Load *l, int fd, Err *e)
{
	ArchiveSource *source;
	int r = archive_open_dir(fd, l->arena, &source, e);
	l->source = source;
	return r < 0 ? r : load_all(l, e);
}

static int load(Load *l, int fd, Err *e)
{
	struct stat st;
	Ingest file = INGEST_NONE;
	if (fstat(fd, &st) < 0) return err_sys(e, errno, "stat the archive");
	if (S_ISDIR(st.st_mode)) return load_dir(l, fd, e);
	const ArchivePart whole = { .fd = fd, .size = (uint64_t)st.st_size };
	if (S_ISREG(st.st_mode) && archive_part_compressed(&whole) == 0) return load_tar(l, fd, e);
	int r = spool(l, fd, &file, e);
	if (r >= 0) r = load_tar(l, file.fd, e);
	ingest_drop(l->store, &file);
	return r;
}

int archive_load(ImageStore *s, int fd, const LoadRequest *req, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARCHIVE_ARENA_MAX);
	Load l = { .store = s, .req = req, .arena = &a };
	int r = load(&l, fd, e);
	transfer_stop(l.client);
	if (r >= 0 && !l.loaded) return err_set(e, ERR_CONFIG, EINVAL, "archive: there is no image in it");
	return r < 0 ? r : l.loaded;
}
