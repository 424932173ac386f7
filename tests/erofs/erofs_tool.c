/* erofs_tool.c: the index code as a command, for tests: makes indexes from tars, merges, checks, lists and mounts them. */
#include "image/layer_index.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/erofs_mount.h"
#include "sys/fd.h"
#include "sys/mount.h"

static int open_file(const char *path, int flags, Err *e)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);
	return fd < 0 ? err_sys(e, errno, "open %s", path) : fd;
}

/* Feeds the tar in pieces of piece bytes. */
static int feed(LayerIndex *l, int tar, size_t piece, Err *e)
{
	AUTO_FREE char *p = malloc(piece);
	if (!p) return err_sys(e, ENOMEM, "tar");
	for (;;) {
		ssize_t n = read(tar, p, piece);
		if (n < 0) return err_sys(e, errno, "read the tar");
		if (!n) return 0;
		int r = layer_index_feed(l, p, (size_t)n, e);
		if (r < 0) return r;
	}
}

static void print_stats(const LayerIndexStats *s)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	printf("{\"tar_bytes\": %llu, \"data_bytes\": %llu, \"size\": %llu, \"entries\": %llu, \"files\": %llu, \"directories\": %llu, \"symlinks\": %llu, "
	       "\"hardlinks\": %llu, \"specials\": %llu, \"whiteouts\": %llu, \"opaques\": %llu, \"parents\": %llu, \"replaced\": %llu, "
	       "\"dropped_xattrs\": %llu, \"root_opaque\": %d, \"memory\": %llu, \"bytes\": %llu, \"inodes\": %llu, \"compact\": %llu, "
	       "\"shared_xattrs\": %llu, \"max_rss_kb\": %ld, \"user_us\": %ld, \"system_us\": %ld}\n",
	       (unsigned long long)s->tar_bytes, (unsigned long long)s->data_bytes, (unsigned long long)s->size,
	       (unsigned long long)s->entries, (unsigned long long)s->files, (unsigned long long)s->directories,
	       (unsigned long long)s->symlinks, (unsigned long long)s->hardlinks, (unsigned long long)s->specials,
	       (unsigned long long)s->whiteouts, (unsigned long long)s->opaques, (unsigned long long)s->parents,
	       (unsigned long long)s->replaced, (unsigned long long)s->dropped_xattrs, s->root_opaque, (unsigned long long)s->memory,
	       (unsigned long long)s->index.bytes, (unsigned long long)s->index.inodes, (unsigned long long)s->index.compact,
	       (unsigned long long)s->index.shared_xattrs, u.ru_maxrss, u.ru_utime.tv_sec * 1000000 + u.ru_utime.tv_usec,
	       u.ru_stime.tv_sec * 1000000 + u.ru_stime.tv_usec);
}

/* index TAR INDEX [PIECE] */
static int cmd_index(int argc, char **argv, Err *e)
{
	AUTO_LAYER_INDEX *l = NULL;
	uint64_t piece = 65536;
	if (argc == 3 && str_to_u64(str_of(argv[2]), &piece) < 0) return err_set(e, ERR_USAGE, EINVAL, "bad piece");
	AUTO_FD int tar = open_file(argv[0], O_RDONLY, e);
	AUTO_FD int index = tar < 0 ? -1 : open_file(argv[1], O_RDWR | O_CREAT | O_TRUNC, e);
	if (tar < 0 || index < 0) return -e->errnum;
	if (layer_index_new(NULL, &l) < 0) return err_sys(e, ENOMEM, "index");
	LayerIndexStats stats;
	int r = feed(l, tar, piece, e);
	if (r >= 0) r = layer_index_finish(l, index, &stats, e);
	if (r >= 0) print_stats(&stats);
	return r;
}

static int load(const char *path, ErofsTree **ret, Err *e)
{
	AUTO_FD int fd = open_file(path, O_RDONLY, e);
	int r = fd < 0 ? fd : erofs_load(fd, NULL, ret, e);
	return r < 0 ? err_wrap(e, "%s", path) : 0;
}

/* merge OUT INDEX… (one: reads and writes it again) */
static int cmd_merge(int argc, char **argv, Err *e)
{
	ErofsTree *layers[EROFS_DEVICES_MAX];
	AUTO_EROFS_TREE *out = NULL;
	int n = 0, r = 0;
	AUTO_FD int fd = open_file(argv[0], O_RDWR | O_CREAT | O_TRUNC, e);
	if (fd < 0) return fd;
	for (; n < argc - 1 && r >= 0; n += r >= 0)
		r = load(argv[n + 1], &layers[n], e);
	if (r >= 0) r = erofs_merge(layers, (size_t)n, NULL, &out, e);
	if (r >= 0) r = erofs_write(out, fd, NULL, NULL, e);
	while (n--)
		erofs_tree_free(layers[n]);
	return r;
}

/* rewrite INDEX OUT */
static int cmd_rewrite(int argc, char **argv, Err *e)
{
	(void)argc;
	AUTO_EROFS_TREE *t = NULL;
	int r = load(argv[0], &t, e);
	if (r < 0) return r;
	AUTO_FD int fd = open_file(argv[1], O_RDWR | O_CREAT | O_TRUNC, e);
	return fd < 0 ? fd : erofs_write(t, fd, NULL, NULL, e);
}

/* mount DIRECTORY INDEX DEVICE… */
static int cmd_mount(int argc, char **argv, Err *e)
{
	int devices[EROFS_DEVICES_MAX];
	for (int i = 2; i < argc; i++)
		if ((devices[i - 2] = open_file(argv[i], O_RDONLY, e)) < 0) return devices[i - 2];
	AUTO_FD int index = open_file(argv[1], O_RDONLY, e);
	AUTO_FD int target = index < 0 ? -1 : open_file(argv[0], O_PATH, e);
	if (index < 0 || target < 0) return -e->errnum;
	AUTO_FD int mount = erofs_mount(index, devices, (size_t)argc - 2, e);
	if (mount < 0) return mount;
	int r = mount_attach(mount, target);
	return r < 0 ? err_sys(e, -r, "attach to %s", argv[0]) : 0;
}

/* probe DIRECTORY */
static int cmd_probe(int argc, char **argv, Err *e)
{
	(void)argc;
	AUTO_FD int dir = open_file(argv[0], O_RDONLY | O_DIRECTORY, e);
	return dir < 0 ? dir : erofs_mount_probe(dir, e);
}

static const struct {
	const char *name;
	int min, max;
	int (*run)(int argc, char **argv, Err *e);
} commands[] = {
	{ "index", 2, 3, cmd_index },     { "merge", 2, EROFS_DEVICES_MAX, cmd_merge },
	{ "rewrite", 2, 2, cmd_rewrite }, { "mount", 2, EROFS_DEVICES_MAX, cmd_mount },
	{ "probe", 1, 1, cmd_probe },
};

int main(int argc, char **argv)
{
	Err e = ERR_INIT;
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++) {
		if (!streq(argv[1], commands[i].name) || argc - 2 < commands[i].min || argc - 2 > commands[i].max) continue;
		int r = commands[i].run(argc - 2, argv + 2, &e);
		if (r < 0) fprintf(stderr, "erofs_tool: %s\n", e.msg);
		return r < 0;
	}
	fprintf(stderr, "usage: erofs_tool index|merge|rewrite|mount|probe ARGUMENT…\n");
	return 2;
}
