/* fuzz_archive.c: the table of contents of an archive and what is looked up in it: whatever is found lies inside. */
#include "fuzz.h"
#include "image/archive_source.h"
#include "sys/fd.h"

#include <sys/mman.h>
#include <unistd.h>

static void look(const ArchiveSource *s, const char *path, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_ARCHIVE_PART p = ARCHIVE_PART_NONE;
	Err e = ERR_INIT;
	char *text;
	size_t got;
	int r = archive_part(s, path, &p, &e);
	assert(r == 0 || (e.errnum == -r && e.msg[0]));
	if (r < 0) return;
	assert(p.offset <= n && p.size <= n - p.offset);
	assert(archive_has(s, path) && archive_part_compressed(&p) >= 0);
	if (archive_read(s, path, 4096, &a, &text, &got, &e) == 0) assert(got == p.size && text[got] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const paths[] = { "manifest.json", "index.json", "a", "./a//b", "/a", "../a", "l", "a/.", "" };
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_FD int fd = memfd_create("fuzz", MFD_CLOEXEC);
	ArchiveSource *s;
	Err e = ERR_INIT;
	assert(fd >= 0 && fd_write_all(fd, data, n) == 0);
	int r = archive_open_tar(fd, &a, &s, &e);
	if (r < 0) {
		assert(e.errnum == -r && e.msg[0]);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		look(s, paths[i], n);
	return 0;
}
