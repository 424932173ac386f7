/* log_frame.c: see log_frame.h. */
#include "monitor/log_frame.h"

#include <endian.h>
#include <unistd.h>

#include "base/fnv.h"

enum { FLAG_STREAM = 3, FLAG_PIECE = 4, FLAG_LAST = 8, FLAG_FIELDS = 16 };

static void put_u32(Buf *b, uint32_t v)
{
	v = htole32(v);
	buf_put(b, &v, sizeof v);
}

static uint32_t get_u32(const char *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

static void put_fields(Buf *b, const StrMap *fields)
{
	uint16_t n = htole16((uint16_t)fields->n);
	buf_put(b, &n, sizeof n);
	for (size_t i = 0; i < fields->n; i++) {
		buf_put(b, fields->items[i].key, strlen(fields->items[i].key) + 1);
		buf_put(b, fields->items[i].value, strlen(fields->items[i].value) + 1);
	}
}

void log_frame_put(Buf *b, const LogLine *l, const StrMap *fields)
{
	size_t at = b->n;
	bool with_fields = fields && fields->n && fields->n <= LOG_FIELDS_MAX;
	uint64_t time = htole64((uint64_t)l->time);
	put_u32(b, 0);
	put_u32(b, 0);
	buf_putc(b, (char)(l->stream | (l->piece ? FLAG_PIECE : 0) | (l->last ? FLAG_LAST : 0) | (with_fields ? FLAG_FIELDS : 0)));
	buf_put(b, &time, sizeof time);
	if (l->piece) put_u32(b, l->piece);
	if (with_fields) put_fields(b, fields);
	buf_put(b, l->text.p, l->text.n);
	if (buf_failed(b)) return;
	uint32_t n = (uint32_t)(b->n - at - LOG_FRAME_HEAD),
		 head[2] = { htole32(n), htole32(fnv_add(FNV_INIT, b->p + at + LOG_FRAME_HEAD, n)) };
	put_u32(b, n);
	if (buf_failed(b))
		b->n = at;
	else
		memcpy(b->p + at, head, sizeof head);
}

static ssize_t size_of(uint32_t payload)
{
	return payload < LOG_PAYLOAD_MIN || payload > LOG_PAYLOAD_MAX ? -EBADMSG : (ssize_t)payload + LOG_FRAME_OVERHEAD;
}

ssize_t log_frame_size_by_head(const char *p)
{
	return size_of(get_u32(p));
}

ssize_t log_frame_size_by_tail(const char *p)
{
	return size_of(get_u32(p));
}

size_t log_frame_text(const char *p)
{
	size_t payload = get_u32(p), head = LOG_PAYLOAD_MIN + (p[LOG_FRAME_HEAD] & FLAG_PIECE ? sizeof(uint32_t) : 0);
	return payload > head ? payload - head : 0;
}

/* A string with its NUL off *rest; NULL when there is none. */
static const char *take_string(Str *rest)
{
	const char *s = rest->p, *end = rest->n ? memchr(s, 0, rest->n) : NULL;
	if (!end) return NULL;
	size_t n = (size_t)(end - s) + 1;
	*rest = (Str){ s + n, rest->n - n };
	return s;
}

static int get_fields(Str *rest, LogEntry *ret)
{
	uint16_t n;
	if (rest->n < sizeof n) return -EBADMSG;
	memcpy(&n, rest->p, sizeof n);
	n = le16toh(n);
	*rest = (Str){ rest->p + sizeof n, rest->n - sizeof n };
	if (n > LOG_FIELDS_MAX) return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		const char *key = take_string(rest), *value = key ? take_string(rest) : NULL;
		if (!value) return -EBADMSG;
		ret->pairs[i] = (StrPair){ key, value };
	}
	ret->fields = (StrMap){ ret->pairs, n };
	return 0;
}

static int get_payload(Str rest, LogEntry *ret)
{
	uint64_t time;
	unsigned flags = (unsigned char)rest.p[0];
	memcpy(&time, rest.p + 1, sizeof time);
	ret->fields = (StrMap){ 0 };
	ret->line = (LogLine){ .stream = flags & FLAG_STREAM, .time = (int64_t)le64toh(time), .last = flags & FLAG_LAST };
	if (ret->line.stream != LOG_STDOUT && ret->line.stream != LOG_STDERR) return -EBADMSG;
	rest = (Str){ rest.p + LOG_PAYLOAD_MIN, rest.n - LOG_PAYLOAD_MIN };
	if (flags & FLAG_PIECE) {
		if (rest.n < sizeof(uint32_t)) return -EBADMSG;
		ret->line.piece = get_u32(rest.p);
		rest = (Str){ rest.p + sizeof(uint32_t), rest.n - sizeof(uint32_t) };
	}
	if (flags & FLAG_FIELDS && get_fields(&rest, ret) < 0) return -EBADMSG;
	ret->line.text = rest;
	return 0;
}

ssize_t log_frame_get(const char *p, size_t n, LogEntry *ret)
{
	if (n < LOG_FRAME_HEAD) return 0;
	ssize_t size = log_frame_size_by_head(p);
	if (size < 0) return size;
	if (n < (size_t)size) return 0;
	size_t payload = (size_t)size - LOG_FRAME_OVERHEAD;
	if (get_u32(p + LOG_FRAME_HEAD + payload) != payload || get_u32(p + 4) != fnv_add(FNV_INIT, p + LOG_FRAME_HEAD, payload))
		return -EBADMSG;
	return get_payload((Str){ p + LOG_FRAME_HEAD, payload }, ret) < 0 ? -EBADMSG : size;
}

/* ---- files ---- */

typedef struct FrameRoom {
	LogEntry entry;
	char bytes[LOG_PAYLOAD_MAX + LOG_FRAME_OVERHEAD];
} FrameRoom;

/* The size of the frame at that position, 0 when there is no whole one. */
static ssize_t frame_at(int fd, int64_t at, int64_t size, FrameRoom *room)
{
	if (size - at < LOG_FRAME_OVERHEAD) return 0;
	ssize_t n = retry_eintr(pread(fd, room->bytes, LOG_FRAME_HEAD, at));
	if (n != LOG_FRAME_HEAD) return n < 0 ? -errno : 0;
	ssize_t whole = log_frame_size_by_head(room->bytes);
	if (whole < 0 || whole > size - at) return 0;
	n = retry_eintr(pread(fd, room->bytes, (size_t)whole, at));
	if (n != whole) return n < 0 ? -errno : 0;
	return log_frame_get(room->bytes, (size_t)whole, &room->entry) < 0 ? 0 : whole;
}

static bool ends_whole(int fd, int64_t size, FrameRoom *room)
{
	char tail[LOG_FRAME_TAIL] = { 0 }; /* cppcheck takes pread in retry_eintr for nothing */
	if (size < LOG_FRAME_OVERHEAD || retry_eintr(pread(fd, tail, sizeof tail, size - LOG_FRAME_TAIL)) != sizeof tail) return false;
	ssize_t n = log_frame_size_by_tail(tail);
	return n > 0 && n <= size && frame_at(fd, size - n, size, room) == n;
}

int log_frames_end(int fd, int64_t size, int64_t *ret)
{
	AUTO_FREE FrameRoom *room = malloc(sizeof *room);
	int64_t at = 0;
	ssize_t n = 0;
	if (!room) return -ENOMEM;
	if (ends_whole(fd, size, room)) {
		*ret = size;
		return 0;
	}
	while ((n = frame_at(fd, at, size, room)) > 0)
		at += n;
	*ret = at;
	return (int)n;
}
