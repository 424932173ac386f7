/* err.c: see err.h. */
#include "base/err.h"

#include <stdarg.h>

#include "base/str.h"

static const struct {
	const char *name;
	int exit_status, http;
} err_table[ERR_COUNT] = {
#define ERROR(name, exit_status, http, grpc, text) [ERR_##name] = { #name, exit_status, http },
#include "base/errors.def"
#undef ERROR
};

static ErrCode err_code_of(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ESRCH:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EPERM:
	case EACCES:
		return ERR_PERMISSION;
	case ENOMEM:
	case ENOSPC:
	case EMFILE:
	case ENFILE:
	case EAGAIN:
		return ERR_RESOURCE;
	case ENOSYS:
	case EOPNOTSUPP:
		return ERR_UNSUPPORTED;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case EINVAL:
		return ERR_CONFIG;
	default:
		return ERR_IO;
	}
}

/* Go prints errno texts in lower case; callers of runc match them so. */
const char *err_text(int errnum)
{
	static const struct {
		int n;
		const char *text;
	} texts[] = {
		{ EPERM, "operation not permitted" },
		{ ENOENT, "no such file or directory" },
		{ ESRCH, "no such process" },
		{ EINTR, "interrupted system call" },
		{ EIO, "input/output error" },
		{ E2BIG, "argument list too long" },
		{ ENOEXEC, "exec format error" },
		{ EBADF, "bad file descriptor" },
		{ ECHILD, "no child processes" },
		{ EAGAIN, "resource temporarily unavailable" },
		{ ENOMEM, "cannot allocate memory" },
		{ EACCES, "permission denied" },
		{ EFAULT, "bad address" },
		{ EBUSY, "device or resource busy" },
		{ EEXIST, "file exists" },
		{ EXDEV, "invalid cross-device link" },
		{ ENODEV, "no such device" },
		{ ENOTDIR, "not a directory" },
		{ EISDIR, "is a directory" },
		{ EINVAL, "invalid argument" },
		{ ENFILE, "too many open files in system" },
		{ EMFILE, "too many open files" },
		{ ENOTTY, "inappropriate ioctl for device" },
		{ ETXTBSY, "text file busy" },
		{ EFBIG, "file too large" },
		{ ENOSPC, "no space left on device" },
		{ EROFS, "read-only file system" },
		{ EPIPE, "broken pipe" },
		{ ERANGE, "numerical result out of range" },
		{ ENAMETOOLONG, "file name too long" },
		{ ENOSYS, "function not implemented" },
		{ ENOTEMPTY, "directory not empty" },
		{ ELOOP, "too many levels of symbolic links" },
		{ ENODATA, "no data available" },
		{ EOVERFLOW, "value too large for defined data type" },
		{ EOPNOTSUPP, "operation not supported" },
		{ EADDRINUSE, "address already in use" },
		{ EADDRNOTAVAIL, "cannot assign requested address" },
		{ ENETUNREACH, "network is unreachable" },
		{ ETIMEDOUT, "connection timed out" },
		{ ECONNREFUSED, "connection refused" },
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].n == errnum) return texts[i].text;
#ifdef __GLIBC__
	const char *s = strerrordesc_np(errnum); /* in no language but C */
#else
	const char *s = strerror(errnum);
#endif
	return s ? s : "unknown error";
}

/* One line, and no bytes that command a terminal: messages quote names that a container chose. */
static void err_vformat(Err *e, const char *fmt, va_list ap)
{
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	str_harmless(e->msg);
}

int err_set(Err *e, ErrCode code, int errnum, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	e->code = code;
	e->errnum = errnum > 0 ? errnum : EIO;
	err_vformat(e, fmt, ap);
	va_end(ap);
	return -e->errnum;
}

int err_sys(Err *e, int errnum, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (errnum < 0) errnum = -errnum;
	e->code = err_code_of(errnum);
	e->errnum = errnum ? errnum : EIO;
	err_vformat(e, fmt, ap);
	va_end(ap);
	size_t n = strlen(e->msg);
	snprintf(e->msg + n, sizeof e->msg - n, ": %s", err_text(e->errnum));
	return -e->errnum;
}

int err_wrap(Err *e, const char *fmt, ...)
{
	char inner[ERR_MESSAGE_MAX];
	va_list ap;
	memcpy(inner, e->msg, sizeof inner);
	va_start(ap, fmt);
	err_vformat(e, fmt, ap);
	va_end(ap);
	size_t n = strlen(e->msg);
	snprintf(e->msg + n, sizeof e->msg - n, ": %s", inner);
	return e->errnum ? -e->errnum : -EIO;
}

int err_exit_status(ErrCode code)
{
	return code < ERR_COUNT ? err_table[code].exit_status : 1;
}

int err_http_status(ErrCode code)
{
	return code < ERR_COUNT ? err_table[code].http : 500;
}

const char *err_name(ErrCode code)
{
	return code < ERR_COUNT ? err_table[code].name : "?";
}
