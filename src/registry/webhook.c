/* webhook.c: see webhook.h. */
#include "registry/service.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "base/glob.h"
#include "base/time.h"
#include "net/url.h"
#include "sys/fd.h"

enum { BODY_MAX = 8192, CA_MAX = 128 << 10, IDLE_SECONDS = 60 };

#define SECOND INT64_C(1000000000)

struct Delivery {
	Registry *reg;
	int64_t id;
	uint64_t attempts;
	char *url;
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
		log_write(reg->log, last ? LOG_ERROR : LOG_WARN, "webhook %s: %s; %s", d->url ? d->url : "", problem,
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

/* ---- the request ---- */

int webhook_check_url(const char *text, Err *e)
{
	Url url;
	int r = url_parse(str_of(text), &url, e);
	if (r < 0) return r;
	bool known = str_eq(url.scheme, "http") || str_eq(url.scheme, "https");
	if (!known || !url.host.n) return err_set(e, ERR_CONFIG, EINVAL, "%s: expected http:// or https:// and a host", text);
	if (url.user.n)
		return err_set(e, ERR_CONFIG, EINVAL, "a webhook's URL with a user or password at %.*s", (int)url.host.n, url.host.p);
	return 0;
}

static void on_answer(void *arg, const TransferEvent *ev)
{
	if (ev->kind == TRANSFER_DONE)
		finish(arg, NULL);
	else if (ev->kind == TRANSFER_FAILED)
		finish(arg, ev->message);
}

/* The authorities of a hook are read each time: they may be renewed. */
static int read_authorities(const Registry *reg, const char *url, Arena *a, const char **ret, Err *e)
{
	for (size_t i = 0; i < reg->o->webhooks.n; i++) {
		const RegistryWebhook *hook = &reg->o->webhooks.items[i];
		char *text;
		size_t n;
		if (!hook->ca || !streq(hook->url, url)) continue;
		int r = fd_read_file(AT_FDCWD, hook->ca, CA_MAX, a, &text, &n, e);
		if (r >= 0) *ret = text;
		return r;
	}
	return 0;
}

static int send_event(Delivery *d, const char *body, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(2 * CA_MAX);
	AUTO_FD int fd = memfd_create("skep-event", MFD_CLOEXEC);
	TransferEndpoint to = { .url = d->url };
	if (fd < 0) return err_sys(e, errno, "memfd_create");
	int r = fd_write_all(fd, body, strlen(body));
	if (r < 0) return err_sys(e, r, "write an event");
	if ((r = read_authorities(d->reg, d->url, &a, &to.ca, e)) < 0) return r;
	TransferRequest req = { .op = TRANSFER_POST,
				.endpoints = { &to, 1 },
				.size = strlen(body),
				.media_type = "application/vnd.docker.distribution.events.v2+json",
				.tuning = { .attempts = 1, .deadline_ms = WEBHOOK_TIMEOUT * 1000, .connect_ms = WEBHOOK_TIMEOUT * 1000 } };
	return worker_send(d->reg, &req, &(TransferFds){ .input = fd }, on_answer, d, e);
}

/* ---- the queue ---- */

static void deliver(Registry *reg, const DbRows *rows)
{
	Delivery *d = calloc(1, sizeof *d);
	if (!d) {
		plan(reg, SECOND);
		return;
	}
	Err e = ERR_INIT;
	*d = (Delivery){ .reg = reg, .id = db_row_int(rows, 0), .attempts = (uint64_t)db_row_int(rows, 3) };
	d->url = strdup(db_row_text(rows, 1));
	reg->webhooks.current = d;
	int r = d->url ? send_event(d, db_row_text(rows, 2), &e) : err_sys(&e, ENOMEM, "deliver an event");
	if (r < 0) finish(d, e.msg);
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
