/* log_lines.c: see log_lines.h. */
#include "monitor/log_lines.h"

void log_lines_init(LogLines *l)
{
	*l = (LogLines){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(l->pending); i++)
		l->pending[i].text = BUF_INIT(LOG_LINE_MAX);
}

void log_lines_done(LogLines *l)
{
	for (size_t i = 0; i < ARRAY_LEN(l->pending); i++)
		buf_done(&l->pending[i].text);
}

/* A whole line, or one more piece: ends says that the line does, too. */
static void hand_out(LogPending *w, LogStream stream, Str text, bool ends, LogLineFn *fn, void *arg)
{
	LogLine line = { .stream = stream, .time = w->time, .text = text };
	if (w->piece || !ends) {
		line.piece = ++w->piece;
		line.last = ends;
	}
	if (ends) w->piece = 0;
	fn(arg, &line);
}

/* How many bytes at the end are the beginning of a character of UTF-8 that goes on. */
static size_t begun_character(Str s)
{
	for (size_t n = 1; n <= 3 && n < s.n; n++) {
		unsigned char c = (unsigned char)s.p[s.n - n];
		if ((c & 0xc0) == 0x80) continue;
		size_t wants = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
		return wants > n ? n : 0;
	}
	return 0;
}

static int end_stream(LogPending *w, LogStream stream, LogLineFn *fn, void *arg)
{
	if (w->text.n) hand_out(w, stream, (Str){ w->text.p, w->text.n }, false, fn, arg);
	w->piece = 0;
	buf_done(&w->text);
	w->text = BUF_INIT(LOG_LINE_MAX);
	return 0;
}

/* A piece is no end of a character. */
static void hand_out_piece(LogPending *w, LogStream stream, LogLineFn *fn, void *arg)
{
	size_t n = w->text.n - begun_character((Str){ w->text.p, w->text.n });
	hand_out(w, stream, (Str){ w->text.p, n }, false, fn, arg);
	buf_consume(&w->text, n);
}

int log_lines_feed(LogLines *l, LogStream stream, int64_t time, const char *p, size_t n, LogLineFn *fn, void *arg)
{
	LogPending *w = &l->pending[stream - 1];
	if (!n) return end_stream(w, stream, fn, arg);
	while (n > 0) {
		size_t room = LOG_LINE_MAX - w->text.n;
		const char *nl = memchr(p, '\n', n < room ? n : room);
		size_t take = nl ? (size_t)(nl - p) + 1 : n < room ? n : room;
		if (!w->text.n && !w->piece) w->time = time;
		if (nl && !w->text.n) {
			hand_out(w, stream, (Str){ p, take }, true, fn, arg);
		} else {
			buf_put(&w->text, p, take);
			if (buf_failed(&w->text)) return -ENOMEM;
			if (nl) {
				hand_out(w, stream, (Str){ w->text.p, w->text.n }, true, fn, arg);
				buf_reset(&w->text);
			} else if (w->text.n == LOG_LINE_MAX) {
				hand_out_piece(w, stream, fn, arg);
			}
		}
		p += take;
		n -= take;
	}
	return 0;
}
