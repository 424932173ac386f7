/* tar_name.c: the paths of members, see tar.h and tar_impl.h. */
#include "oci/tar_impl.h"

const char *tar_type_name(TarType t)
{
	static const char *const names[] = {
		[TAR_FILE] = "file",
		[TAR_HARDLINK] = "hard link",
		[TAR_SYMLINK] = "symbolic link",
		[TAR_CHAR] = "character device",
		[TAR_BLOCK] = "block device",
		[TAR_DIR] = "directory",
		[TAR_FIFO] = "fifo",
	};
	return (unsigned)t < ARRAY_LEN(names) ? names[t] : "member";
}

TarRule tar_name_clean(Str name, const TarLimits *limits, char *ret, size_t *ret_n)
{
	size_t n = 0;
	unsigned depth = 0;
	Str part, rest = name;
	if (!name.n) return TAR_NAME_EMPTY;
	if (memchr(name.p, 0, name.n)) return TAR_NAME_NUL;
	while (str_next(&rest, '/', &part)) {
		if (!part.n || (part.n == 1 && part.p[0] == '.')) continue;
		if (part.n == 2 && part.p[0] == '.' && part.p[1] == '.') return TAR_NAME_DOTDOT;
		if (part.n > TAR_PART_MAX) return TAR_NAME_PART;
		if (++depth > limits->depth) return TAR_NAME_DEPTH;
		if (n + part.n + (n > 0) > limits->path) return TAR_NAME_LONG;
		if (n) ret[n++] = '/';
		memcpy(ret + n, part.p, part.n);
		n += part.n;
	}
	ret[n] = 0;
	*ret_n = n;
	return TAR_OK;
}
