/* test_redirect.c: what is sent to 127.0.0.11:53 of a namespace arrives at the sockets, and answers come from there, whatever else the container does. */
#include "child.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "link/redirect.h"
#include "sys/fd.h"
#include "sys/netns.h"
#include "sys/nft.h"

enum { WAIT_MS = 2000, NAMES_PORT = 53 };

static struct sockaddr_in at(const char *address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	a.sin_addr.s_addr = inet_addr(address);
	return a;
}

static int readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, WAIT_MS) == 1;
}

/* What a client in the namespace of the caller sends to there comes to the socket, and the answer comes from where it was sent to. */
static int udp_goes_round(int server, const char *address)
{
	const struct sockaddr_in to = at(address, NAMES_PORT);
	struct sockaddr_in from = { 0 }, answers = { 0 };
	socklen_t n = sizeof from, n_answers = sizeof answers;
	char text[8];
	AUTO_FD int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	NEED(sendto(client, "ask", 3, 0, (const void *)&to, sizeof to) == 3);
	NEED(readable(server) && recvfrom(server, text, sizeof text, 0, (void *)&from, &n) == 3);
	NEED(sendto(server, "tell", 4, 0, (const void *)&from, n) == 4);
	NEED(readable(client) && recvfrom(client, text, sizeof text, 0, (void *)&answers, &n_answers) == 4);
	NEED(answers.sin_addr.s_addr == to.sin_addr.s_addr && answers.sin_port == to.sin_port);
	return 0;
}

static int tcp_goes_round(int server)
{
	const struct sockaddr_in to = at("127.0.0.11", NAMES_PORT);
	struct sockaddr_in other;
	socklen_t n = sizeof other;
	char bytes[65536];
	size_t sent = 0, got = 0;
	AUTO_FD int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	NEED(connect(client, (const void *)&to, sizeof to) == 0);
	NEED(getpeername(client, (void *)&other, &n) == 0 && other.sin_port == htons(NAMES_PORT));
	NEED(readable(server));
	AUTO_FD int accepted = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	NEED(accepted >= 0);
	memset(bytes, 'x', sizeof bytes);
	for (; sent < sizeof bytes; sent += 32768)
		NEED(send(client, bytes + sent, 32768, 0) == 32768);
	while (got < sizeof bytes) {
		ssize_t part = recv(accepted, bytes, sizeof bytes, 0);
		NEED(part > 0);
		got += (size_t)part;
	}
	NEED(send(accepted, "tell", 4, 0) == 4);
	NEED(readable(client) && recv(client, bytes, sizeof bytes, 0) == 4);
	NEED(shutdown(client, SHUT_WR) == 0);
	NEED(readable(accepted) && recv(accepted, bytes, sizeof bytes, 0) == 0);
	return 0;
}

/* A fresh namespace with its redirection, in which the caller is then. */
static int enter(int *udp, int *tcp)
{
	Err e = ERR_INIT;
	AUTO_FD int netns = -1;
	int home;
	NEED_OK(netns_new(&netns, &e));
	NEED_OK(redirect_names(netns, udp, tcp, &e));
	NEED(netns_enter(netns, &home) == 0);
	return 0;
}

static int both_ways(void)
{
	int udp = -1, tcp = -1;
	if (enter(&udp, &tcp)) return 1;
	for (int i = 0; i < 3; i++)
		if (udp_goes_round(udp, "127.0.0.11") || tcp_goes_round(tcp)) return 1;
	return 0;
}

static int bind_any(int type)
{
	const struct sockaddr_in any = at("0.0.0.0", NAMES_PORT);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (bind(fd, (const void *)&any, sizeof any) < 0) return -1;
	return type == SOCK_DGRAM || listen(fd, 1) == 0 ? fd : -1;
}

static int own_server(void)
{
	int udp = -1, tcp = -1;
	if (enter(&udp, &tcp)) return 1;
	AUTO_FD int own = bind_any(SOCK_DGRAM), own_tcp = bind_any(SOCK_STREAM);
	NEED(own >= 0 && own_tcp >= 0);
	return udp_goes_round(own, "127.0.0.1") || udp_goes_round(udp, "127.0.0.11") || tcp_goes_round(tcp);
}

/* A firewall in the container that lets in only what it has asked for. */
static int tracked(void)
{
	static const NftTable table = { NFT_IP, "firewall" };
	Err e = ERR_INIT;
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(65536);
	int udp = -1, tcp = -1;
	if (enter(&udp, &tcp)) return 1;
	AUTO_FD int sock = nft_open(&e);
	nft_table_add(&b, &table, 0, NULL);
	nft_chain_add(&b, &table, &(NftChain){ .name = "in", .type = "filter", .hook = NFT_INPUT, .drop = true });
	nft_rule(&b, &table, "in", NULL);
	nft_is_state(&b, NFT_R(0), NFT_STATE_ESTABLISHED | NFT_STATE_RELATED);
	nft_verdict(&b, (NftVerdict){ .code = NFT_ACCEPT });
	nft_rule(&b, &table, "in", NULL);
	nft_field(&b, NFT_FIELD_IP_DADDR, NFT_R(0));
	nft_cmp(&b, NFT_R(0), NFT_CMP_EQ, "\x7f\0\0\x0b", 4);
	nft_is_state(&b, NFT_R(0), NFT_STATE_NEW);
	nft_verdict(&b, (NftVerdict){ .code = NFT_ACCEPT });
	NEED_OK(nft_commit(&b, sock, &e));
	return udp_goes_round(udp, "127.0.0.11") || tcp_goes_round(tcp);
}

/* Where somebody has made one before: a container that is started again in a namespace that stayed. */
static int made_anew(void)
{
	Err e = ERR_INIT;
	AUTO_FD int netns = -1;
	int udp[2] = { -1, -1 }, tcp[2] = { -1, -1 }, home;
	NEED_OK(netns_new(&netns, &e));
	for (int i = 0; i < 2; i++)
		NEED_OK(redirect_names(netns, &udp[i], &tcp[i], &e));
	NEED(netns_enter(netns, &home) == 0);
	return udp_goes_round(udp[1], "127.0.0.11") || tcp_goes_round(tcp[1]);
}

static int no_namespace(void)
{
	Err e = ERR_INIT;
	int udp, tcp;
	NEED(redirect_names(0, &udp, &tcp, &e) < 0);
	NEED(strstr(e.msg, "enter the container's network namespace"));
	return 0;
}

#define TEST(f) \
	static void test_##f(void **state) \
	{ \
		(void)state; \
		need_root(); \
		in_child(f); \
	}
TEST(both_ways)
TEST(own_server)
TEST(tracked)
TEST(made_anew)
TEST(no_namespace)

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_both_ways), cmocka_unit_test(test_own_server),
					    cmocka_unit_test(test_tracked), cmocka_unit_test(test_made_anew),
					    cmocka_unit_test(test_no_namespace) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
