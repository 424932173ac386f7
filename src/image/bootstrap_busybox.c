/* bootstrap_busybox.c: an image of a static busybox of this machine: its binary, a name for each of its programs, and the files without which a shell
 * is not at home. See bootstrap.h. */
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "image/bootstrap.h"
#include "image/tar_image.h"
#include "oci/platform.h"
#include "oci/tar_write.h"
#include "sys/fd.h"
#include "sys/fd_limit.h"

enum { BINARY_MAX = 16 << 20, LIST_MAX = 65536, APPLET_MAX = 64 };

static const char busybox_path[] = "/bin/busybox";

typedef struct Bundle {
	int out;
	TarWriter *tar;
	int64_t mtime;
	Err *e;
} Bundle;

static int to_file(void *arg, const void *p, size_t n, Err *e)
{
	Bundle *b = arg;
	int r = fd_write_all(b->out, p, n);
	return r < 0 ? err_sys(e, r, "write a tar") : 0;
}

static int put(Bundle *b, TarType type, const char *path, uint32_t mode, const char *link, Str data)
{
	const TarEntry t = { .type = type, .path = path, .link = link, .mode = mode, .mtime = b->mtime, .size = data.n };
	int r = tar_writer_entry(b->tar, &t, b->e);
	return r < 0 || !data.n ? r : tar_writer_data(b->tar, data.p, data.n, b->e);
}

/* ---- the binary ---- */

/* One that wants an interpreter would find no libraries in the image. */
static bool is_static(Str binary)
{
	Elf64_Ehdr head;
	if (binary.n < sizeof head || memcmp(binary.p, ELFMAG, SELFMAG) != 0) return false;
	memcpy(&head, binary.p, sizeof head);
	for (unsigned i = 0; i < head.e_phnum; i++) {
		Elf64_Phdr part;
		uint64_t at = head.e_phoff + (uint64_t)i * sizeof part;
		if (at < head.e_phoff || at > binary.n || binary.n - at < sizeof part) return false;
		memcpy(&part, binary.p + at, sizeof part);
		if (part.p_type == PT_INTERP) return false;
	}
	return head.e_phnum > 0;
}

static int read_binary(Arena *a, Str *ret, int64_t *ret_mtime, Err *e)
{
	struct stat st;
	char *p;
	size_t n;
	int r = fd_read_file(AT_FDCWD, busybox_path, BINARY_MAX, a, &p, &n, e);
	if (r < 0) return err_wrap(e, "bootstrap: install busybox-static");
	if (stat(busybox_path, &st) < 0) return err_sys(e, errno, "stat %s", busybox_path);
	*ret = (Str){ p, n };
	*ret_mtime = st.st_mtime;
	if (!is_static(*ret))
		return err_set(e, ERR_CONFIG, ENOEXEC, "bootstrap: %s is not linked statically: install busybox-static", busybox_path);
	return 0;
}

static int list_applets(Buf *list, Err *e)
{
	int ends[2], status;
	if (pipe2(ends, O_CLOEXEC) < 0) return err_sys(e, errno, "busybox --list");
	AUTO_FD int out = ends[0], into = ends[1];
	pid_t pid = fork();
	if (pid < 0) return err_sys(e, errno, "busybox --list");
	if (!pid) {
		fd_limit_restore();
		if (dup2(into, 1) == 1) execl(busybox_path, "busybox", "--list", (char *)NULL);
		_exit(127);
	}
	into = fd_close(into);
	int r = fd_read_all(out, list);
	if (retry_eintr(waitpid(pid, &status, 0)) < 0 || r < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(e, ERR_IO, EIO, "%s --list failed", busybox_path);
	return 0;
}

/* ---- the tar ---- */

static int put_applets(Bundle *b, Str list)
{
	Str name;
	while (str_next(&list, '\n', &name)) {
		char path[APPLET_MAX + 8];
		if (!name.n || name.n > APPLET_MAX || memchr(name.p, '/', name.n) || str_eq(name, "busybox")) continue;
		snprintf(path, sizeof path, "bin/%.*s", (int)name.n, name.p);
		int r = put(b, TAR_HARDLINK, path, 0755, "bin/busybox", (Str){ 0 });
		if (r < 0) return r;
	}
	return 0;
}

static int put_all(Bundle *b, Str binary, Str applets)
{
	static const struct {
		const char *path;
		uint32_t mode;
	} dirs[] = { { "", 0755 },     { "bin", 0755 }, { "dev", 0755 },  { "etc", 0755 }, { "home", 0755 }, { "proc", 0755 },
		     { "root", 0700 }, { "sys", 0755 }, { "tmp", 01777 }, { "usr", 0755 }, { "var", 0755 } };
	static const struct {
		const char *path, *text;
	} files[] = {
		{ "etc/group", "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n" },
		{ "etc/passwd",
		  "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\n"
		  "nobody:x:65534:65534:nobody:/home:/bin/false\n" },
	};
	int r = 0;
	for (size_t i = 0; i < ARRAY_LEN(dirs) && r >= 0; i++)
		r = put(b, TAR_DIR, dirs[i].path, dirs[i].mode, NULL, (Str){ 0 });
	if (r >= 0) r = put(b, TAR_FILE, "bin/busybox", 0755, NULL, binary);
	if (r >= 0) r = put_applets(b, applets);
	for (size_t i = 0; i < ARRAY_LEN(files) && r >= 0; i++)
		r = put(b, TAR_FILE, files[i].path, 0644, NULL, str_of(files[i].text));
	return r < 0 ? r : tar_writer_finish(b->tar, b->e);
}

static int make_tar(int out, int64_t mtime, Str binary, Err *e)
{
	AUTO_BUF applets = BUF_INIT(LIST_MAX);
	Bundle b = { .out = out, .mtime = mtime, .e = e };
	int r = list_applets(&applets, e);
	if (r < 0) return r;
	AUTO_TAR_WRITER *tar = tar_writer_new(to_file, &b);
	if (!tar) return err_sys(e, ENOMEM, "write a tar");
	b.tar = tar;
	r = put_all(&b, binary, (Str){ buf_str(&applets), applets.n });
	return r < 0 ? r : lseek(out, 0, SEEK_SET) < 0 ? err_sys(e, errno, "write a tar") : 0;
}

int bootstrap_busybox(ImageStore *s, const BootstrapOptions *o, Arena *a, Image *ret, Err *e)
{
	static const char *const env[] = { "PATH=/bin", NULL }, *const cmd[] = { "sh", NULL };
	char created[TIME_TEXT_MAX];
	Str binary = { 0 };
	int64_t mtime = 0;
	int r = read_binary(a, &binary, &mtime, e);
	if (r < 0 || (r = bootstrap_epoch(mtime, &mtime, e)) < 0) return r;
	AUTO_FD int out = memfd_create("skep-busybox", MFD_CLOEXEC);
	if (out < 0) return err_sys(e, errno, "memfd_create");
	if ((r = make_tar(out, mtime, binary, e)) < 0) return r;
	time_format(mtime * 1000000000, TIME_SECONDS, created);
	const TarImage t = { .input = out,
			     .name = o->name,
			     .config = { .created = created,
					 .platform = *platform_host(),
					 .config = { .env = { (const char **)(uintptr_t)env, 1 },
						     .cmd = { (const char **)(uintptr_t)cmd, 1 } } },
			     .step = { .created = created, .created_by = o->created_by } };
	return tar_image_add(s, &t, a, ret, NULL, e);
}
