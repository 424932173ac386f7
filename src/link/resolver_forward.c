/* resolver_forward.c: queries that go to the servers of a client: one slot and one socket each. */
#include <assert.h>
#include <sys/random.h>

#include "link/resolver_impl.h"
#include "sys/fd.h"

/* ---- slots ---- */

/* A client takes no more than it leaves: k of them that take all they can get leave a (k + 1)th part for the others. */
static Pending *pending_take(ResolverClient *c)
{
	Resolver *r = c->r;
	if (c->pending_n >= r->limits.pending_per_client || c->pending_n >= r->pending_free_n) return NULL;
	Pending *p = r->pending_free;
	if (p)
		r->pending_free = p->next;
	else
		p = &r->pendings[r->pendings_used++];
	r->pending_free_n--;
	p->r = r;
	p->client = c;
	p->prev = NULL;
	p->next = c->pending;
	if (p->next) p->next->prev = p;
	c->pending = p;
	c->pending_n++;
	return p;
}

static void close_server(Pending *p)
{
	loop_timer_cancel(&p->timer);
	loop_fd_remove(&p->watch);
	p->fd = fd_close(p->fd);
	buf_done(&p->reply);
}

void forward_drop(Pending *p)
{
	Resolver *r = p->r;
	ResolverClient *c = p->client;
	close_server(p);
	if (p->prev)
		p->prev->next = p->next;
	else
		c->pending = p->next;
	if (p->next) p->next->prev = p->prev;
	c->pending_n--;
	if (p->connection) p->connection->pending = NULL;
	p->connection = NULL;
	p->client = NULL;
	p->next = r->pending_free;
	r->pending_free = p;
	r->pending_free_n++;
}

/* ---- the way back ---- */

/* n bytes of an answer at frame + FRAME. The slot is free before the connection goes on, which may want it. */
static void deliver(Pending *p, uint8_t *frame, size_t n)
{
	Connection *t = p->connection;
	const int udp = p->client->udp;
	const ResolverAddress from = p->from;
	const socklen_t from_n = p->from_n;
	forward_drop(p);
	if (t)
		connection_answer(t, frame, n);
	else
		(void)sendto(udp, frame + FRAME, n, MSG_DONTWAIT | MSG_NOSIGNAL, &from.sa,
			     from_n); /* what the container does not take it asks for again */
}

static void deliver_failure(Pending *p)
{
	uint8_t frame[FRAME + DNS_UDP_MIN];
	dns_set_id(p->query + FRAME, p->id);
	const ssize_t n = answer_code(p->query + FRAME, p->n, DNS_SERVFAIL, frame + FRAME, DNS_UDP_MIN);
	assert(n > 0);
	p->r->counts.refused++;
	deliver(p, frame, (size_t)n);
}

/* The reply as it came, under the client's id and with its question, which it may compare byte by byte. */
static void deliver_reply(Pending *p, uint8_t *frame, size_t n)
{
	DnsQuery q;
	uint8_t *reply = frame + FRAME;
	dns_set_id(reply, p->id);
	if (reply[5] == 1 && dns_query_parse(p->query + FRAME, p->n, &q) == 0) memcpy(reply + DNS_HEADER, q.name, dns_question_size(&q));
	p->r->counts.replies++;
	deliver(p, frame, n);
}

static void ask_next(Pending *p);

/* A reply in frame + FRAME. False: it is none of ours. */
static bool take_reply(Pending *p, uint8_t *frame, size_t n)
{
	const int code = dns_reply_check(frame + FRAME, n, p->query + FRAME, p->n);
	if (code < 0) {
		p->r->counts.wrong_replies++;
		return false;
	}
	if (code == DNS_SERVFAIL || code == DNS_REFUSED)
		ask_next(p);
	else
		deliver_reply(p, frame, n);
	return true;
}

/* ---- a server ---- */

/* True when that is it, for this server at least. */
static bool udp_read(Pending *p)
{
	Resolver *r = p->r;
	for (int i = 0; i < REPLIES_PER_TURN; i++) {
		const ssize_t n = recv(p->fd, r->message + FRAME, DNS_MESSAGE_MAX, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
		if (n < 0) { /* nobody listens there */
			ask_next(p);
			return true;
		}
		if (take_reply(p, r->message, (size_t)n)) return true;
	}
	return false;
}

static void udp_ready(void *arg, uint32_t events)
{
	(void)events;
	(void)udp_read(arg);
}

/* Timers come before descriptors: when this process was late, the reply may be there already. */
static void timed_out(void *arg)
{
	Pending *p = arg;
	if (!p->connection && udp_read(p)) return;
	p->r->counts.timeouts++;
	ask_next(p);
}

/* Sends what is left of the query: 0 when all is out, -EAGAIN. */
static int tcp_send(Pending *p)
{
	while (p->sent < FRAME + p->n) {
		const ssize_t n = send(p->fd, p->query + p->sent, FRAME + p->n - p->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0) return -errno;
		p->sent += (size_t)n;
	}
	return 0;
}

/* As much of the reply as there is: 1 when it is whole, 0 when more has to come. */
static int tcp_receive(Pending *p)
{
	const size_t have = p->reply.n;
	const size_t want = have < FRAME ? FRAME : FRAME + (size_t)(uint16_t)dns_id((const uint8_t *)p->reply.p);
	if (have >= FRAME && have == want) return 1;
	char chunk[4096];
	const size_t most = want - have < sizeof chunk ? want - have : sizeof chunk;
	const ssize_t n = recv(p->fd, chunk, most, MSG_DONTWAIT);
	if (n < 0) return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
	if (n == 0) return -ECONNRESET;
	buf_put(&p->reply, chunk, (size_t)n);
	return buf_failed(&p->reply) ? -ENOMEM : 0;
}

static void tcp_ready(void *arg, uint32_t events)
{
	Pending *p = arg;
	Resolver *r = p->r;
	(void)events;
	int sent = tcp_send(p), got = -EAGAIN;
	if (sent == -EAGAIN || sent == -EINPROGRESS) return;
	if (sent == 0 && loop_fd_events(&p->watch, EPOLLIN) < 0) sent = -EIO;
	for (int i = 0; sent == 0 && i < REPLIES_PER_TURN * 4; i++) {
		got = tcp_receive(p);
		if (got != 0) break;
	}
	if (sent < 0 || (got < 0 && got != -EAGAIN)) {
		ask_next(p);
		return;
	}
	if (got != 1) return;
	const size_t n = p->reply.n - FRAME;
	memcpy(r->message, p->reply.p, p->reply.n);
	if (!take_reply(p, r->message, n)) ask_next(p); /* a stream has nothing else to say */
}

/* The kernel picks a random port for a socket that is connected before it is bound. */
static int ask_server(Pending *p, const ResolverAddress *server)
{
	const bool tcp = p->connection;
	const socklen_t n = server->sa.sa_family == AF_INET ? sizeof server->v4 : sizeof server->v6;
	p->fd = socket(server->sa.sa_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0) return -errno;
	if (connect(p->fd, &server->sa, n) < 0 && errno != EINPROGRESS) return -errno;
	if (!tcp && send(p->fd, p->query + FRAME, p->n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return -errno;
	p->sent = 0;
	p->reply = BUF_INIT(FRAME + DNS_MESSAGE_MAX);
	int r = loop_fd_add(p->r->loop, &p->watch, p->fd, tcp ? EPOLLOUT : EPOLLIN, tcp ? tcp_ready : udp_ready, p);
	if (r == 0) loop_timer_set(p->r->loop, &p->timer, loop_now(p->r->loop) + p->r->limits.try_ns, timed_out, p);
	return r;
}

static int random_id(Resolver *r)
{
	if (!r->random_n && getrandom(r->random, sizeof r->random, GRND_NONBLOCK) != (ssize_t)sizeof r->random) return -EAGAIN;
	if (!r->random_n) r->random_n = RANDOM_BATCH;
	return r->random[--r->random_n];
}

/* The next server that can be asked; without one the client is told so. Each gets another id. */
static void ask_next(Pending *p)
{
	ResolverClient *c = p->client;
	close_server(p);
	while (p->server < c->servers_n) {
		const int id = random_id(p->r);
		if (id < 0) break;
		dns_set_id(p->query + FRAME, (uint16_t)id);
		if (ask_server(p, &c->servers[p->server++]) == 0) return;
		close_server(p);
	}
	deliver_failure(p);
}

int forward_query(ResolverClient *c, const uint8_t *query, size_t n, const ResolverAddress *from, socklen_t from_n, Connection *connection)
{
	assert(n >= DNS_HEADER && n <= RESOLVER_QUERY_MAX);
	Pending *p = pending_take(c);
	if (!p) {
		c->r->counts.refused++;
		return -EBUSY;
	}
	p->connection = connection;
	if (connection) connection->pending = p;
	p->from_n = from_n;
	if (from) p->from = *from;
	p->fd = -1;
	p->server = 0;
	p->id = dns_id(query);
	p->n = n;
	dns_set_id(p->query, (uint16_t)n);
	memcpy(p->query + FRAME, query, n);
	c->r->counts.forwarded++;
	ask_next(p);
	return 0;
}
