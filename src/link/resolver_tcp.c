/* resolver_tcp.c: the connections of clients: one query after the other, each within a time. */
#include <assert.h>

#include "link/resolver_impl.h"
#include "sys/fd.h"

static void connection_run(Connection *t, bool may_read);

static void too_late(void *arg)
{
	connection_drop(arg);
}

static void connection_ready(void *arg, uint32_t events)
{
	(void)events;
	connection_run(arg, true);
}

static void next_turn(void *arg)
{
	Connection *t = arg;
	t->more = false;
	connection_run(t, false);
}

static void set_deadline(Connection *t)
{
	loop_timer_set(t->r->loop, &t->timer, loop_now(t->r->loop) + t->r->limits.tcp_ns, too_late, t);
}

void connection_drop(Connection *t)
{
	Resolver *r = t->r;
	ResolverClient *c = t->client;
	if (t->pending) forward_drop(t->pending);
	loop_timer_cancel(&t->timer);
	loop_defer_cancel(&t->next_turn);
	loop_fd_remove(&t->watch);
	t->fd = fd_close(t->fd);
	buf_done(&t->out);
	if (t->prev)
		t->prev->next = t->next;
	else
		c->connections = t->next;
	if (t->next) t->next->prev = t->prev;
	c->connections_n--;
	t->client = NULL;
	t->next = r->connection_free;
	r->connection_free = t;
	r->connection_free_n++;
}

static void connection_add(ResolverClient *c, int fd)
{
	Resolver *r = c->r;
	Connection *t = r->connection_free;
	if (c->connections_n >= r->limits.tcp_per_client || c->connections_n >= r->connection_free_n) {
		(void)fd_close(fd);
		return;
	}
	if (t)
		r->connection_free = t->next;
	else
		t = &r->connections[r->connections_used++];
	r->connection_free_n--;
	t->r = r;
	t->client = c;
	t->fd = fd;
	t->pending = NULL;
	t->running = t->ended = t->more = false;
	t->in_n = t->sent = 0;
	t->out = BUF_INIT(FRAME + DNS_MESSAGE_MAX);
	t->prev = NULL;
	t->next = c->connections;
	if (t->next) t->next->prev = t;
	c->connections = t;
	c->connections_n++;
	set_deadline(t);
	if (loop_fd_add(r->loop, &t->watch, fd, EPOLLIN, connection_ready, t) < 0) connection_drop(t);
}

static void accept_again(void *arg)
{
	ResolverClient *c = arg;
	(void)!loop_fd_events(&c->tcp_watch, EPOLLIN);
}

/* Without descriptors or memory, or on a broken listener, asking again at once would turn the loop for nothing. */
void connection_accept(ResolverClient *c)
{
	static const int64_t pause_ns = 100000000;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		const int fd = accept4(c->tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			connection_add(c, fd);
			continue;
		}
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
		if (loop_fd_events(&c->tcp_watch, 0) == 0)
			loop_timer_set(c->r->loop, &c->accept_again, loop_now(c->r->loop) + pause_ns, accept_again, c);
		return;
	}
}

/* ---- answers ---- */

/* 0: all is out; -EAGAIN: the rest waits in t->out; others: the connection is of no use. */
static int send_rest(Connection *t)
{
	while (t->sent < t->out.n) {
		const ssize_t n = send(t->fd, t->out.p + t->sent, t->out.n - t->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0) return -errno;
		t->sent += (size_t)n;
	}
	if (t->out.n) buf_done(&t->out);
	t->out = BUF_INIT(FRAME + DNS_MESSAGE_MAX);
	t->sent = 0;
	return 0;
}

/* An answer at frame + FRAME. What the socket does not take is kept: there is nothing else to send then. */
static int send_answer(Connection *t, uint8_t *frame, size_t n)
{
	assert(!t->out.n && n <= DNS_MESSAGE_MAX);
	dns_set_id(frame, (uint16_t)n);
	n += FRAME;
	set_deadline(t);
	ssize_t sent = retry_eintr(send(t->fd, frame, n, MSG_DONTWAIT | MSG_NOSIGNAL));
	if (sent == (ssize_t)n) return 0;
	if (sent < 0 && errno != EAGAIN) return -errno;
	if (sent < 0) sent = 0;
	buf_put(&t->out, frame + sent, n - (size_t)sent);
	return buf_failed(&t->out) ? -ENOMEM : -EAGAIN;
}

/* ---- queries ---- */

/* The query at the beginning of t->in. 0: answered or under way. */
static int take_query(Connection *t, size_t n)
{
	Resolver *r = t->r;
	uint8_t *query = t->in + FRAME;
	ssize_t answer = answer_query(t->client, query, n, false, r->message + FRAME, DNS_MESSAGE_MAX);
	if (answer < 0) return (int)answer;
	if (answer == 0 && forward_query(t->client, query, n, NULL, 0, t) < 0)
		answer = answer_code(query, n, DNS_SERVFAIL, r->message + FRAME, DNS_MESSAGE_MAX);
	t->in_n -= FRAME + n;
	memmove(t->in, t->in + FRAME + n, t->in_n);
	if (t->pending) loop_timer_cancel(&t->timer); /* that query has limits of its own */
	return answer > 0 ? send_answer(t, r->message, (size_t)answer) : 0;
}

/* The queries that are there, until one has to wait, or it is the turn of others. -EAGAIN: an answer is not out yet. */
static int take_queries(Connection *t)
{
	for (unsigned taken = 0; !t->pending && !t->out.n && t->in_n >= FRAME; taken++) {
		const size_t n = dns_id(t->in);
		if (n > RESOLVER_QUERY_MAX || n < DNS_HEADER) return -EBADMSG;
		if (t->in_n < FRAME + n) return 0;
		if (taken == CONNECTION_QUERIES_PER_TURN) {
			t->more = true;
			loop_defer(t->r->loop, &t->next_turn, next_turn, t);
			return 0;
		}
		int r = take_query(t, n);
		if (r < 0) return r;
	}
	return 0;
}

static int read_some(Connection *t)
{
	const ssize_t n = recv(t->fd, t->in + t->in_n, sizeof t->in - t->in_n, MSG_DONTWAIT);
	if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	t->in_n += (size_t)n;
	t->ended = n == 0;
	return 0;
}

static int connection_step(Connection *t, bool may_read)
{
	int r = send_rest(t);
	if (r == 0) r = take_queries(t);
	if (r < 0 || t->pending || t->more || !may_read) return r;
	r = read_some(t);
	return r < 0 ? r : take_queries(t);
}

/* Goes on as far as it can: once around, one read, so that a turn of the loop is short. An answer that comes while it runs is seen by itself. */
static void connection_run(Connection *t, bool may_read)
{
	if (t->running) return;
	t->running = true;
	int r = connection_step(t, may_read);
	t->running = false;
	const uint32_t events = r == -EAGAIN || t->out.n ? EPOLLOUT : t->pending || t->more ? 0 : EPOLLIN;
	if ((r < 0 && r != -EAGAIN) || (t->ended && events == EPOLLIN) || loop_fd_events(&t->watch, events) < 0) connection_drop(t);
}

/* From the forwarding side, which has let go of the query: from its callbacks, or already while connection_run() asks for it. */
void connection_answer(Connection *t, uint8_t *frame, size_t n)
{
	assert(!t->pending);
	int r = send_answer(t, frame, n);
	if (t->running && (r == 0 || r == -EAGAIN)) return;
	if (t->running) {
		t->ended = true; /* connection_run() ends it */
		return;
	}
	if (r < 0 && r != -EAGAIN)
		connection_drop(t);
	else
		connection_run(t, false);
}
