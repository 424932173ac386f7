/* log_local.c: the driver "local": frames (log_frame.h) in container.log, rotated and compressed unless that is not wanted. */
#include "monitor/log_driver.h"
#include "monitor/log_file.h"
#include "monitor/log_frame.h"

enum { OUT_MAX = 4 << 20 };

struct LogDriver {
	LogFile file;
	Buf out;
};

static int flush(LogDriver *d)
{
	int r = buf_failed(&d->out) ? -ENOMEM : log_file_append(&d->file, d->out.p, d->out.n);
	buf_reset(&d->out);
	return r;
}

static int put(LogDriver *d, const LogLine *line)
{
	log_frame_put(&d->out, line, NULL);
	return buf_failed(&d->out) || log_file_is_full(&d->file, d->out.n) ? flush(d) : 0;
}

static void done(LogDriver *d)
{
	log_file_close(&d->file);
	buf_done(&d->out);
	free(d);
}

static int open_driver(const LogTarget *t, LogDriver **ret, Err *e)
{
	LogDriver *d = calloc(1, sizeof *d);
	if (!d) return err_sys(e, ENOMEM, "open the log");
	*d = (LogDriver){ .out = BUF_INIT(OUT_MAX) };
	log_file_init(&d->file, &log_kind_local);
	snprintf(d->file.name, sizeof d->file.name, LOG_LOCAL_NAME);
	d->file.whole = log_frames_end;
	d->file.dir = t->dir;
	d->file.packer = t->packer;
	int r = log_file_options(&d->file, t->options, e);
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

const LogDriverType log_local = {
	.kind = &log_kind_local, .open = open_driver, .put = put, .flush = flush, .close = done, .exited = exited
};
