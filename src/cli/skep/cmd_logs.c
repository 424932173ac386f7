/* cmd_logs.c: logs. */
#include "base/moment.h"
#include "cli/skep/containers.h"
#include "engine/logs.h"

enum { OUTPUT_MAX = 64 << 20, ENOUGH = 64 << 10 };

typedef struct Showing {
	bool timestamps, details;
	Buf out; /* of one stream */
	LogStream stream;
} Showing;

static void showing_done(Showing *s)
{
	buf_done(&s->out);
}

static int write_out(Showing *s, Err *e)
{
	if (buf_failed(&s->out)) return err_sys(e, ENOMEM, "logs");
	int r = fd_write_all(s->stream == LOG_STDERR ? 2 : 1, s->out.p, s->out.n);
	buf_reset(&s->out);
	return r < 0 ? err_sys(e, -r, "write the log") : 0;
}

/* As Go's url.QueryEscape. */
static void put_escaped(Buf *b, const char *s)
{
	for (; *s; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr("-_.~", *s);
		if (plain)
			buf_putc(b, *s);
		else if (*s == ' ')
			buf_putc(b, '+');
		else
			buf_printf(b, "%%%02X", (unsigned char)*s);
	}
}

static void put_fields(Buf *b, const StrMap *fields)
{
	for (size_t i = 0; i < fields->n; i++) {
		if (i) buf_putc(b, ',');
		put_escaped(b, fields->items[i].key);
		buf_putc(b, '=');
		put_escaped(b, fields->items[i].value);
	}
	buf_putc(b, ' ');
}

static int show_line(void *arg, const LogEntry *entry, Err *e)
{
	Showing *s = arg;
	char when[TIME_TEXT_MAX];
	int r = s->out.n > ENOUGH || (s->out.n && s->stream != entry->line.stream) ? write_out(s, e) : 0;
	s->stream = entry->line.stream;
	if (s->timestamps) {
		time_format(entry->line.time, TIME_FIXED, when);
		buf_printf(&s->out, "%s ", when);
	}
	if (s->details) put_fields(&s->out, &entry->fields);
	buf_put(&s->out, entry->line.text.p, entry->line.text.n);
	return r;
}

static int show_all(void *arg, Err *e)
{
	return write_out(arg, e);
}

static int moment_option(const Invocation *in, const char *name, int64_t *ret, Err *e)
{
	const char *text = option_value(in, name);
	*ret = 0;
	if (!text || !*text) return 0;
	return moment_parse(str_of(text), time_now(), ret, e) < 0 ? err_wrap(e, "invalid value for \"%s\"", name) : 0;
}

/* What is no number means all, as docker has it. */
static int64_t tail_option(const Invocation *in)
{
	int64_t n;
	const char *text = option_value(in, "tail");
	return text && str_to_i64(str_of(text), &n) >= 0 && n >= 0 ? n : -1;
}

int container_logs_run(Invocation *in, Err *e)
{
	AUTO_ENGINE g = { .root_dir = -1 };
	AUTO(showing_done)
	Showing s = { .timestamps = option_switch(in, "timestamps"),
		      .details = option_switch(in, "details"),
		      .out = BUF_INIT(OUTPUT_MAX),
		      .stream = LOG_STDOUT };
	LogsOptions o = { .tail = tail_option(in), .follow = option_switch(in, "follow"), .leaver = 1 };
	const LogsSink to = { .line = show_line, .idle = show_all, .arg = &s };
	Record c;
	int r = moment_option(in, "since", &o.since, e);
	if (r < 0 || (r = moment_option(in, "until", &o.until, e)) < 0 || (r = skep_engine(in, &g, e)) < 0) return r;
	if ((r = record_find(&g, in->args.items[0], in->arena, &c, e)) < 0) return r;
	return engine_logs(&g, &c, &o, &to, e);
}
