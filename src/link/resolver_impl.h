/* resolver_impl.h: between resolver.c (clients, UDP), resolver_answer.c (what is known), resolver_forward.c (what is asked elsewhere) and
 * resolver_tcp.c (connections of clients). */
#pragma once

#include <sys/socket.h>

#include "base/buf.h"
#include "link/resolver.h"
#include "net/dns.h"

enum {
	ACCEPTS_PER_TURN = 4,
	REPLIES_PER_TURN = 4,
	CONNECTION_QUERIES_PER_TURN = 2,
	RANDOM_BATCH = 64,
	FRAME = 2, /* the length before a message on TCP (RFC 1035 4.2.2) */
	CLIENT_MAGIC = 0x444e5343,
};

typedef struct Pending Pending;
typedef struct Connection Connection;

/* A query under way. Free ones are chained by next. */
struct Pending {
	Resolver *r;
	ResolverClient *client;
	Pending *prev, *next;
	Connection *connection; /* that asked; NULL: asked over UDP, from `from` */
	ResolverAddress from;
	socklen_t from_n;
	LoopFd watch;
	LoopTimer timer;
	int fd;
	size_t server;
	uint16_t id; /* the client's */
	size_t n, sent;
	Buf reply; /* over TCP, as it comes in */
	uint8_t query[FRAME + RESOLVER_QUERY_MAX];
};

/* A client's TCP connection. Free ones are chained by next. */
struct Connection {
	Resolver *r;
	ResolverClient *client;
	Connection *prev, *next;
	Pending *pending; /* the query that is under way: nothing more is read meanwhile */
	LoopFd watch;
	LoopTimer timer;
	int fd;
	bool running, ended, more; /* more: there are queries in `in` for the next turn */
	LoopDefer next_turn;
	size_t in_n, sent;
	Buf out;
	uint8_t in[FRAME + RESOLVER_QUERY_MAX];
};

struct ResolverClient {
	uint32_t magic;
	Resolver *r;
	ResolverClient *prev, *next;
	const NamesMember *member;
	ResolverAddress servers[RESOLVER_SERVERS_MAX];
	size_t servers_n;
	bool ndots_set;
	int udp, tcp;
	LoopFd udp_watch, tcp_watch;
	LoopTimer accept_again;
	Pending *pending;
	Connection *connections;
	unsigned pending_n, connections_n;
};

struct Resolver {
	Loop *loop;
	Names *names;
	ResolverLimits limits;
	ResolverCounts counts;
	ResolverClient *clients;
	size_t clients_n;
	Pending *pendings, *pending_free; /* slots; those that have been used, and are free */
	Connection *connections, *connection_free;
	unsigned pendings_used, connections_used; /* slots beyond were never touched, and so take no memory */
	unsigned pending_free_n, connection_free_n;
	uint16_t random[RANDOM_BATCH];
	size_t random_n;
	/* a batch of UDP: in, and the answers that go out */
	struct mmsghdr in[RESOLVER_BATCH], out[RESOLVER_BATCH];
	struct iovec in_part[RESOLVER_BATCH], out_part[RESOLVER_BATCH];
	ResolverAddress from[RESOLVER_BATCH];
	uint8_t query[RESOLVER_BATCH][RESOLVER_QUERY_MAX];
	uint8_t answer[RESOLVER_BATCH][DNS_UDP_MAX];
	/* one message of any size, and the addresses for it */
	uint8_t message[FRAME + DNS_MESSAGE_MAX];
	uint8_t addresses[DNS_MESSAGE_MAX];
};

/* ---- resolver_answer.c ---- */

/* answer_query: what a client is told. The length of the answer in to (to_max bytes, at least DNS_UDP_MIN); 0: to be forwarded; -EBADMSG: not to be answered.
 * udp: the answer is truncated to what the query says its sender takes. */
ssize_t answer_query(ResolverClient *c, const uint8_t *p, size_t n, bool udp, uint8_t *to, size_t to_max) MUST_USE;
/* answer_code: an answer without records. -EBADMSG as above. */
ssize_t answer_code(const uint8_t *p, size_t n, unsigned code, uint8_t *to, size_t to_max) MUST_USE;

/* ---- resolver_forward.c ---- */

/* forward_query: asks the servers of a client. from: of a datagram; connection: where the query came over TCP. 0: there will be an answer, or was
 * one already; -EBUSY: no room for it. */
int forward_query(ResolverClient *c, const uint8_t *p, size_t n, const ResolverAddress *from, socklen_t from_n,
		  Connection *connection) MUST_USE;
/* forward_drop: gives a query up, without an answer. */
void forward_drop(Pending *p);

/* ---- resolver_tcp.c ---- */

void connection_accept(ResolverClient *c);
void connection_drop(Connection *t);
/* connection_answer: the answer to its pending query: n bytes behind FRAME bytes of room at frame. */
void connection_answer(Connection *t, uint8_t *frame, size_t n);
