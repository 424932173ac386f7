/* log_json_file.c: docker's json-file: one JSON object a line, {"log":"text\n","stream":"stdout","time":"…"}, in <id>-json.log.
 *
 * A line of the container becomes one object; a long one several, all but the last without a newline in "log", as docker has it. With labels, env or
 * tag there is an object "attrs" before the time. Lines that are there together are written by one write(2); when the file is opened, what a crash has
 * left of a line is cut off.
 */
#include <unistd.h>

#include "base/time.h"
#include "monitor/log_driver.h"
#include "monitor/log_file.h"

enum { OUT_MAX = 8 << 20, FIELDS_MAX = 2 << 20 };

struct LogDriver {
	LogFile file;
	Buf fields; /* ',"attrs":{…}'; empty: none */
	Buf out;
};

/* Cuts off what follows the last newline. */
static int whole_lines(int fd, int64_t size, int64_t *ret)
{
	char block[4096];
	int64_t end = size;
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
	*ret = end;
	return 0;
}

static int make_fields(Buf *b, const StrMap *fields)
{
	JsonWriter w = JSON_WRITER(b);
	if (!fields || !fields->n) return 0;
	buf_puts(b, ",\"attrs\":");
	json_begin_object(&w);
	for (size_t i = 0; i < fields->n; i++)
		json_put_string(&w, fields->items[i].key, fields->items[i].value);
	json_end_object(&w);
	return buf_failed(b) ? -ENOMEM : 0;
}

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

static int flush(LogDriver *d)
{
	int r = buf_failed(&d->out) ? -ENOMEM : log_file_append(&d->file, d->out.p, d->out.n);
	buf_reset(&d->out);
	return r;
}

static int put(LogDriver *d, const LogLine *line)
{
	char when[TIME_TEXT_MAX];
	time_format(line->time, TIME_NANOSECONDS, when);
	buf_puts(&d->out, "{\"log\":\"");
	put_text(&d->out, line->text.p, line->text.n);
	buf_printf(&d->out, "\",\"stream\":\"%s\"", line->stream == LOG_STDERR ? "stderr" : "stdout");
	buf_put(&d->out, d->fields.p, d->fields.n);
	buf_printf(&d->out, ",\"time\":\"%s\"}\n", when);
	return buf_failed(&d->out) || log_file_is_full(&d->file, d->out.n) ? flush(d) : 0;
}

static void done(LogDriver *d)
{
	log_file_close(&d->file);
	buf_done(&d->fields);
	buf_done(&d->out);
	free(d);
}

static int open_driver(const LogTarget *t, LogDriver **ret, Err *e)
{
	LogDriver *d = calloc(1, sizeof *d);
	if (!d) return err_sys(e, ENOMEM, "open the log");
	*d = (LogDriver){ .fields = BUF_INIT(FIELDS_MAX), .out = BUF_INIT(OUT_MAX) };
	log_file_init(&d->file, &log_kind_json_file);
	d->file.whole = whole_lines;
	d->file.dir = t->dir;
	d->file.packer = t->packer;
	snprintf(d->file.name, sizeof d->file.name, "%s-json.log", t->id);
	int r = log_file_options(&d->file, t->options, e);
	if (r >= 0 && (r = make_fields(&d->fields, t->fields)) < 0) r = err_sys(e, -r, "open the log %s", d->file.name);
	if (r >= 0 && (r = log_file_open(&d->file)) < 0) r = err_sys(e, -r, "open the log %s", d->file.name);
	if (r < 0) {
		done(d);
		return r;
	}
	*ret = d;
	return 0;
}

static void exited(LogDriver *d, pid_t pid, int status)
{
	log_file_exited(&d->file, pid, status);
}

const LogDriverType log_json_file = {
	.kind = &log_kind_json_file, .open = open_driver, .put = put, .flush = flush, .close = done, .exited = exited
};
