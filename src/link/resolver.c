/* resolver.c: the resolver and its clients, and what comes over UDP. */
#include "link/resolver.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "link/resolver_impl.h"

static const int64_t try_ns_default = INT64_C(2000000000), tcp_ns_default = INT64_C(5000000000);

static unsigned limit(unsigned asked, unsigned most)
{
	return asked && asked < most ? asked : most;
}

static void set_limits(ResolverLimits *to, const ResolverLimits *asked)
{
	*to = (ResolverLimits){
		.pending = limit(asked->pending, RESOLVER_PENDING_MAX),
		.pending_per_client = limit(asked->pending_per_client, RESOLVER_PENDING_PER_CLIENT),
		.tcp = limit(asked->tcp, RESOLVER_TCP_MAX),
		.tcp_per_client = limit(asked->tcp_per_client, RESOLVER_TCP_PER_CLIENT),
		.try_ns = asked->try_ns > 0 ? asked->try_ns : try_ns_default,
		.tcp_ns = asked->tcp_ns > 0 ? asked->tcp_ns : tcp_ns_default,
	};
}

int resolver_new(Loop *l, Names *names, const ResolverLimits *limits, Resolver **ret, Err *e)
{
	static const ResolverLimits defaults;
	Resolver *r = calloc(1, sizeof *r);
	if (!r) return err_sys(e, ENOMEM, "make a resolver");
	set_limits(&r->limits, limits ? limits : &defaults);
	r->pendings = calloc(r->limits.pending, sizeof *r->pendings);
	r->connections = calloc(r->limits.tcp, sizeof *r->connections);
	if (!r->pendings || !r->connections) {
		resolver_free(r);
		return err_sys(e, ENOMEM, "make a resolver");
	}
	r->pending_free_n = r->limits.pending;
	r->connection_free_n = r->limits.tcp;
	r->loop = l;
	r->names = names;
	*ret = r;
	return 0;
}

void resolver_free(Resolver *r)
{
	if (!r) return;
	while (r->clients)
		resolver_remove(r->clients);
	free(r->pendings);
	free(r->connections);
	free(r);
}

/* ---- UDP ---- */

static void prepare_batch(Resolver *r)
{
	for (size_t i = 0; i < RESOLVER_BATCH; i++) {
		r->in_part[i] = (struct iovec){ r->query[i], sizeof r->query[i] };
		r->in[i] = (struct mmsghdr){ .msg_hdr = {
						     .msg_name = &r->from[i],
						     .msg_namelen = sizeof r->from[i],
						     .msg_iov = &r->in_part[i],
						     .msg_iovlen = 1,
					     } };
	}
}

/* A datagram that is longer than what was read of it has its answer all the same: FORMERR. */
static ssize_t udp_answer(ResolverClient *c, const struct mmsghdr *m, const uint8_t *query, uint8_t *to)
{
	const size_t n = m->msg_len;
	if (m->msg_hdr.msg_flags & MSG_TRUNC) {
		c->r->counts.malformed++;
		return answer_code(query, n, DNS_FORMERR, to, DNS_UDP_MIN);
	}
	const ssize_t answer = answer_query(c, query, n, true, to, DNS_UDP_MAX);
	if (answer != 0) return answer;
	if (forward_query(c, query, n, m->msg_hdr.msg_name, m->msg_hdr.msg_namelen, NULL) == 0) return 0;
	return answer_code(query, n, DNS_SERVFAIL, to, DNS_UDP_MIN);
}

static void udp_out(Resolver *r, unsigned at, const struct mmsghdr *to, size_t n)
{
	r->out_part[at] = (struct iovec){ r->answer[at], n };
	r->out[at] = (struct mmsghdr){ .msg_hdr = {
					       .msg_name = to->msg_hdr.msg_name,
					       .msg_namelen = to->msg_hdr.msg_namelen,
					       .msg_iov = &r->out_part[at],
					       .msg_iovlen = 1,
				       } };
}

/* The system call itself: musl's function sends one by one. Its padding fields are zero, so the kernel reads the same numbers. What the container
 * does not take is lost, as on any network. */
static void udp_send(const ResolverClient *c, unsigned n)
{
	for (unsigned at = 0; at < n;) {
		const long sent = syscall(SYS_sendmmsg, c->udp, c->r->out + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) return;
		if (sent < 0 && errno == EINTR) continue;
		at += sent > 0 ? (unsigned)sent : 1;
	}
}

/* One batch: the loop comes back for more after the others had their turn. */
static void udp_ready(void *arg, uint32_t events)
{
	ResolverClient *c = arg;
	Resolver *r = c->r;
	unsigned out = 0;
	(void)events;
	assert(c->magic == CLIENT_MAGIC);
	prepare_batch(r);
	const int n = recvmmsg(c->udp, r->in, RESOLVER_BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && (errno == EBADF || errno == ENOTSOCK || errno == EINVAL || errno == EOPNOTSUPP))
		(void)!loop_fd_events(&c->udp_watch, 0); /* no socket to be read: not to be asked for ever */
	for (int i = 0; i < n; i++) {
		const ssize_t answer = udp_answer(c, &r->in[i], r->query[i], r->answer[out]);
		if (answer > 0) udp_out(r, out++, &r->in[i], (size_t)answer);
	}
	udp_send(c, out);
}

static void tcp_ready(void *arg, uint32_t events)
{
	(void)events;
	connection_accept(arg);
}

/* There is no flag to accept4(2) as MSG_DONTWAIT is to others. */
static int listen_nonblocking(ResolverClient *c)
{
	const int flags = fcntl(c->tcp, F_GETFL);
	if (flags < 0 || fcntl(c->tcp, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
	return loop_fd_add(c->r->loop, &c->tcp_watch, c->tcp, EPOLLIN, tcp_ready, c);
}

/* ---- clients ---- */

static int check_policy(const ResolverPolicy *policy, Err *e)
{
	for (size_t i = 0; i < policy->servers_n; i++) {
		const ResolverAddress *a = &policy->servers[i];
		const bool v4 = a->sa.sa_family == AF_INET, v6 = a->sa.sa_family == AF_INET6;
		if ((v4 && a->v4.sin_port) || (v6 && a->v6.sin6_port)) continue;
		return err_set(e, ERR_CONFIG, EINVAL, "name server %zu of container %s is no address with a port", i + 1,
			       names_id(policy->member));
	}
	return 0;
}

static void set_policy(ResolverClient *c, const ResolverPolicy *policy)
{
	c->member = policy->member;
	c->ndots_set = policy->ndots_set;
	c->servers_n = policy->servers_n < RESOLVER_SERVERS_MAX ? policy->servers_n : RESOLVER_SERVERS_MAX;
	for (size_t i = 0; i < c->servers_n; i++)
		c->servers[i] = policy->servers[i];
}

static bool same_server(const ResolverAddress *a, const ResolverAddress *b)
{
	if (a->sa.sa_family != b->sa.sa_family) return false;
	if (a->sa.sa_family == AF_INET) return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return a->v6.sin6_port == b->v6.sin6_port && a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
	       memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

/* May what is under way go on? */
static bool same_way_out(const ResolverClient *c, const ResolverPolicy *policy)
{
	const size_t n = policy->servers_n < RESOLVER_SERVERS_MAX ? policy->servers_n : RESOLVER_SERVERS_MAX;
	if (names_internal(policy->member) || n != c->servers_n) return false;
	for (size_t i = 0; i < n; i++)
		if (!same_server(&c->servers[i], &policy->servers[i])) return false;
	return true;
}

int resolver_add(Resolver *r, const ResolverPolicy *policy, int udp, int tcp, ResolverClient **ret, Err *e)
{
	int failed = check_policy(policy, e);
	if (failed < 0) return failed;
	if (r->clients_n >= RESOLVER_CLIENTS_MAX)
		return err_set(e, ERR_RESOURCE, E2BIG, "%d containers have a resolver: no more are possible", RESOLVER_CLIENTS_MAX);
	ResolverClient *c = calloc(1, sizeof *c);
	if (!c) return err_sys(e, ENOMEM, "serve names to container %s", names_id(policy->member));
	*c = (ResolverClient){ .magic = CLIENT_MAGIC, .r = r, .udp = udp, .tcp = tcp, .next = r->clients };
	if (c->next) c->next->prev = c;
	r->clients = c;
	r->clients_n++;
	set_policy(c, policy);
	failed = udp >= 0 ? loop_fd_add(r->loop, &c->udp_watch, udp, EPOLLIN, udp_ready, c) : 0;
	if (failed == 0 && tcp >= 0) failed = listen_nonblocking(c);
	if (failed < 0) {
		resolver_remove(c);
		return err_sys(e, -failed, "serve names to container %s", names_id(policy->member));
	}
	*ret = c;
	return 0;
}

static void give_up(ResolverClient *c)
{
	while (c->connections)
		connection_drop(c->connections);
	while (c->pending)
		forward_drop(c->pending);
}

int resolver_change(ResolverClient *c, const ResolverPolicy *policy, Err *e)
{
	int failed = check_policy(policy, e);
	if (failed < 0) return failed;
	if (!same_way_out(c, policy)) give_up(c);
	set_policy(c, policy);
	return 0;
}

void resolver_remove(ResolverClient *c)
{
	if (!c) return;
	assert(c->magic == CLIENT_MAGIC);
	Resolver *r = c->r;
	give_up(c);
	loop_timer_cancel(&c->accept_again);
	loop_fd_remove(&c->udp_watch);
	loop_fd_remove(&c->tcp_watch);
	if (c->prev)
		c->prev->next = c->next;
	else
		r->clients = c->next;
	if (c->next) c->next->prev = c->prev;
	r->clients_n--;
	c->magic = 0;
	free(c);
}

const ResolverCounts *resolver_counts(const Resolver *r)
{
	return &r->counts;
}

unsigned resolver_pending(const Resolver *r)
{
	return r->limits.pending - r->pending_free_n;
}

unsigned resolver_connections(const Resolver *r)
{
	return r->limits.tcp - r->connection_free_n;
}
