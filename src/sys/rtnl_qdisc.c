/* rtnl_qdisc.c: token buckets at the root of a device; see rtnl.h. */
#include <linux/if_ether.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "sys/rtnl_impl.h"

enum {
	LATENCY_MS = 50,
	BURST_PART = 50,     /* of a second */
	BURST_LEAST = 65536, /* a segment of TCP as the stack hands it down: smaller, and each is cut in software */
	TICK_NS = 64,        /* what the kernel counts time of buckets in (PSCHED_SHIFT) */
	HANDLE = 0x10000,    /* "1:" */
};

static uint32_t least(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static void put_bucket(Buf *m, const RtTbf *t)
{
	uint64_t part = t->rate / BURST_PART;
	uint32_t burst = t->burst ? t->burst : part > BURST_LEAST ? least(part) : BURST_LEAST;
	uint64_t latency = t->latency_ms ? t->latency_ms : LATENCY_MS;
	/* whole and broken thousands apart: no product above 64 bits */
	uint64_t waiting = t->rate / 1000 > UINT32_MAX ? UINT32_MAX : t->rate / 1000 * latency + t->rate % 1000 * latency / 1000;
	const struct tc_tbf_qopt q = {
		.rate = { .linklayer = TC_LINKLAYER_ETHERNET, .rate = least(t->rate) },
		.limit = least(waiting + burst),
		.buffer = least((uint64_t)(burst * 1e9 / (double)t->rate) / TICK_NS),
	};
	size_t options = nl_nest(m, TCA_OPTIONS);
	nl_put(m, TCA_TBF_PARMS, &q, sizeof q);
	nl_put_u32(m, TCA_TBF_BURST, burst);
	if (t->rate > UINT32_MAX) nl_put(m, TCA_TBF_RATE64, &t->rate, sizeof t->rate);
	nl_nest_end(m, options);
}

static bool index_ok(RtBatch *b, const char *label, int index)
{
	if (index <= 0) rtnl_bad(b, label, "not an index of a network device");
	return index > 0;
}

void rtnl_tbf_set(RtBatch *b, const char *label, int index, const RtTbf *t)
{
	const struct tcmsg head = { .tcm_family = AF_UNSPEC, .tcm_ifindex = index, .tcm_handle = HANDLE, .tcm_parent = TC_H_ROOT };
	if (!index_ok(b, label, index)) return;
	if (!t->rate || (t->burst && t->burst < ETH_FRAME_LEN)) {
		rtnl_bad(b, label, "a limit needs a rate, and a burst of a frame at least");
		return;
	}
	size_t request = rtnl_begin(&b->first, label, "tbf", RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
	nl_put_str(&b->first.out, TCA_KIND, "tbf");
	put_bucket(&b->first.out, t);
	rtnl_end(&b->first, request);
}

void rtnl_tbf_delete(RtBatch *b, const char *label, int index)
{
	const struct tcmsg head = { .tcm_family = AF_UNSPEC, .tcm_ifindex = index, .tcm_handle = HANDLE, .tcm_parent = TC_H_ROOT };
	if (!index_ok(b, label, index)) return;
	rtnl_end(&b->first, rtnl_begin(&b->first, label, NULL, RTM_DELQDISC, 0, &head, sizeof head));
}
