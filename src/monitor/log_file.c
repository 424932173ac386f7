/* log_file.c: see log_file.h. */
#include "monitor/log_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/size.h"

#define PARTIAL ".gz.tmp"
enum { NICE = 10 };

extern char **environ;

/* ---- options ---- */

void log_file_init(LogFile *f, const LogKind *kind)
{
	*f = (LogFile){
		.fd = -1, .max_size = LOG_FILE_DEFAULT_SIZE, .max_file = LOG_FILE_DEFAULT_COUNT, .compress = kind == &log_kind_local
	};
}

int log_file_options(LogFile *f, const StrMap *options, Err *e)
{
	const char *size = str_map_get(options, "max-size"), *count = str_map_get(options, "max-file"),
		   *compress = str_map_get(options, "compress");
	if (size && size_parse(str_of(size), SIZE_DECIMAL, &f->max_size, e) < 0) return log_option_failure(e);
	if (f->max_size <= 0) {
		err_set(e, ERR_CONFIG, EINVAL, "max-size must be a positive number");
		return log_option_failure(e);
	}
	if (count && str_to_i64(str_of(count), &f->max_file) < 0) {
		err_set(e, ERR_CONFIG, EINVAL, "strconv.Atoi: parsing \"%.64s\": invalid syntax", count);
		return log_option_failure(e);
	}
	if (f->max_file < 1) {
		err_set(e, ERR_CONFIG, EINVAL, "max-file cannot be less than 1");
		return log_option_failure(e);
	}
	if (compress && str_to_bool(compress, &f->compress) < 0) {
		err_set(e, ERR_CONFIG, EINVAL, "strconv.ParseBool: parsing \"%.64s\": invalid syntax", compress);
		return log_option_failure(e);
	}
	if (!compress && f->max_file < 2) f->compress = false;
	if (f->compress && f->max_file < 2) {
		err_set(e, ERR_CONFIG, EINVAL, "compress cannot be true when max-file is less than 2 or when max-size is not set");
		return log_option_failure(e);
	}
	return 0;
}

/* ---- names ---- */

void log_file_name(const char *name, int64_t i, bool packed, char ret[static LOG_FILE_PATH_MAX])
{
	if (i)
		snprintf(ret, LOG_FILE_PATH_MAX, "%s.%lld%s", name, (long long)i, packed ? ".gz" : "");
	else
		snprintf(ret, LOG_FILE_PATH_MAX, "%s", name);
}

void log_file_comment(const struct stat *st, char ret[static LOG_FILE_COMMENT_MAX])
{
	snprintf(ret, LOG_FILE_COMMENT_MAX, "%llu %lld.%09ld", (unsigned long long)st->st_ino, (long long)st->st_mtim.tv_sec,
		 st->st_mtim.tv_nsec);
}

/* ---- compressing ---- */

static _Noreturn void become_packer(const StrList *command, int in, int out)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)!fd_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "0"); /* a monitor is spared, this is not */
	(void)!setpriority(PRIO_PROCESS, 0, NICE);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0) _exit(126);
	execve(command->items[0], (char *const *)(uintptr_t)command->items, environ);
	_exit(127);
}

/* False: not this one. */
static bool pack_one(LogFile *f, int64_t i)
{
	char plain[LOG_FILE_PATH_MAX], partial[LOG_FILE_PATH_MAX];
	log_file_name(f->name, i, false, plain);
	snprintf(partial, sizeof partial, "%s" PARTIAL, f->name);
	AUTO_FD int in = openat(f->dir, plain, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (in < 0) return false;
	AUTO_FD int out = openat(f->dir, partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (out < 0) return false;
	pid_t pid = fork();
	if (!pid) become_packer(f->packer, in, out);
	f->packing = pid > 0 ? pid : 0;
	f->packing_i = i;
	return pid > 0;
}

/* The oldest that is not compressed yet. */
static void pack_next(LogFile *f)
{
	char name[LOG_FILE_PATH_MAX];
	struct stat st;
	int64_t last = 0;
	if (!f->compress || f->packing || !f->packer || !f->packer->n) return;
	for (int64_t i = 1, missing = 0; i < f->max_file && missing < 2; i++) {
		bool plain, packed;
		log_file_name(f->name, i, false, name);
		plain = fstatat(f->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
		log_file_name(f->name, i, true, name);
		packed = fstatat(f->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
		if (plain) last = i;
		missing = plain || packed ? 0 : missing + 1;
	}
	if (last) (void)pack_one(f, last);
}

void log_file_exited(LogFile *f, pid_t pid, int status)
{
	char partial[LOG_FILE_PATH_MAX], packed[LOG_FILE_PATH_MAX], plain[LOG_FILE_PATH_MAX];
	if (!f->packing || pid != f->packing) return;
	f->packing = 0;
	snprintf(partial, sizeof partial, "%s" PARTIAL, f->name);
	log_file_name(f->name, f->packing_i, true, packed);
	log_file_name(f->name, f->packing_i, false, plain);
	bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0 && f->packing_i < f->max_file;
	if (!done || renameat(f->dir, partial, f->dir, packed) < 0) {
		(void)!unlinkat(f->dir, partial, 0);
		if (!done && f->packing_i < f->max_file) return; /* it will not do better at once */
	} else {
		(void)!unlinkat(f->dir, plain, 0);
	}
	pack_next(f);
}

static void end_packer(LogFile *f)
{
	char partial[LOG_FILE_PATH_MAX];
	if (!f->packing) return;
	kill(f->packing, SIGKILL);
	(void)!retry_eintr(waitpid(f->packing, NULL, 0));
	f->packing = 0;
	snprintf(partial, sizeof partial, "%s" PARTIAL, f->name);
	(void)!unlinkat(f->dir, partial, 0);
}

/* ---- the file ---- */

static int open_current(LogFile *f)
{
	struct stat st;
	int r = 0, fd = openat(f->dir, f->name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0) return -errno;
	f->fd = fd;
	if (fstat(fd, &st) < 0) return -errno;
	f->size = st.st_size;
	if (st.st_size && (r = f->whole(fd, st.st_size, &f->size)) < 0) return r;
	return f->size < st.st_size && ftruncate(fd, f->size) < 0 ? -errno : 0;
}

int log_file_open(LogFile *f)
{
	char partial[LOG_FILE_PATH_MAX];
	f->fd = -1;
	int r = open_current(f);
	snprintf(partial, sizeof partial, "%s" PARTIAL, f->name);
	(void)!unlinkat(f->dir, partial, 0);
	if (r >= 0) pack_next(f);
	return r;
}

/* From the highest number down: a reader counts on it. */
static int shift(LogFile *f, int64_t i, bool packed)
{
	char from[LOG_FILE_PATH_MAX], to[LOG_FILE_PATH_MAX];
	log_file_name(f->name, i - 1, packed && i > 1, from);
	log_file_name(f->name, i, packed && i > 1, to);
	return renameat(f->dir, from, f->dir, to) < 0 && errno != ENOENT ? -errno : 0;
}

static void drop_last(LogFile *f)
{
	char name[LOG_FILE_PATH_MAX];
	log_file_name(f->name, f->max_file - 1, true, name);
	(void)!unlinkat(f->dir, name, 0);
	log_file_name(f->name, f->max_file - 1, false, name);
	(void)!unlinkat(f->dir, name, 0);
}

static int rotate(LogFile *f)
{
	f->fd = fd_close(f->fd);
	drop_last(f);
	for (int64_t i = f->max_file - 1; i >= 1; i--) {
		int r = shift(f, i, false);
		if (r >= 0 && i > 1) r = shift(f, i, true);
		if (r < 0) return r;
	}
	if (f->packing) f->packing_i++;
	int r = open_current(f);
	if (r >= 0) pack_next(f);
	return r;
}

int log_file_append(LogFile *f, const void *p, size_t n)
{
	int r = 0;
	if (!n) return 0;
	if (f->fd < 0) r = open_current(f);
	if (r >= 0 && f->size && f->size >= f->max_size) r = rotate(f);
	if (r >= 0) r = fd_write_all(f->fd, p, n);
	if (r >= 0)
		f->size += (int64_t)n;
	else if (f->fd >= 0)
		(void)!ftruncate(f->fd, f->size);
	return r;
}

void log_file_close(LogFile *f)
{
	end_packer(f);
	f->fd = fd_close(f->fd);
}
