/* log_syslog.c: the driver "syslog": to a socket of this machine or of another, in the forms that docker sends.
 *
 *   format       line
 *   (none)       <PRI>Jan  2 15:04:05 TAG[PID]: TEXT
 *   rfc3164      <PRI>Jan  2 15:04:05 HOST TAG[PID]: TEXT
 *   rfc5424      <PRI>1 2026-01-02T15:04:05+01:00 HOST TAG PID TAG - TEXT      (rfc5424micro: with microseconds)
 * Each ends in a newline. A connection that broke is made again once for a line; what cannot be sent then is lost.
 */
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/time.h"
#include "monitor/log_driver.h"
#include "monitor/syslog_target.h"
#include "sys/fd.h"

enum { HOST_MAX = 256, MESSAGE_MAX = 65536, STAMP_MAX = 64, CONNECT_S = 10 };
enum { SEVERITY_ERR = 3, SEVERITY_INFO = 6 };

struct LogDriver {
	SyslogTarget to;
	int sock;
	char name[HOST_MAX]; /* of this machine */
	const char *tag;
	pid_t pid;
	Buf message;
};

/* ---- the connection ---- */

static int connect_local(const SyslogTarget *t)
{
	static const char *const usual[] = { "/dev/log", "/var/run/syslog", "/var/run/log" };
	static const int types[] = { SOCK_DGRAM, SOCK_STREAM };
	int r = -ENOENT;
	if (t->type) return fd_connect_unix(AT_FDCWD, t->host, t->type);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		for (size_t k = 0; k < ARRAY_LEN(usual); k++)
			if ((r = fd_connect_unix(AT_FDCWD, usual[k], types[i])) >= 0) return r;
	return r;
}

static void free_addresses(struct addrinfo **a)
{
	if (*a) freeaddrinfo(*a);
}

static int connect_host(const SyslogTarget *t)
{
	AUTO(free_addresses) struct addrinfo *found = NULL;
	const struct addrinfo want = { .ai_socktype = t->type };
	const struct timeval patience = { .tv_sec = CONNECT_S };
	int r = -EHOSTUNREACH;
	if (getaddrinfo(*t->host ? t->host : NULL, t->port, &want, &found) != 0) return r;
	for (const struct addrinfo *a = found; a; a = a->ai_next) {
		AUTO_FD int sock = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (sock < 0) continue;
		(void)!setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
		if (retry_eintr(connect(sock, a->ai_addr, a->ai_addrlen)) == 0) {
			const struct timeval for_ever = { 0 };
			(void)!setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &for_ever, sizeof for_ever);
			return take_fd(sock);
		}
		r = -errno;
	}
	return r;
}

static int reconnect(LogDriver *d)
{
	fd_close(d->sock);
	d->sock = d->to.local ? connect_local(&d->to) : connect_host(&d->to);
	return d->sock < 0 ? d->sock : 0;
}

/* ---- lines ---- */

/* Local time, which is what syslog has. */
static void make_stamp(SyslogFormat format, char text[static STAMP_MAX])
{
	int64_t now = time_now();
	time_t seconds = (time_t)(now / DURATION_SECOND);
	struct tm tm;
	char day[STAMP_MAX / 2], zone[8], fraction[16] = "";
	if (!localtime_r(&seconds, &tm)) tm = (struct tm){ 0 };
	if (format < SYSLOG_RFC5424) {
		static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
		snprintf(text, STAMP_MAX, "%s %2d %02d:%02d:%02d", months[tm.tm_mon % 12], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		return;
	}
	strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
	long minutes = tm.tm_gmtoff / 60;
	if (minutes)
		snprintf(zone, sizeof zone, "%c%02d:%02d", minutes < 0 ? '-' : '+', (int)(labs(minutes) / 60 % 24),
			 (int)(labs(minutes) % 60));
	else
		snprintf(zone, sizeof zone, "Z");
	if (format == SYSLOG_RFC5424_MICRO) snprintf(fraction, sizeof fraction, ".%06d", (int)(now / 1000 % 1000000));
	snprintf(text, STAMP_MAX, "%s%s%s", day, fraction, zone);
}

static void make_head(LogDriver *d, LogStream stream)
{
	char stamp[STAMP_MAX];
	int priority = d->to.facility * 8 + (stream == LOG_STDERR ? SEVERITY_ERR : SEVERITY_INFO);
	Buf *b = &d->message;
	make_stamp(d->to.format, stamp);
	buf_reset(b);
	if (d->to.format >= SYSLOG_RFC5424)
		buf_printf(b, "<%d>1 %s %s %s %d %s - ", priority, stamp, d->name, d->tag, (int)d->pid, d->tag);
	else if (d->to.format == SYSLOG_RFC3164)
		buf_printf(b, "<%d>%s %s %s[%d]: ", priority, stamp, d->name, d->tag, (int)d->pid);
	else
		buf_printf(b, "<%d>%s %s[%d]: ", priority, stamp, d->tag, (int)d->pid);
}

static int send_all(int sock, const char *p, size_t n)
{
	while (n) {
		ssize_t k = retry_eintr(send(sock, p, n, MSG_NOSIGNAL));
		if (k < 0) return -errno;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

static int put(LogDriver *d, const LogLine *line)
{
	make_head(d, line->stream);
	buf_put(&d->message, line->text.p, line->text.n);
	if (!line->text.n || line->text.p[line->text.n - 1] != '\n') buf_putc(&d->message, '\n');
	if (buf_failed(&d->message)) return -ENOMEM;
	int r = d->sock < 0 ? -ENOTCONN : send_all(d->sock, d->message.p, d->message.n);
	if (r >= 0) return 0;
	r = reconnect(d);
	return r < 0 ? r : send_all(d->sock, d->message.p, d->message.n);
}

static int flush(LogDriver *d)
{
	return 0;
}

static void done(LogDriver *d)
{
	fd_close(d->sock);
	buf_done(&d->message);
	free(d);
}

static int open_driver(const LogTarget *t, LogDriver **ret, Err *e)
{
	LogDriver *d = calloc(1, sizeof *d);
	if (!d) return err_sys(e, ENOMEM, "open the log");
	*d = (LogDriver){ .sock = -1, .tag = t->tag, .pid = getppid(), .message = BUF_INIT(MESSAGE_MAX) };
	if (gethostname(d->name, sizeof d->name - 1) < 0) snprintf(d->name, sizeof d->name, "localhost");
	int r = syslog_target_parse(t->options, &d->to, e);
	if (r >= 0 && (r = reconnect(d)) < 0) {
		if (d->to.local && !d->to.type)
			err_set(e, ERR_NOT_FOUND, -r, "Unix syslog delivery error");
		else
			err_sys(e, -r, "syslog: dial %s%s%s", d->to.host, d->to.local ? "" : ":", d->to.port);
	}
	if (r < 0) {
		done(d);
		return r;
	}
	*ret = d;
	return 0;
}

const LogDriverType log_syslog = { .kind = &log_kind_syslog, .open = open_driver, .put = put, .flush = flush, .close = done };
