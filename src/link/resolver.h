/* resolver.h: the resolver that containers ask at 127.0.0.11. Answers the names of the table itself, forwards what else is asked.
 *
 * A client is a container's registration: a UDP socket and a TCP listener, both made in its network namespace, bound, and given to us; who it is
 * in the table of names; the servers of the host or of --dns that the rest goes to. All run on one loop, in one thread.
 *
 * What is answered, as docker does (moby, daemon/libnetwork/resolver.go: serveDNS, forwardExtDNS; sandbox.go: hasExternalAccess), RFC in dns.h:
 *  - A and AAAA of a known name: its addresses, TTL 600; NOERROR without a record when it has none of that family. MX: NOERROR without a record.
 *    PTR of a known address: "name.network". Other types of a known name, and classes other than IN, are forwarded.
 *  - Unknown names are forwarded, those of a single label too; unless ndots was set for the container and A or AAAA is asked for: then NOERROR without a record,
 *    so that the client goes on with its search list.
 *  - SERVFAIL for a client whose networks are all internal, or that has no servers. Docker does so, too, but asks servers that are not the
 *    host's own from inside the container; here nothing leaves (moby: CVE-2024-29018).
 *  - A PTR of an address of the client's own subnets that nobody has: NXDOMAIN. Docker forwards it, and so tells others what is inside.
 *  - The servers in their order, each once: the next one after SERVFAIL, REFUSED, or no answer in time (docker: 4 s, here 2 s); SERVFAIL after
 *    the last. NXDOMAIN and all other codes are the answer. Over UDP by UDP, over TCP by TCP; TC is passed on.
 *  - The query goes out as it came, EDNS and all, with another id; the reply comes back as it is, but with the id and the question of the client.
 *  - Beyond a limit: SERVFAIL at once (docker waits 4 s for its limit of 1,024, then says REFUSED).
 *
 * Who is kept from whom
 *  - A reply has to come from the address asked (the socket is connected) to the right port (random, a socket for each query) with the right id
 *    (random) and question. Anything else is dropped, and waited on.
 *  - A flood costs its sender: a bounded number of datagrams per socket and turn of the loop; `pending_per_client` queries under way, and no
 *    more than there are slots left for the others, so that each newcomer gets some; TCP connections likewise.
 *  - The hot path (known names over UDP) allocates nothing and takes two system calls for a batch of up to RESOLVER_BATCH queries.
 *  - A query of more than RESOLVER_QUERY_MAX bytes is answered FORMERR; over TCP the connection is closed.
 *  - TCP connections: one query at a time, in order, a few in a turn of the loop; `tcp_ns` for a query to arrive, for an answer to be taken.
 *
 * Invariants
 *  - Ownership: sockets are borrowed, those of the upstream side its own. The caller removes a client before he closes its sockets or removes its member.
 *  - Never blocks, whatever the flags of the sockets; all is done with MSG_DONTWAIT, and the listener gets O_NONBLOCK.
 *  - Descriptors: one for each query under way and each TCP connection, besides the clients': the caller sees to RLIMIT_NOFILE. Without a
 *    descriptor a query is answered SERVFAIL.
 *  - No globals, no logging.
 */
#pragma once

#include <netinet/in.h>

#include "base/err.h"
#include "link/names.h"
#include "sys/loop.h"

enum {
	RESOLVER_BATCH = 32,
	RESOLVER_SERVERS_MAX = 3, /* docker's; what is beyond is not asked */
	RESOLVER_QUERY_MAX = 1232,
	RESOLVER_PENDING_MAX = 1024,
	RESOLVER_PENDING_PER_CLIENT = 100,
	RESOLVER_TCP_MAX = 1024,
	RESOLVER_TCP_PER_CLIENT = 16,
	RESOLVER_CLIENTS_MAX = NAMES_MEMBERS_MAX,
};

typedef struct Resolver Resolver;
typedef struct ResolverClient ResolverClient;

/* Zero: the default. */
typedef struct ResolverLimits {
	unsigned pending, pending_per_client;
	unsigned tcp, tcp_per_client;
	int64_t try_ns; /* for each server, 2 s */
	int64_t tcp_ns; /* 5 s */
} ResolverLimits;

typedef union ResolverAddress {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
} ResolverAddress;

typedef struct ResolverPolicy {
	const NamesMember *member;
	const ResolverAddress *servers; /* copied */
	size_t servers_n;
	bool ndots_set;
} ResolverPolicy;

/* What happened since the beginning, for those who want to know. */
typedef struct ResolverCounts {
	uint64_t queries, local, forwarded, replies, refused, malformed, dropped, wrong_replies, timeouts;
} ResolverCounts;

int resolver_new(Loop *l, Names *names, const ResolverLimits *limits, Resolver **ret, Err *e) MUST_USE;
/* resolver_free: removes the clients that are left. NULL is nothing. */
void resolver_free(Resolver *r);

/* resolver_add: udp and tcp: sockets, -1 for none. -EINVAL for a server that is no IPv4 or IPv6 address with a port, -E2BIG, -ENOMEM, or of epoll. */
int resolver_add(Resolver *r, const ResolverPolicy *policy, int udp, int tcp, ResolverClient **ret, Err *e) MUST_USE;
/* resolver_change: another member, servers or ndots from the next query on. Queries under way and connections go on, unless the servers are others or all
 * networks are internal now: then they end without an answer. Fails as resolver_add() does, and has changed nothing then. */
int resolver_change(ResolverClient *c, const ResolverPolicy *policy, Err *e) MUST_USE;
/* resolver_remove: not from inside one of its callbacks: there are none. NULL is nothing. */
void resolver_remove(ResolverClient *c);

const ResolverCounts *resolver_counts(const Resolver *r);
/* resolver_pending, resolver_connections: how many there are at this moment. */
unsigned resolver_pending(const Resolver *r);
unsigned resolver_connections(const Resolver *r);
