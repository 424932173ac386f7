/* webhook.c: see webhook.h. */
#include "registry/service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/glob.h"
#include "base/time.h"
#include "net/url.h"
#include "sys/fd.h"

enum { BODY_MAX = 8192, ANSWER_MAX = 32 * 1024, IDLE_SECONDS = 60 };

#define SECOND INT64_C(1000000000)

struct Delivery {
	Registry *reg;
	int64_t id;
	uint64_t attempts;
	char *url;
	int fd;
	LoopFd watch;
	LoopTimer timeout;
	Buf out, in;
	size_t sent;
};

/* ---- events ---- */

static void write_event(Registry *reg, const char *action, const char *repository, const char *target, const char *digest, uint64_t size,
			Buf *out)
{
	char id[SESSION_LENGTH + 1] = "", now[TIME_TEXT_MAX];
	JsonWriter w = JSON_WRITER(out);
	/* an id is for the receiver's bookkeeping; without random numbers there is none */
	(void)!session_new(id);
	time_format(time_now(), TIME_NANOSECONDS, now);
	json_begin_object(&w);
	json_key(&w, "events");
	json_begin_array(&w);
	json_begin_object(&w);
	json_put_string(&w, "id", id);
	json_put_string(&w, "timestamp", now);
	json_put_string(&w, "action", action);
	json_key(&w, "target");
	json_begin_object(&w);
	json_put_string(&w, "repository", repository);
	if (digest) json_put_string(&w, "digest", digest);
	if (size) {
		json_put_uint(&w, "size", size);
		json_put_uint(&w, "length", size);
	}
	json_put_string(&w, strchr(target, ':') ? "digest" : "tag", digest && strchr(target, ':') ? digest : target);
	json_end_object(&w);
	json_key(&w, "source");
	json_begin_object(&w);
	json_put_string(&w, "instanceID", reg->o->auth.service);
	json_end_object(&w);
	json_end_object(&w);
	json_end_array(&w);
	json_end_object(&w);
}

static bool wants(const RegistryWebhook *hook, const char *action, const char *repository)
{
	/* a write for each pull is for those who say so */
	bool event = !hook->events.n && !streq(action, "pull"), name = !hook->repositories.n;
	for (size_t i = 0; i < hook->events.n; i++)
		event |= streq(hook->events.items[i], action);
	for (size_t i = 0; i < hook->repositories.n; i++)
		name |= glob_match(str_of(hook->repositories.items[i]), str_of(repository), GLOB_STARSTAR) > 0;
	return event && name;
}

bool webhook_wants(const Registry *reg, const char *action, const char *repository)
{
	for (size_t i = 0; i < reg->o->webhooks.n; i++)
		if (wants(&reg->o->webhooks.items[i], action, repository)) return true;
	return false;
}

/* Anybody may pull, as often as he likes: a receiver that is away must not fill the disk. */
static int has_room(Db *db, const char *url, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(db, "SELECT count(*) FROM (SELECT 1 FROM events WHERE url = ? LIMIT ?)",
		       DB_ARGS(db_text(url), db_int(WEBHOOK_PULLS_MAX)), &rows, e);
	return r <= 0 ? r : db_row_int(&rows, 0) < WEBHOOK_PULLS_MAX;
}

int webhook_enqueue(Registry *reg, Db *db, const char *action, const char *repository, const char *target, const char *digest,
		    uint64_t size, Err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < reg->o->webhooks.n; i++) {
		const RegistryWebhook *hook = &reg->o->webhooks.items[i];
		if (!wants(hook, action, repository)) continue;
		if (streq(action, "pull") && (r = has_room(db, hook->url, e)) <= 0) continue;
		AUTO_BUF body = BUF_INIT(BODY_MAX);
		write_event(reg, action, repository, target, digest, size, &body);
		if (buf_failed(&body)) return err_sys(e, ENOMEM, "write an event");
		r = db_run(db, "INSERT INTO events (url, body, due) VALUES (?, ?, ?)",
			   DB_ARGS(db_text(hook->url), db_text(body.p), db_int(time_now())), e);
	}
	return r < 0 ? r : 0;
}

/* ---- the end of a delivery ---- */

static void delivery_free(Delivery *d)
{
	loop_fd_remove(&d->watch);
	loop_timer_cancel(&d->timeout);
	fd_close(d->fd);
	buf_done(&d->out);
	buf_done(&d->in);
	free(d->url);
	free(d);
}

typedef struct Outcome {
	Registry *reg;
	Commit commit;
	int64_t id;
	bool drop;
	int64_t due;
} Outcome;

static int run_outcome(void *arg, Committer *committer, Db *db, Err *e)
{
	Outcome *o = arg;
	int r = o->drop ? db_run(db, "DELETE FROM events WHERE id = ?", DB_ARGS(db_int(o->id)), e)
			: db_run(db, "UPDATE events SET attempts = attempts + 1, due = ? WHERE id = ?",
				 DB_ARGS(db_int(o->due), db_int(o->id)), e);
	return r < 0 ? r : 0;
}

static void outcome_done(void *arg, int result, const Err *e)
{
	Outcome *o = arg;
	Registry *reg = o->reg;
	free(o);
	reg->webhooks.settling = false;
	if (result < 0)
		log_write(reg->log, LOG_ERROR, "webhook: %s", e->msg);
	else
		webhook_kick(reg);
}

static void on_timer(void *arg);

static void plan(Registry *reg, int64_t delay)
{
	loop_timer_set(&reg->loop, &reg->webhooks.timer, loop_now(&reg->loop) + delay, on_timer, reg);
}

static void finish(Delivery *d, const char *problem)
{
	Registry *reg = d->reg;
	Outcome *o = calloc(1, sizeof *o);
	int64_t delay = WEBHOOK_FIRST_DELAY * SECOND;
	for (uint64_t i = 0; i < d->attempts && delay < 3600 * SECOND; i++)
		delay *= 2;
	bool last = problem && d->attempts + 1 >= WEBHOOK_ATTEMPTS;
	if (problem)
		reg->webhooks.failed++;
	else
		reg->webhooks.sent++;
	if (problem)
		log_write(reg->log, last ? LOG_ERROR : LOG_WARN, "webhook %s: %s; %s", d->url, problem,
			  last ? "the event is dropped" : "tried again later");
	if (o) {
		*o = (Outcome){ .reg = reg, .id = d->id, .drop = !problem || last, .due = time_now() + delay };
		o->commit = (Commit){ .run = run_outcome, .done = outcome_done, .arg = o };
	}
	delivery_free(d);
	reg->webhooks.current = NULL;
	/* until its row says so the event is not looked at again */
	reg->webhooks.settling = o != NULL;
	if (o)
		committer_submit(reg->committer, &o->commit);
	else
		plan(reg, delay);
}

/* ---- the connection ---- */

static void on_timeout(void *arg)
{
	finish(arg, "no answer in time");
}

static void read_answer(Delivery *d)
{
	char piece[4096];
	ssize_t n = TEMP_FAILURE_RETRY(recv(d->fd, piece, sizeof piece, 0));
	if (n < 0 && errno == EAGAIN) return;
	if (n > 0) buf_put(&d->in, piece, (size_t)n);
	if (n <= 0 || buf_failed(&d->in)) {
		finish(d, n < 0 ? err_text(errno) : n == 0 ? "closed without an answer" : "the answer is too long");
		return;
	}
	size_t at = 0;
	ssize_t head = http1_head_find(d->in.p, d->in.n, &at);
	if (head == 0) return;
	AUTO_ARENA a = ARENA_INIT(256 * 1024);
	Http1Response answer;
	Err e = ERR_INIT;
	char problem[64];
	if (head < 0 || http1_response_parse((Str){ d->in.p, (size_t)head }, STR("POST"), 64, &a, &answer, &e) < 0) {
		finish(d, "what it answers is not HTTP");
		return;
	}
	snprintf(problem, sizeof problem, "it answers %d", answer.status);
	finish(d, answer.status >= 200 && answer.status < 300 ? NULL : problem);
}

static void on_socket(void *arg, uint32_t events)
{
	Delivery *d = arg;
	if (d->sent == d->out.n) {
		read_answer(d);
		return;
	}
	int error = 0;
	socklen_t size = sizeof error;
	getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	ssize_t n = error ? -1 : TEMP_FAILURE_RETRY(send(d->fd, d->out.p + d->sent, d->out.n - d->sent, MSG_NOSIGNAL));
	if (n < 0) {
		int why = error ? error : errno;
		if (why != EAGAIN) finish(d, err_text(why));
		return;
	}
	d->sent += (size_t)n;
	if (d->sent == d->out.n && loop_fd_events(&d->watch, EPOLLIN) < 0) finish(d, "cannot wait for the answer");
}

/* The address of a host written as one, or of localhost. */
static int address_of(Str host, int port, struct sockaddr_storage *ret, socklen_t *ret_size)
{
	char text[64];
	if (str_eq(host, "localhost")) host = STR("127.0.0.1");
	if (host.n >= sizeof text) return -EINVAL;
	memcpy(text, host.p, host.n);
	text[host.n] = 0;
	*ret = (struct sockaddr_storage){ 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*ret_size = sizeof *v4;
		return 0;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) return -EINVAL;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	*ret_size = sizeof *v6;
	return 0;
}

int webhook_check_url(const char *text, Err *e)
{
	Url url;
	struct sockaddr_storage address;
	socklen_t size;
	int r = url_parse(str_of(text), &url, e);
	if (r < 0) return r;
	if (!str_eq(url.scheme, "http") || url.user.n || address_of(url.host, url.port, &address, &size) < 0)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "%s: a webhook is http:// and an IP address or localhost", text);
	return 0;
}

static int send_event(Delivery *d, const char *body)
{
	Url url;
	Err e = ERR_INIT;
	struct sockaddr_storage address;
	socklen_t size;
	int r = url_parse(str_of(d->url), &url, &e);
	if (r >= 0) r = address_of(url.host, url.port ? url.port : 80, &address, &size);
	if (r < 0) return r;
	const char *end = url.has_query ? url.query.p + url.query.n : url.path.p + url.path.n;
	Str target = url.path.n ? (Str){ url.path.p, (size_t)(end - url.path.p) } : STR("/");
	http1_put_request(&d->out, STR("POST"), target);
	buf_printf(&d->out, url.is_ipv6 ? "Host: [%.*s]:%d\r\n" : "Host: %.*s:%d\r\n", (int)url.host.n, url.host.p,
		   url.port ? url.port : 80);
	http1_put_field(&d->out, STR("Content-Type"), STR("application/vnd.docker.distribution.events.v2+json"));
	http1_put_field(&d->out, STR("User-Agent"), STR("skep-registry"));
	http1_put_field(&d->out, STR("Connection"), STR("close"));
	http1_put_length(&d->out, (int64_t)strlen(body));
	buf_puts(&d->out, "\r\n");
	buf_puts(&d->out, body);
	if (buf_failed(&d->out)) return -ENOMEM;
	d->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0) return -errno;
	if (connect(d->fd, (struct sockaddr *)&address, size) < 0 && errno != EINPROGRESS) return -errno;
	return loop_fd_add(&d->reg->loop, &d->watch, d->fd, EPOLLOUT, on_socket, d);
}

/* ---- the queue ---- */

static void deliver(Registry *reg, const DbRows *rows)
{
	Delivery *d = calloc(1, sizeof *d);
	if (!d) {
		plan(reg, SECOND);
		return;
	}
	*d = (Delivery){
		.reg = reg, .fd = -1, .id = db_row_int(rows, 0), .attempts = (uint64_t)db_row_int(rows, 3), .out = BUF_INIT(2 * BODY_MAX)
	};
	d->in = BUF_INIT(ANSWER_MAX);
	d->url = strdup(db_row_text(rows, 1));
	reg->webhooks.current = d;
	int r = d->url ? send_event(d, db_row_text(rows, 2)) : -ENOMEM;
	if (r < 0)
		finish(d, err_text(-r));
	else
		loop_timer_set(&reg->loop, &d->timeout, loop_now(&reg->loop) + WEBHOOK_TIMEOUT * SECOND, on_timeout, d);
}

static void on_timer(void *arg)
{
	Registry *reg = arg;
	Err e = ERR_INIT;
	AUTO_DB_ROWS rows = { 0 };
	if (reg->webhooks.current || reg->webhooks.settling || reg->stopping) return;
	int r = db_get(
		reg->db,
		"SELECT id, url, body, attempts, due FROM events WHERE id IN (SELECT min(id) FROM events GROUP BY url) ORDER BY due, id LIMIT 1",
		DB_NONE, &rows, &e);
	if (r < 0) log_write(reg->log, LOG_ERROR, "webhook: %s", e.msg);
	if (r <= 0) return;
	int64_t wait = db_row_int(&rows, 4) - time_now();
	if (wait > 0)
		plan(reg, wait > IDLE_SECONDS * SECOND ? IDLE_SECONDS * SECOND : wait);
	else
		deliver(reg, &rows);
}

void webhook_kick(Registry *reg)
{
	if (reg->o->webhooks.n && !reg->webhooks.current && !reg->webhooks.settling && !reg->stopping) plan(reg, 0);
}

void webhook_done(Registry *reg)
{
	loop_timer_cancel(&reg->webhooks.timer);
	if (reg->webhooks.current) delivery_free(reg->webhooks.current);
	reg->webhooks.current = NULL;
}
