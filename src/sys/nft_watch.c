/* nft_watch.c: what is changed in nf_tables, by whomever. */
#include "sys/nft_impl.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "sys/fd.h"

/* Room for the notifications of the transactions of others between two looks; above it -ENOBUFS says that some are lost. */
enum { RECEIVE_ROOM = 1 << 20 };

static const struct {
	uint8_t kind;
	bool set;
	uint16_t name, handle;
} kinds[NFT_MSG_MAX] = {
	[NFT_MSG_NEWTABLE] = { NFT_TABLE_NEW, true, 0, 0 },
	[NFT_MSG_DELTABLE] = { NFT_TABLE_GONE, true, 0, 0 },
	[NFT_MSG_NEWCHAIN] = { NFT_CHAIN_NEW, true, NFTA_CHAIN_NAME, 0 },
	[NFT_MSG_DELCHAIN] = { NFT_CHAIN_GONE, true, NFTA_CHAIN_NAME, 0 },
	[NFT_MSG_NEWRULE] = { NFT_RULE_NEW, true, NFTA_RULE_CHAIN, NFTA_RULE_HANDLE },
	[NFT_MSG_DELRULE] = { NFT_RULE_GONE, true, NFTA_RULE_CHAIN, NFTA_RULE_HANDLE },
	[NFT_MSG_NEWSET] = { NFT_SET_NEW, true, NFTA_SET_NAME, 0 },
	[NFT_MSG_DELSET] = { NFT_SET_GONE, true, NFTA_SET_NAME, 0 },
	[NFT_MSG_NEWSETELEM] = { NFT_ELEMENTS_NEW, true, NFTA_SET_ELEM_LIST_SET, 0 },
	[NFT_MSG_DELSETELEM] = { NFT_ELEMENTS_GONE, true, NFTA_SET_ELEM_LIST_SET, 0 },
	[NFT_MSG_NEWGEN] = { NFT_GENERATION, true, 0, 0 },
};

static int open_watch(void)
{
	static const int room = RECEIVE_ROOM, group = NFNLGRP_NFTABLES;
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0) return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) return -errno;
	return take_fd(fd);
}

int nft_watch_open(Err *e)
{
	int fd = open_watch();
	return fd < 0 ? err_sys(e, fd, "watch changes of nf_tables") : fd;
}

/* false: it does not fit, so it is no name. */
static bool copy_name(Str attrs, uint16_t type, char to[static NFT_NAME_MAXLEN])
{
	Str s = nft_attr_text(attrs, type);
	if (s.n >= NFT_NAME_MAXLEN) return false;
	if (s.n) memcpy(to, s.p, s.n);
	to[s.n] = 0;
	return true;
}

static void take_generation(const NftMessage *m, NftEvent *ev)
{
	Str program = nft_attr_text(m->attrs, NFTA_GEN_PROC_NAME);
	size_t n = program.n < sizeof ev->program ? program.n : sizeof ev->program - 1;
	ev->generation = nft_attr_be32(m->attrs, NFTA_GEN_ID);
	ev->pid = nft_attr_be32(m->attrs, NFTA_GEN_PROC_PID);
	if (n) memcpy(ev->program, program.p, n);
}

/* 1: ev is filled, 0: nothing that is told, -EBADMSG. */
static int take_event(const NftMessage *m, NftEvent *ev)
{
	unsigned type = m->type & 0xff;
	if (m->type >> 8 != NFNL_SUBSYS_NFTABLES || type >= NFT_MSG_MAX || !kinds[type].set) return 0;
	*ev = (NftEvent){ .kind = kinds[type].kind, .family = m->family, .port = m->port };
	if (ev->kind == NFT_GENERATION) {
		take_generation(m, ev);
		return 1;
	}
	if (!copy_name(m->attrs, NFTA_TABLE_NAME, ev->table) || !ev->table[0]) return -EBADMSG;
	if (kinds[type].name && !copy_name(m->attrs, kinds[type].name, ev->name)) return -EBADMSG;
	if (kinds[type].handle) ev->handle = nft_attr_be64(m->attrs, kinds[type].handle);
	return 1;
}

int nft_watch_parse(const void *p, size_t n, NftEventFn *fn, void *data)
{
	Str rest = { p, n };
	NftMessage m;
	NftEvent ev;
	int r;
	while ((r = nft_take_message(&rest, &m)) > 0) {
		r = take_event(&m, &ev);
		if (r > 0) r = fn(&ev, data);
		if (r < 0) return r;
	}
	return r;
}

int nft_watch_read(int watch, NftEventFn *fn, void *data)
{
	_Alignas(struct nlmsghdr) char answer[NFT_ANSWER_MAX];
	bool lost = false;
	for (;;) {
		ssize_t n = nft_receive(watch, answer, sizeof answer, 0);
		if (n == -EAGAIN) return lost ? -ENOBUFS : 0;
		if (n == -ENOBUFS || n == -EMSGSIZE) {
			lost = true;
			continue;
		}
		if (n < 0) return (int)n;
		int r = nft_watch_parse(answer, (size_t)n, fn, data);
		if (r < 0) return r;
	}
}
