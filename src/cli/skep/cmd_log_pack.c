/* cmd_log_pack.c: what a monitor starts to compress a file of a log: it has no zlib itself. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/gzip.h"
#include "cli/skep/commands.h"
#include "monitor/log_file.h"

int container_log_pack_run(Invocation *in, Err *e)
{
	struct stat st;
	char comment[LOG_FILE_COMMENT_MAX];
	if (fstat(0, &st) < 0) return err_sys(e, errno, "log-pack");
	log_file_comment(&st, comment);
	int r = gzip_file(0, 1, comment, e);
	if (r < 0) return r;
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, st.st_mtim };
	return futimens(1, times) < 0 ? err_sys(e, errno, "log-pack") : 0;
}
