/* redirect.c: see redirect.h. */
#include "link/redirect.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "sys/fd.h"
#include "sys/netns.h"
#include "sys/nft.h"

enum { NAMES_PORT = 53, BACKLOG = 64, BATCH_MAX = 16 << 10, BEFORE_TRACKING = -300, BEHIND_ALL = 300 };

static const uint8_t names_address[4] = { 127, 0, 0, 11 };

typedef struct Redirect {
	int fd;
	uint8_t protocol;
	in_port_t port; /* as packets have it */
} Redirect;

static int bind_one(Redirect *s)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t n = sizeof at;
	const bool tcp = s->protocol == IPPROTO_TCP;
	memcpy(&at.sin_addr, names_address, sizeof names_address);
	s->fd = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || bind(s->fd, (const void *)&at, sizeof at) < 0 || getsockname(s->fd, (void *)&at, &n) < 0) return -errno;
	if (tcp && listen(s->fd, BACKLOG) < 0) return -errno;
	s->port = at.sin_port;
	return 0;
}

/* Of a packet whose address and protocol are these: from becomes to. */
static void put_rule(NftBatch *b, const NftTable *t, const char *chain, uint8_t protocol, bool back, in_port_t from, in_port_t to)
{
	const NftField port = back ? NFT_FIELD_TH_SPORT : NFT_FIELD_TH_DPORT;
	nft_rule(b, t, chain, NULL);
	nft_field(b, back ? NFT_FIELD_IP_SADDR : NFT_FIELD_IP_DADDR, NFT_R(0));
	nft_cmp(b, NFT_R(0), NFT_CMP_EQ, names_address, sizeof names_address);
	nft_is_proto(b, NFT_R(0), protocol);
	nft_field(b, port, NFT_R(0));
	nft_cmp(b, NFT_R(0), NFT_CMP_EQ, &from, sizeof from);
	nft_load(b, NFT_R(0), &to, sizeof to);
	nft_port_set(b, port, protocol, NFT_R(0));
}

static int make_rules(const Redirect *l, size_t n, Err *e)
{
	static const NftTable table = { NFT_IP, REDIRECT_TABLE };
	static const NftChain there = { .name = "there", .type = "filter", .hook = NFT_OUTPUT, .priority = BEFORE_TRACKING },
			      back = { .name = "back", .type = "filter", .hook = NFT_OUTPUT, .priority = BEHIND_ALL };
	const in_port_t names_port = htons(NAMES_PORT);
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	AUTO_FD int sock = nft_open(e);
	if (sock < 0) return sock;
	nft_label(&b, "rules in the container that lead to its names");
	nft_table_add(&b, &table, 0, "names of this container");
	nft_chain_flush(&b, &table, NULL); /* not the table: one that goes makes the socket's close wait for a grace period, 3 to 10 ms */
	nft_chain_add(&b, &table, &there);
	nft_chain_add(&b, &table, &back);
	for (size_t i = 0; i < n; i++) {
		put_rule(&b, &table, there.name, l[i].protocol, false, names_port, l[i].port);
		put_rule(&b, &table, back.name, l[i].protocol, true, l[i].port, names_port);
	}
	return nft_commit(&b, sock, e);
}

int redirect_names(int netns, int *ret_udp, int *ret_tcp, Err *e)
{
	Redirect l[] = { { .fd = -1, .protocol = IPPROTO_UDP }, { .fd = -1, .protocol = IPPROTO_TCP } };
	int home, r = netns_enter(netns, &home);
	if (r < 0) return err_sys(e, r, "enter the container's network namespace");
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(l); i++)
		if ((r = bind_one(&l[i])) < 0) (void)!err_sys(e, r, "bind a socket for the container's names to 127.0.0.11");
	if (r >= 0) r = make_rules(l, ARRAY_LEN(l), e);
	int left = netns_return(home);
	if (left < 0) r = err_sys(e, left, "return to the own network namespace");
	if (r >= 0) {
		*ret_udp = take_fd(l[0].fd);
		*ret_tcp = take_fd(l[1].fd);
	}
	for (size_t i = 0; i < ARRAY_LEN(l); i++)
		fd_close(l[i].fd);
	return r;
}
