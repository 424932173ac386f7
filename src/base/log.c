/* log.c: see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/json.h"
#include "base/time.h"

void log_write(const Log *l, LogLevel level, const char *fmt, ...)
{
	static const char *const names[] = { "debug", "info", "warning", "error" };
	char msg[ERR_MESSAGE_MAX + 256], when[TIME_TEXT_MAX];
	va_list ap;
	if ((l->fd < 0 && !l->sink) || level < l->level) return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	if (l->sink) {
		l->sink(l->data, level, msg);
		return;
	}
	time_format(time_now(), TIME_SECONDS, when);
	AUTO_BUF out = BUF_INIT(sizeof msg * 6 + 256);
	JsonWriter w = JSON_WRITER(&out);
	if (l->json) {
		json_begin_object(&w);
		json_put_string(&w, "level", names[level]);
		json_put_string(&w, "msg", msg);
		json_put_string(&w, "time", when);
		json_end_object(&w);
	} else {
		buf_printf(&out, "time=\"%s\" level=%s msg=", when, names[level]);
		json_string(&w, msg); /* the quoting of Go's %q and of JSON agree on all that matters here */
	}
	buf_putc(&out, '\n');
	if (buf_failed(&out)) return;
	ssize_t n = write(l->fd, out.p, out.n);
	(void)n; /* a full or closed log must not stop the work */
}
