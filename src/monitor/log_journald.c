/* log_journald.c: the driver "journald": systemd's journal, by its own protocol: a datagram for each line, of KEY=value lines, and where the value has a
 * newline KEY, newline, its length (8 bytes, little endian) and the value. One that is too large for a datagram is handed over as a sealed file.
 */
#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/time.h"
#include "monitor/log_driver.h"
#include "sys/fd.h"

#define JOURNAL "/run/systemd/journal/socket"
enum {
	MESSAGE_MAX = 4 << 20,
	SHORT_ID = 12,
	EPOCH_BYTES = 16,
	HEX_SIZE = 2 * EPOCH_BYTES + 1,
	NUMBER_SIZE = 24,
	PRIORITY_ERR = 3,
	PRIORITY_INFO = 6
};

struct LogDriver {
	int sock;
	Buf fixed; /* fields that are the same for each line */
	Buf message;
	uint64_t ordinal;
	char partial[2][HEX_SIZE]; /* of the line that is under way in each stream */
};

/* ---- fields ---- */

static void put_field(Buf *b, const char *key, Str value)
{
	if (!memchr(value.p, '\n', value.n)) {
		buf_printf(b, "%s=", key);
	} else {
		uint64_t n = htole64(value.n);
		buf_printf(b, "%s\n", key);
		buf_put(b, &n, sizeof n);
	}
	buf_put(b, value.p, value.n);
	buf_putc(b, '\n');
}

static void put_number(Buf *b, const char *key, uint64_t v)
{
	char text[NUMBER_SIZE];
	snprintf(text, sizeof text, "%llu", (unsigned long long)v);
	put_field(b, key, str_of(text));
}

/* The journal takes capital letters, digits and '_', the first of them no '_'. False: nothing of the name is left. */
static bool journal_key(const char *name, char *key, size_t size)
{
	size_t n = 0;
	for (; *name && n + 1 < size; name++) {
		char c = *name;
		if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
		if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9')) c = '_';
		if (c != '_' || n) key[n++] = c;
	}
	key[n] = 0;
	return n;
}

static void make_id(char text[static HEX_SIZE])
{
	unsigned char raw[EPOCH_BYTES];
	if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw) memset(raw, 0, sizeof raw);
	for (size_t i = 0; i < sizeof raw; i++)
		snprintf(text + 2 * i, 3, "%02x", raw[i]);
}

static int put_fixed(LogDriver *d, const LogTarget *t)
{
	char key[64], epoch[HEX_SIZE];
	size_t n = strlen(t->id);
	make_id(epoch);
	for (size_t i = 0; i < t->fields->n; i++)
		if (journal_key(t->fields->items[i].key, key, sizeof key)) put_field(&d->fixed, key, str_of(t->fields->items[i].value));
	put_field(&d->fixed, "CONTAINER_ID", (Str){ t->id, n < SHORT_ID ? n : SHORT_ID });
	put_field(&d->fixed, "CONTAINER_ID_FULL", str_of(t->id));
	put_field(&d->fixed, "CONTAINER_NAME", str_of(t->name ? t->name : ""));
	put_field(&d->fixed, "CONTAINER_TAG", str_of(t->tag));
	put_field(&d->fixed, "IMAGE_NAME", str_of(t->image ? t->image : ""));
	put_field(&d->fixed, "SYSLOG_IDENTIFIER", str_of(t->tag));
	put_field(&d->fixed, "CONTAINER_LOG_EPOCH", str_of(epoch));
	return buf_failed(&d->fixed) ? -ENOMEM : 0;
}

/* ---- lines ---- */

static int send_as_file(LogDriver *d)
{
	char none = 0;
	AUTO_FD int file = memfd_create("skep-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (file < 0) return -errno;
	int r = fd_write_all(file, d->message.p, d->message.n);
	if (r < 0) return r;
	if (fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) return -errno;
	const struct iovec nothing = { &none, 0 };
	ssize_t n = fd_send_parts(d->sock, &nothing, 1, &file, 1);
	return n < 0 ? (int)n : 0;
}

static int reconnect(LogDriver *d)
{
	fd_close(d->sock);
	d->sock = fd_connect_unix(AT_FDCWD, JOURNAL, SOCK_DGRAM);
	return d->sock < 0 ? d->sock : 0;
}

static int send_message(LogDriver *d)
{
	ssize_t n = d->sock < 0 ? -1 : retry_eintr(send(d->sock, d->message.p, d->message.n, MSG_NOSIGNAL));
	if (n >= 0) return 0;
	if (d->sock >= 0 && (errno == EMSGSIZE || errno == ENOBUFS)) return send_as_file(d);
	int r = reconnect(d); /* it was started anew */
	if (r < 0) return r;
	return retry_eintr(send(d->sock, d->message.p, d->message.n, MSG_NOSIGNAL)) < 0 ? -errno : 0;
}

static int put(LogDriver *d, const LogLine *line)
{
	char when[TIME_TEXT_MAX], *partial = d->partial[line->stream - 1];
	Buf *b = &d->message;
	Str text = line->text;
	if (text.n && text.p[text.n - 1] == '\n') text.n--;
	time_format(line->time, TIME_NANOSECONDS, when);
	buf_reset(b);
	buf_put(b, d->fixed.p, d->fixed.n);
	put_number(b, "CONTAINER_LOG_ORDINAL", ++d->ordinal);
	put_field(b, "SYSLOG_TIMESTAMP", str_of(when));
	if (line->piece) {
		if (line->piece == 1) make_id(partial);
		put_field(b, "CONTAINER_PARTIAL_ID", str_of(partial));
		put_number(b, "CONTAINER_PARTIAL_ORDINAL", line->piece);
		put_field(b, "CONTAINER_PARTIAL_LAST", line->last ? STR("true") : STR("false"));
		if (!line->last) put_field(b, "CONTAINER_PARTIAL_MESSAGE", STR("true"));
	}
	put_number(b, "PRIORITY", line->stream == LOG_STDERR ? PRIORITY_ERR : PRIORITY_INFO);
	put_field(b, "MESSAGE", text);
	return buf_failed(b) ? -ENOMEM : send_message(d);
}

static int flush(LogDriver *d)
{
	return 0;
}

static void done(LogDriver *d)
{
	fd_close(d->sock);
	buf_done(&d->fixed);
	buf_done(&d->message);
	free(d);
}

static int open_driver(const LogTarget *t, LogDriver **ret, Err *e)
{
	LogDriver *d = calloc(1, sizeof *d);
	if (!d) return err_sys(e, ENOMEM, "open the log");
	*d = (LogDriver){ .sock = -1, .fixed = BUF_INIT(MESSAGE_MAX / 2), .message = BUF_INIT(MESSAGE_MAX) };
	int r = reconnect(d);
	if (r < 0)
		err_sys(e, -r, "journald is not enabled on this host: " JOURNAL);
	else if ((r = put_fixed(d, t)) < 0)
		err_sys(e, -r, "open the log");
	if (r < 0) {
		done(d);
		return r;
	}
	*ret = d;
	return 0;
}

const LogDriverType log_journald = { .kind = &log_kind_journald, .open = open_driver, .put = put, .flush = flush, .close = done };
