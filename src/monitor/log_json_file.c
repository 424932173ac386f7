/* log_json_file.c: docker's json-file: one JSON object a line, {"log":"text\n","stream":"stdout","time":"…"}, in <id>-json.log.
 *
 * A line of the container becomes one object; one longer than LINE_MAX_BYTES several, all but the last without a newline in "log", as docker has
 * it. Complete lines are written as soon as they are there, all of one piece in one write(2); when the file is opened, what a crash has left of
 * a line is cut off. Rotation: at max-size the file becomes .1, .1 becomes .2, max-file counts all of them.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "base/time.h"
#include "monitor/log_driver.h"

enum { LINE_MAX_BYTES = 16384, OUT_MAX = 8 << 20, NAME_SIZE = 256 };
#define DEFAULT_MAX_SIZE (10 << 20)
#define DEFAULT_MAX_FILE 5

typedef struct Pending { /* the beginning of a line whose end has not come */
	Buf text;
	int64_t time;
} Pending;

struct LogDriver {
	int dir, fd;
	char name[NAME_SIZE];
	int64_t size, max_size; /* bytes; max_size -1: no limit */
	int64_t max_file;
	Pending pending[2];
	Buf out;
};

/* ---- options ---- */

static int read_options(const StrMap *o, int64_t *max_size, int64_t *max_file, Err *e)
{
	*max_size = DEFAULT_MAX_SIZE;
	*max_file = DEFAULT_MAX_FILE;
	for (size_t i = 0; i < o->n; i++) {
		const char *key = o->items[i].key, *value = o->items[i].value;
		int r = 0;
		if (streq(key, "max-size")) {
			if (streq(value, "-1"))
				*max_size = -1;
			else if ((r = size_parse(str_of(value), SIZE_BINARY, max_size, e)) < 0 || *max_size <= 0)
				return err_set(e, ERR_CONFIG, EINVAL, "max-size must be a positive number, not \"%s\"", value);
		} else if (streq(key, "max-file")) {
			if (str_to_i64(str_of(value), max_file) < 0 || *max_file < 1)
				return err_set(e, ERR_CONFIG, EINVAL, "max-file cannot be less than 1");
		} else if (!streq(key, "labels") && !streq(key, "labels-regex") && !streq(key, "env") && !streq(key, "env-regex") &&
			   !streq(key, "tag") && !streq(key, "mode") && !streq(key, "max-buffer-size") && !streq(key, "compress")) {
			return err_set(e, ERR_CONFIG, EINVAL, "unknown log opt '%s' for json-file log driver", key);
		}
	}
	return 0;
}

static int check(const StrMap *options, Err *e)
{
	int64_t size, file;
	return read_options(options, &size, &file, e);
}

/* ---- the file ---- */

/* Cuts off what follows the last newline. */
static int cut_torn_line(int fd, int64_t *size)
{
	char block[4096];
	struct stat st;
	if (fstat(fd, &st) < 0) return -errno;
	int64_t end = st.st_size;
	while (end > 0) {
		size_t n = end < (int64_t)sizeof block ? (size_t)end : sizeof block;
		if (retry_eintr(pread(fd, block, n, end - (int64_t)n)) != (ssize_t)n) return -EIO;
		const char *nl = memrchr(block, '\n', n);
		if (nl) {
			end -= (int64_t)n - (nl + 1 - block);
			break;
		}
		end -= (int64_t)n;
	}
	*size = end;
	return end < st.st_size && ftruncate(fd, end) < 0 ? -errno : 0;
}

static int open_file(LogDriver *d)
{
	int fd = openat(d->dir, d->name, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0) return -errno;
	d->fd = fd;
	return cut_torn_line(fd, &d->size);
}

static int rotate(LogDriver *d)
{
	char from[NAME_SIZE + 24], to[NAME_SIZE + 24];
	d->fd = fd_close(d->fd);
	for (int64_t i = d->max_file - 1; i >= 1; i--) {
		snprintf(to, sizeof to, "%s.%lld", d->name, (long long)i);
		if (i > 1)
			snprintf(from, sizeof from, "%s.%lld", d->name, (long long)i - 1);
		else
			snprintf(from, sizeof from, "%s", d->name);
		if (renameat(d->dir, from, d->dir, to) < 0 && errno != ENOENT) return -errno;
	}
	if (d->max_file == 1 && unlinkat(d->dir, d->name, 0) < 0 && errno != ENOENT) return -errno;
	return open_file(d);
}

/* What is collected, in one write; a failed one leaves no part of a line. */
static int flush(LogDriver *d)
{
	int r = 0;
	if (!d->out.n) return 0;
	if (d->fd < 0) r = open_file(d);
	if (r >= 0 && d->max_size > 0 && d->size + (int64_t)d->out.n > d->max_size && d->size > 0) r = rotate(d);
	if (r >= 0) r = fd_write_all(d->fd, d->out.p, d->out.n);
	if (r >= 0)
		d->size += (int64_t)d->out.n;
	else if (d->fd >= 0)
		(void)!ftruncate(d->fd, d->size);
	buf_reset(&d->out);
	return r;
}

/* ---- lines ---- */

/* As Go's encoder for HTML-safe JSON writes it, which is what docker's files hold. Bytes that are no UTF-8 become U+FFFD. */
static void put_text(Buf *b, const char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)p[i];
		if (c >= 0x80) {
			size_t k = str_utf8((Str){ p + i, n - i });
			if (!k) {
				buf_puts(b, "\\ufffd");
				i++;
				continue;
			}
			if (k == 3 && !memcmp(p + i, "\xe2\x80", 2) && ((unsigned char)p[i + 2] & 0xfe) == 0xa8)
				buf_printf(b, "\\u202%d", (unsigned char)p[i + 2] & 0xf);
			else
				buf_put(b, p + i, k);
			i += k;
			continue;
		}
		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c == '\n')
			buf_puts(b, "\\n");
		else if (c == '\r')
			buf_puts(b, "\\r");
		else if (c == '\t')
			buf_puts(b, "\\t");
		else if (c < 0x20 || c == '<' || c == '>' || c == '&')
			buf_printf(b, "\\u%04x", c);
		else {
			size_t k = i + 1;
			while (k < n && (unsigned char)p[k] >= 0x20 && (unsigned char)p[k] < 0x80 && !strchr("\"\\<>&", p[k]))
				k++;
			buf_put(b, p + i, k - i);
			i = k;
			continue;
		}
		i++;
	}
}

static void put_line(LogDriver *d, LogStream stream, int64_t time, const char *head, size_t head_n, const char *p, size_t n)
{
	char when[TIME_TEXT_MAX];
	time_format(time, TIME_NANOSECONDS, when);
	buf_puts(&d->out, "{\"log\":\"");
	put_text(&d->out, head, head_n);
	put_text(&d->out, p, n);
	buf_printf(&d->out, "\",\"stream\":\"%s\",\"time\":\"%s\"}\n", stream == LOG_STDERR ? "stderr" : "stdout", when);
}

static int write_pieces(LogDriver *d, LogStream stream, int64_t time, const char *p, size_t n)
{
	Pending *w = &d->pending[stream - 1];
	while (n > 0) {
		size_t room = LINE_MAX_BYTES - w->text.n;
		const char *nl = memchr(p, '\n', n < room ? n : room);
		size_t take_n = nl ? (size_t)(nl - p) + 1 : n < room ? n : room;
		if (!nl && w->text.n + take_n < LINE_MAX_BYTES) {
			if (!w->text.n) w->time = time;
			buf_put(&w->text, p, take_n);
			return buf_failed(&w->text) ? -ENOMEM : 0;
		}
		put_line(d, stream, w->text.n ? w->time : time, w->text.p, w->text.n, p, take_n);
		buf_reset(&w->text);
		p += take_n;
		n -= take_n;
	}
	return 0;
}

static int put(LogDriver *d, LogStream stream, int64_t time, const char *p, size_t n)
{
	Pending *w = &d->pending[stream - 1];
	int r = 0;
	if (n) {
		r = write_pieces(d, stream, time, p, n);
	} else if (w->text.n) {
		put_line(d, stream, w->time, w->text.p, w->text.n, NULL, 0);
		buf_done(&w->text);
		w->text = BUF_INIT(LINE_MAX_BYTES);
	}
	int x = buf_failed(&d->out) ? -ENOMEM : flush(d);
	d->out.failed = false;
	return r < 0 ? r : x;
}

static void done(LogDriver *d)
{
	for (size_t i = 0; i < ARRAY_LEN(d->pending); i++)
		buf_done(&d->pending[i].text);
	buf_done(&d->out);
	fd_close(d->fd);
	free(d);
}

static int open_driver(const LogTarget *t, LogDriver **ret, Err *e)
{
	LogDriver *d = calloc(1, sizeof *d);
	if (!d) return err_sys(e, ENOMEM, "open the log");
	*d = (LogDriver){ .dir = t->dir,
			  .fd = -1,
			  .pending = { { .text = BUF_INIT(LINE_MAX_BYTES) }, { .text = BUF_INIT(LINE_MAX_BYTES) } },
			  .out = BUF_INIT(OUT_MAX) };
	snprintf(d->name, sizeof d->name, "%s-json.log", t->id);
	int r = read_options(t->options, &d->max_size, &d->max_file, e);
	if (r >= 0 && (r = open_file(d)) < 0) r = err_sys(e, -r, "open the log %s", d->name);
	if (r < 0) {
		done(d);
		return r;
	}
	*ret = d;
	return 0;
}

const LogDriverType log_json_file = { .name = "json-file", .check = check, .open = open_driver, .write = put, .close = done };

/* ---- none ---- */

static int none_check(const StrMap *options, Err *e)
{
	return options->n ? err_set(e, ERR_CONFIG, EINVAL, "log driver none takes no options, not \"%s\"", options->items[0].key) : 0;
}

static int none_open(const LogTarget *t, LogDriver **ret, Err *e)
{
	*ret = NULL;
	return 0;
}

static int none_write(LogDriver *d, LogStream stream, int64_t time, const char *p, size_t n)
{
	return 0;
}

static void none_close(LogDriver *d)
{
}

const LogDriverType log_none = { .name = "none", .check = none_check, .open = none_open, .write = none_write, .close = none_close };

const LogDriverType *log_driver_find(const char *name)
{
	static const LogDriverType *const all[] = { &log_json_file, &log_none };
	if (!name || !*name) return &log_json_file;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (streq(all[i]->name, name)) return all[i];
	return NULL;
}
