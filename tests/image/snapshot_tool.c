/* snapshot_tool.c: snapshots as a command, for tests and measurements: makes images of many layers, mounts in any way, times mounts. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/time.h"
#include "image/layer_index.h"
#include "image/snapshot.h"
#include "oci/platform.h"
#include "sys/idmap.h"
#include "sys/mount.h"

enum { LAYERS = 512, ARENA_SIZE = 64 << 20, PIECE = 1 << 20, ROUNDS_MAX = 100000 };

static int open_file(const char *path, int flags, Err *e)
{
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open %s", path) : fd;
}

/* ---- add ROOT NAME TAR…: an image of these layers, as a pull leaves it ---- */

static int index_layer(int from, int tar, int index, LayerFacts *ret, Err *e)
{
	AUTO_LAYER_INDEX *l = NULL;
	AUTO_FREE char *p = malloc(PIECE);
	LayerIndexStats stats;
	ssize_t n;
	if (!p || layer_index_new(NULL, &l) < 0) return err_sys(e, ENOMEM, "index");
	while ((n = read(from, p, PIECE)) > 0) {
		int r = layer_index_feed(l, p, (size_t)n, e);
		if (r < 0) return r;
		if ((r = fd_write_all(tar, p, (size_t)n)) < 0) return err_sys(e, r, "write");
	}
	int r = n < 0 ? err_sys(e, errno, "read") : layer_index_finish(l, index, &stats, e);
	if (r < 0) return r;
	*ret = (LayerFacts){ .tar_size = stats.tar_bytes, .size = stats.size, .entries = stats.entries, .opaque = stats.root_opaque };
	r = hash_file(tar, DIGEST_SHA256, &ret->diff_id, NULL);
	return r < 0 ? err_sys(e, r, "hash") : 0;
}

static int add_layer(StoreBatch *b, const char *path, Digest *ret, Err *e)
{
	Ingest tar = INGEST_NONE, index = INGEST_NONE;
	LayerFacts f = { 0 };
	AUTO_FD int from = open_file(path, O_RDONLY, e);
	int r = from < 0 ? from : ingest_new(b->store, &tar, e);
	if (r >= 0) r = ingest_new(b->store, &index, e);
	if (r >= 0) r = index_layer(from, tar.fd, index.fd, &f, e);
	bool there = false;
	if (r >= 0) r = lease_layers(b->store, &f.diff_id, 1, &there, e);
	if (r >= 0 && !there) r = batch_add_layer(b, &f, &tar, &index, e);
	ingest_drop(b->store, &tar);
	ingest_drop(b->store, &index);
	*ret = f.diff_id;
	return r;
}

static int add_image(StoreBatch *b, const char *name, const Digest *diff_ids, size_t n, ImageRecord *record, Digest contents[static 2],
		     Err *e)
{
	Arena *a = b->arena;
	AUTO_BUF text = BUF_INIT(MANIFEST_MAX);
	ImageConfig config = { .created = "2026-01-01T00:00:00Z", .author = name, .platform = *platform_host(), .rootfs.type = "layers" };
	Descriptor *layers = arena_array(a, n + 1, sizeof *layers);
	Manifest m = { .schema_version = 2, .media_type = MEDIA_TYPE_OCI_MANIFEST, .layers = { layers, n } };
	const ImageHistory step = { .created_by = "test" };
	int r = layers ? 0 : err_sys(e, ENOMEM, "add");
	for (size_t i = 0; i < n && r >= 0; i++) {
		layers[i] = (Descriptor){ .media_type = media_type_layer(MEDIA_OCI, COMPRESSION_NONE), .digest = diff_ids[i] };
		r = image_config_add_step(&config, &step, &diff_ids[i], a, e);
	}
	if (r < 0 || image_config_encode(&config, &text) < 0) return r < 0 ? r : err_sys(e, EFBIG, "add");
	m.config = (Descriptor){ .media_type = MEDIA_TYPE_OCI_CONFIG, .size = (int64_t)text.n };
	if ((r = batch_add_bytes(b, buf_str(&text), text.n, &m.config.digest, e)) < 0) return r;
	contents[0] = m.config.digest;
	buf_reset(&text);
	if (manifest_encode(&m, &text) < 0) return err_sys(e, EFBIG, "add");
	if ((r = batch_add_bytes(b, buf_str(&text), text.n, &contents[1], e)) < 0) return r;
	*record = (ImageRecord){ .manifest = contents[1],
				 .config = contents[0],
				 .media_type = m.media_type,
				 .target = contents[1],
				 .platform = platform_host(),
				 .created = config.created,
				 .contents = contents,
				 .n_contents = 2,
				 .diff_ids = diff_ids,
				 .n_layers = n };
	r = batch_add_image(b, record, e);
	return r < 0 ? r : batch_add_name(b, name, &record->manifest, e);
}

static int cmd_add(ImageStore *s, int argc, char **argv, Arena *a, Err *e)
{
	AUTO_BATCH StoreBatch b = BATCH_INIT(s, a);
	Digest diff_ids[LAYERS], contents[2];
	ImageRecord record;
	int r = 0;
	for (int i = 1; i < argc && r >= 0; i++)
		r = add_layer(&b, argv[i], &diff_ids[i - 1], e);
	if (r >= 0) r = add_image(&b, argv[0], diff_ids, (size_t)argc - 1, &record, contents, e);
	return r < 0 ? r : batch_commit(&b, e);
}

/* many ROOT NAME NUMBER TAR: that many images of one layer, NAME-1, NAME-2, … */
static int cmd_many(ImageStore *s, int argc, char **argv, Arena *a, Err *e)
{
	(void)argc;
	AUTO_BATCH StoreBatch b = BATCH_INIT(s, a);
	Digest layer;
	uint64_t n;
	if (str_to_u64(str_of(argv[1]), &n) < 0) return err_set(e, ERR_USAGE, EINVAL, "bad number");
	int r = add_layer(&b, argv[2], &layer, e);
	for (uint64_t i = 1; i <= n && r >= 0; i++) {
		ImageRecord *record = arena_alloc(a, sizeof *record);
		Digest *contents = arena_array(a, 3, sizeof *contents);
		char *name = arena_printf(a, "%s-%ju:latest", argv[0], (uintmax_t)i);
		if (!record || !contents || !name) return err_sys(e, ENOMEM, "many");
		contents[2] = layer;
		r = add_image(&b, name, &contents[2], 1, record, contents, e);
	}
	return r < 0 ? r : batch_commit(&b, e);
}

/* ---- mounting ---- */

/* kind=erofs|loop|tree, no-merged, writable=DIR, volatile, ids=BASE */
static int parse_options(int argc, char **argv, SnapshotOptions *o, Err *e)
{
	*o = SNAPSHOT_OPTIONS;
	for (int i = 0; i < argc; i++) {
		const char *p = argv[i];
		uint64_t base;
		if (starts_with(p, "kind=")) {
			for (SnapshotKind k = SNAPSHOT_AUTO; k <= SNAPSHOT_TREE; k++)
				if (streq(p + 5, snapshot_kind_name(k))) o->kind = k;
		} else if (streq(p, "no-merged")) {
			o->no_merged = true;
		} else if (streq(p, "volatile")) {
			o->is_volatile = true;
		} else if (starts_with(p, "writable=")) {
			if ((o->writable = open_file(p + 9, O_RDONLY | O_DIRECTORY, e)) < 0) return o->writable;
		} else if (starts_with(p, "ids=") && str_to_u64(str_of(p + 4), &base) >= 0) {
			const IdMapping id = { .container_id = 0, .host_id = (uint32_t)base, .size = 65536 };
			const IdMappings ids = { (IdMapping *)(uintptr_t)&id, 1 };
			if ((o->userns = idmap_userns_fd(&ids, &ids, e)) < 0) return o->userns;
		} else {
			return err_set(e, ERR_USAGE, EINVAL, "unknown option %s", p);
		}
	}
	return 0;
}

/* mount ROOT NAME DIRECTORY OPTION…: prints the kind */
static int cmd_mount(ImageStore *s, int argc, char **argv, Arena *a, Err *e)
{
	Image i;
	SnapshotOptions o;
	SnapshotKind kind;
	int r = parse_options(argc - 2, argv + 2, &o, e);
	if (r < 0 || (r = image_find(s, argv[0], a, &i, e)) < 0) return r;
	AUTO_FD int target = open_file(argv[1], O_PATH | O_DIRECTORY, e);
	if (target < 0) return target;
	AUTO_FD int mount = snapshot_mount(s, &i, &o, &kind, e);
	if (mount < 0) return mount;
	if ((r = mount_attach(mount, target)) < 0) return err_sys(e, r, "attach to %s", argv[1]);
	printf("%s\n", snapshot_kind_name(kind));
	return 0;
}

/* prepare ROOT NAME */
static int cmd_prepare(ImageStore *s, int argc, char **argv, Arena *a, Err *e)
{
	(void)argc;
	Image i;
	int64_t from = time_monotonic();
	int r = image_find(s, argv[0], a, &i, e);
	if (r >= 0) r = snapshot_prepare(s, &i, e);
	printf("%.3f\n", (double)(time_monotonic() - from) / 1e6);
	return r;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

static void put_times(const char *what, int64_t *ns, size_t n, const char *after)
{
	qsort(ns, n, sizeof *ns, compare);
	printf("\"%s\": {\"min\": %.3f, \"median\": %.3f, \"max\": %.3f}%s", what, (double)ns[0] / 1e6, (double)ns[n / 2] / 1e6,
	       (double)ns[n - 1] / 1e6, after);
}

/* time ROOT NAME ROUNDS OPTION…: ms of finding the image and mounting it, and of letting go of the mount */
static int cmd_time(ImageStore *s, int argc, char **argv, Arena *a, Err *e)
{
	SnapshotOptions o;
	SnapshotKind kind = SNAPSHOT_AUTO;
	uint64_t rounds;
	int r = parse_options(argc - 2, argv + 2, &o, e);
	if (r < 0) return r;
	if (str_to_u64(str_of(argv[1]), &rounds) < 0 || !rounds || rounds > ROUNDS_MAX) return err_set(e, ERR_USAGE, EINVAL, "bad number");
	int64_t *up = arena_array(a, rounds, sizeof *up), *down = arena_array(a, rounds, sizeof *down);
	if (!up || !down) return err_sys(e, ENOMEM, "time");
	for (uint64_t k = 0; k < rounds; k++) {
		AUTO_ARENA own = ARENA_INIT(ARENA_SIZE);
		Image i;
		int64_t from = time_monotonic();
		if ((r = image_find(s, argv[0], &own, &i, e)) < 0) return r;
		int mount = snapshot_mount(s, &i, &o, &kind, e);
		if (mount < 0) return mount;
		int64_t at = time_monotonic();
		close(mount);
		up[k] = at - from;
		down[k] = time_monotonic() - at;
	}
	printf("{\"kind\": \"%s\", ", snapshot_kind_name(kind));
	put_times("mount", up, rounds, ", ");
	put_times("unmount", down, rounds, "}\n");
	return 0;
}

static const struct {
	const char *name;
	int min;
	int (*run)(ImageStore *s, int argc, char **argv, Arena *a, Err *e);
} commands[] = {
	{ "add", 2, cmd_add }, { "many", 3, cmd_many }, { "mount", 2, cmd_mount }, { "prepare", 1, cmd_prepare }, { "time", 2, cmd_time }
};

int main(int argc, char **argv)
{
	Err e = ERR_INIT;
	AUTO_ARENA a = ARENA_INIT(ARENA_SIZE);
	AUTO_IMAGE_STORE *s = NULL;
	for (size_t i = 0; argc > 2 && i < ARRAY_LEN(commands); i++) {
		if (!streq(argv[1], commands[i].name) || argc - 3 < commands[i].min || argc > LAYERS) continue;
		int r = image_store_open(argv[2], &s, &e);
		if (r >= 0) r = commands[i].run(s, argc - 3, argv + 3, &a, &e);
		if (r < 0) fprintf(stderr, "snapshot_tool: %s\n", e.msg);
		return r < 0;
	}
	fprintf(stderr, "usage: snapshot_tool add|many|mount|prepare|time ROOT NAME ARGUMENT…\n");
	return 2;
}
