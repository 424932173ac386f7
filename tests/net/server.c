/* server.c: the HTTP server with a handler for each thing that a test wants to see. Prints "port N" (0: unix sockets only) once it listens.
 * server [OPTION=VALUE…] ADDRESS…; see options[]. GET /quit stops it gracefully. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"
#include "net/server.h"
#include "net/tls.h"
#include "sys/fd.h"

enum { PATTERN = 64 << 10 };

static Loop loop;
static HttpServer *server;
static int64_t aborts, errors, finished, placed;
static char pattern[PATTERN];

/* One handler's state; in the exchange's arena, but for hijacked streams. */
typedef struct Job {
	HttpExchange *x;
	int64_t left, received, room_n;
	char *room;
	bool ended;
	LoopTimer timer;
} Job;

static Job *job_new(HttpExchange *x)
{
	Job *j = arena_alloc(http_arena(x), sizeof *j);
	if (!j) abort();
	j->x = x;
	return j;
}

static void text(HttpExchange *x, int status, const char *s)
{
	http_reply_text(x, status, "text/plain", s, strlen(s));
}

static void note_abort(void *arg, HttpExchange *x)
{
	Job *j = arg;
	(void)x;
	aborts++;
	if (j) loop_timer_cancel(&j->timer);
}

static void hello(HttpExchange *x)
{
	text(x, 200, "hello\n");
}

static void info(HttpExchange *x)
{
	const char *q = http_query(x, "q"), *second = http_query_at(x, "q", 1), *h = http_header(x, "X-Test"),
		   *host = http_header(x, "host");
	struct ucred creds = { 0 };
	bool has_creds = http_peer_creds(x, &creds) == 0;
	const char *cert = http_peer_cert_name(x);
	char *s = arena_printf(
		http_arena(x),
		"method=%s\npath=%s\ntarget=%s\nq=%s\nq2=%s\nx-test=%s\nhost=%s\nlength=%lld\nversion=%d\ntls=%d\npeer=%s\ncert=%s\npid=%d\n",
		http_method(x), http_path(x), http_target(x), q ? q : "-", second ? second : "-", h ? h : "-", host ? host : "-",
		(long long)http_body_length(x), http_version(x), http_is_tls(x), http_peer(x), cert ? cert : "-",
		has_creds ? creds.pid : 0);
	if (!s) abort();
	text(x, 200, s);
}

static void stats(HttpExchange *x)
{
	char *s = arena_printf(http_arena(x), "aborts=%lld\nerrors=%lld\nfinished=%lld\nplaced=%lld\nconnections=%u\n", (long long)aborts,
			       (long long)errors, (long long)finished, (long long)placed, http_server_connections(server));
	if (!s) abort();
	text(x, 200, s);
}

/* echo: the body comes back as it arrives; reading pauses while the client does not take it. ?room=N: it is wanted in a place of N bytes. */
static void echo_more(void *arg, HttpExchange *x)
{
	(void)arg;
	http_body_resume(x);
}

static int echo_piece(void *arg, HttpExchange *x, const void *p, size_t n, bool end, int error)
{
	const Job *j = arg;
	if (error) {
		errors++;
		return 0;
	}
	if (j->room && p == j->room) placed += (int64_t)n;
	int queued = http_write(x, p, n);
	if (queued > HTTP_WRITE_HIGH) http_body_pause(x);
	if (end) {
		finished++;
		http_finish(x);
	}
	return 0;
}

static void *echo_room(void *arg, size_t *ret_n)
{
	const Job *j = arg;
	*ret_n = (size_t)j->room_n;
	return j->room;
}

static int64_t number(HttpExchange *x, const char *name, int64_t otherwise)
{
	const char *s = http_query(x, name);
	int64_t v;
	return s && str_to_i64(str_of(s), &v) == 0 ? v : otherwise;
}

static void echo(HttpExchange *x)
{
	Job *j = job_new(x);
	j->room_n = number(x, "room", 0);
	http_reply(x, 200);
	http_on_drain(x, echo_more, NULL);
	http_body(x, echo_piece, j);
	if (!j->room_n) return;
	j->room = arena_alloc(http_arena(x), (size_t)j->room_n);
	if (!j->room) abort();
	http_body_room(x, echo_room);
}

/* count: how many bytes came. ?stop=N: not interested in more than N. */
static int count_piece(void *arg, HttpExchange *x, const void *p, size_t n, bool end, int error)
{
	Job *j = arg;
	(void)p;
	if (error) {
		errors++;
		return 0;
	}
	j->received += (int64_t)n;
	if (j->left && j->received >= j->left) end = true;
	if (!end) return 0;
	char *s = arena_printf(http_arena(x), "%lld\n", (long long)j->received);
	if (!s) abort();
	finished++;
	text(x, 200, s);
	return -1;
}

static void count(HttpExchange *x)
{
	Job *j = job_new(x);
	j->left = number(x, "stop", 0);
	http_on_abort(x, note_abort, j);
	http_body(x, count_piece, j);
}

/* big: ?n=BYTES of a pattern, at the client's pace. ?sized=1 says how many before. */
static void big_more(void *arg, HttpExchange *x)
{
	Job *j = arg;
	int queued = 0;
	while (j->left && queued >= 0 && queued < HTTP_WRITE_HIGH) {
		size_t n = j->left < PATTERN ? (size_t)j->left : PATTERN;
		queued = http_write(x, pattern, n);
		j->left -= (int64_t)n;
	}
	if (!j->left && queued >= 0) http_finish(x);
}

static void big(HttpExchange *x)
{
	Job *j = job_new(x);
	j->left = number(x, "n", 1 << 20);
	http_reply(x, 200);
	if (number(x, "sized", 0)) http_reply_length(x, j->left);
	http_on_abort(x, note_abort, j);
	http_on_drain(x, big_more, j);
	big_more(j, x);
}

/* file: ?path=&off=&n=; ?sized=0 without a length; ?short=1 promises a byte more. ?frame=1 writes a byte before and behind. */
static void file_done(void *arg, HttpExchange *x)
{
	(void)arg;
	(void)http_write(x, "]", 1);
	http_finish(x);
}

static void file(HttpExchange *x)
{
	const char *path = http_query(x, "path");
	struct stat st;
	AUTO_FD int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0 || fstat(fd, &st) < 0) {
		text(x, 404, "no such file\n");
		return;
	}
	bool frame = number(x, "frame", 0);
	int64_t off = number(x, "off", 0), n = number(x, "n", st.st_size - off) + number(x, "short", 0);
	http_reply(x, 200);
	if (number(x, "sized", 1)) http_reply_length(x, n + 2 * frame);
	if (frame) {
		(void)http_write(x, "[", 1);
		http_on_drain(x, file_done, NULL);
	}
	http_send_file(x, take_fd(fd), off, n);
	if (!frame) http_finish(x);
}

/* idle: a stream that says nothing. */
static void idle(HttpExchange *x)
{
	http_reply(x, 200);
	http_on_abort(x, note_abort, NULL);
	http_reply_begin(x);
}

/* late: answers after ?ms=. */
static void late_now(void *arg)
{
	Job *j = arg;
	text(j->x, 200, "late\n");
}

static void late(HttpExchange *x)
{
	Job *j = job_new(x);
	http_on_abort(x, note_abort, j);
	loop_timer_set(&loop, &j->timer, time_monotonic() + number(x, "ms", 100) * 1000000, late_now, j);
}

static void headers(HttpExchange *x)
{
	http_reply(x, 201);
	(void)http_reply_header(x, "X-One", "1");
	(void)http_reply_headerf(x, "Location", "/v2/%d", 7);
	if (number(x, "bad", 0)) (void)http_reply_header(x, "X-Bad", "a\r\nInjected: yes");
	http_finish(x);
}

static void broken(HttpExchange *x)
{
	http_reply(x, 200);
	http_reply_length(x, 100);
	(void)http_write(x, "half", 4);
	http_finish(x);
}

static void give_up(HttpExchange *x)
{
	if (number(x, "begun", 0)) (void)http_write(x, "half", 4);
	http_abort(x);
}

static void flood(HttpExchange *x)
{
	http_on_abort(x, note_abort, NULL);
	while (http_write(x, pattern, PATTERN) >= 0)
		;
}

/* hijack: an echo; ends when the client has ended. ?take=1 goes on with the bare socket. */
static void stream_data(void *arg, HttpStream *s, const void *p, size_t n)
{
	(void)arg;
	if (!n) {
		http_stream_shutdown(s);
		http_stream_close(s);
		finished++;
	} else if (http_stream_write(s, p, n) > HTTP_WRITE_HIGH) {
		http_stream_pause(s);
	}
}

static void stream_drain(void *arg, HttpStream *s)
{
	(void)arg;
	http_stream_resume(s);
}

static void stream_closed(void *arg, HttpStream *s, int error)
{
	(void)arg;
	(void)s;
	(void)error;
	aborts++;
}

static void take_drain(void *arg, HttpStream *s)
{
	AUTO_BUF early = BUF_INIT(1 << 20);
	int taken = -1;
	(void)arg;
	int r = http_stream_take_fd(s, &early, &taken);
	AUTO_FD int fd = taken;
	if (r == 0 && (fd_write_all(fd, "taken:", 6) < 0 || fd_write_all(fd, buf_str(&early), early.n) < 0)) errors++;
	if (r == -EOPNOTSUPP) {
		http_stream_write(s, "refused", 7);
		http_stream_close(s);
	}
}

static const HttpStreamFns echo_fns = { stream_data, stream_drain, stream_closed };
static const HttpStreamFns take_fns = { stream_data, take_drain, stream_closed };

static void hijack(HttpExchange *x)
{
	HttpStream *s;
	bool take_it = number(x, "take", 0);
	(void)http_reply_header(x, "Content-Type", "application/octet-stream");
	int r = http_hijack(x, 101, "tcp", take_it ? &take_fns : &echo_fns, NULL, &s);
	if (r == -EBUSY || r == -EOPNOTSUPP) {
		text(x, r == -EBUSY ? 400 : 501, "cannot hijack\n");
	} else if (take_it) {
		http_stream_pause(s);
	}
}

static void quit(HttpExchange *x)
{
	text(x, 200, "bye\n");
	http_server_stop(server);
}

static const struct {
	const char *path;
	void (*fn)(HttpExchange *x);
} routes[] = {
	{ "/hello", hello },   { "/info", info },   { "/stats", stats },   { "/echo", echo },     { "/count", count },
	{ "/big", big },       { "/file", file },   { "/idle", idle },     { "/late", late },     { "/headers", headers },
	{ "/broken", broken }, { "/flood", flood }, { "/abort", give_up }, { "/hijack", hijack }, { "/quit", quit },
};

static void handle(void *arg, HttpExchange *x)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++)
		if (streq(http_path(x), routes[i].path)) {
			routes[i].fn(x);
			return;
		}
	if (starts_with(http_path(x), "/info/"))
		info(x);
	else
		text(x, 404, "not found\n");
}

static void stopped(void *arg)
{
	(void)arg;
	loop_stop(&loop, 0);
}

static int64_t ms(const char *s)
{
	int64_t v = 0;
	if (str_to_i64(str_of(s), &v) < 0) abort();
	return v * 1000000;
}

enum { CERTIFICATES_MAX = 4 };
static TlsCertificate certificates[CERTIFICATES_MAX];

/* "name=value"; false: an address. */
static bool option(const char *arg, HttpServerOptions *o, TlsServerOptions *t)
{
	Str name, value;
	if (!str_cut(str_of(arg), '=', &name, &value)) return false;
	if (str_eq(name, "cert")) certificates[t->n++ % CERTIFICATES_MAX].cert = value.p; /* its key follows */
	if (str_eq(name, "key")) certificates[(t->n - 1) % CERTIFICATES_MAX].key = value.p;
	if (str_eq(name, "ca")) t->client_ca = value.p;
	if (str_eq(name, "optional")) t->client_optional = true;
	if (str_eq(name, "header")) o->header_timeout = ms(value.p);
	if (str_eq(name, "idle")) o->idle_timeout = ms(value.p);
	if (str_eq(name, "body")) o->body_timeout = ms(value.p);
	if (str_eq(name, "max")) o->max_connections = (unsigned)(ms(value.p) / 1000000);
	return true;
}

static int fail(const Err *e)
{
	fprintf(stderr, "%s\n", e->msg);
	return 1;
}

int main(int argc, char **argv)
{
	HttpServerOptions o = { .server_name = "skep-test", .handle = handle, .stopped = stopped };
	TlsServerOptions t = { .certificates = certificates };
	Err e = ERR_INIT;
	for (size_t i = 0; i < PATTERN; i++)
		pattern[i] = (char)('a' + i % 26);
	for (int i = 1; i < argc; i++)
		(void)option(argv[i], &o, &t);
	if (t.n && tls_server_new(&t, &o.tls, &e) < 0) return fail(&e);
	if (loop_init(&loop) < 0 || http_server_new(&loop, &o, &server, &e) < 0) return fail(&e);
	for (int i = 1; i < argc; i++)
		if (!strchr(argv[i], '=') && http_server_listen(server, argv[i], &e) < 0) return fail(&e);
	printf("port %d\n", http_server_port(server));
	fflush(stdout);
	int r = loop_run(&loop);
	http_server_free(server);
	tls_context_free(o.tls);
	loop_done(&loop);
	return r;
}
