/* nft_expr.c: the expressions of rules. */
#include "sys/nft_impl.h"

#include <net/if.h>
#include <netinet/in.h>

/* Expr: an open expression: its item of the list, and its attributes. */
typedef struct Expr {
	size_t item, data;
} Expr;

static Expr begin(NftBatch *b, const char *name)
{
	if (!b->list) nft_fault(b, "an expression without a rule");
	Expr x = { .item = nft_open_nest(b, NFTA_LIST_ELEM) };
	nft_put_text(b, NFTA_EXPR_NAME, name);
	x.data = nft_open_nest(b, NFTA_EXPR_DATA);
	return x;
}

static void end(NftBatch *b, Expr x)
{
	nft_close_nest(b, x.data);
	nft_close_nest(b, x.item);
}

/* An expression of numbers alone. */
typedef struct Number {
	uint16_t type;
	uint32_t v;
} Number;

static void put_numbers(NftBatch *b, const char *name, const Number *l, size_t n)
{
	Expr x = begin(b, name);
	for (size_t i = 0; i < n; i++)
		nft_put_be32(b, l[i].type, l[i].v);
	end(b, x);
}

/* ---- loading ---- */

void nft_payload(NftBatch *b, uint32_t base, uint32_t offset, uint32_t n, uint32_t reg)
{
	const Number l[] = {
		{ NFTA_PAYLOAD_DREG, reg }, { NFTA_PAYLOAD_BASE, base }, { NFTA_PAYLOAD_OFFSET, offset }, { NFTA_PAYLOAD_LEN, n }
	};
	put_numbers(b, "payload", l, ARRAY_LEN(l));
}

static const struct {
	uint8_t base, offset, n;
} fields[NFT_FIELD_COUNT] = {
	[NFT_FIELD_IP_SADDR] = { NFT_PAYLOAD_NETWORK_HEADER, 12, 4 },   [NFT_FIELD_IP_DADDR] = { NFT_PAYLOAD_NETWORK_HEADER, 16, 4 },
	[NFT_FIELD_IP_PROTO] = { NFT_PAYLOAD_NETWORK_HEADER, 9, 1 },    [NFT_FIELD_IP6_SADDR] = { NFT_PAYLOAD_NETWORK_HEADER, 8, 16 },
	[NFT_FIELD_IP6_DADDR] = { NFT_PAYLOAD_NETWORK_HEADER, 24, 16 }, [NFT_FIELD_TH_SPORT] = { NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2 },
	[NFT_FIELD_TH_DPORT] = { NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2 },  [NFT_FIELD_ETHER_SADDR] = { NFT_PAYLOAD_LL_HEADER, 6, 6 },
	[NFT_FIELD_ETHER_DADDR] = { NFT_PAYLOAD_LL_HEADER, 0, 6 },
};

uint32_t nft_field(NftBatch *b, NftField f, uint32_t reg)
{
	nft_payload(b, fields[f].base, fields[f].offset, fields[f].n, reg);
	return nft_after(reg, fields[f].n);
}

void nft_meta(NftBatch *b, uint32_t key, uint32_t reg)
{
	const Number l[] = { { NFTA_META_KEY, key }, { NFTA_META_DREG, reg } };
	put_numbers(b, "meta", l, ARRAY_LEN(l));
}

void nft_ct(NftBatch *b, uint32_t key, uint32_t reg)
{
	const Number l[] = { { NFTA_CT_KEY, key }, { NFTA_CT_DREG, reg } };
	put_numbers(b, "ct", l, ARRAY_LEN(l));
}

void nft_ct_of(NftBatch *b, uint32_t key, uint8_t direction, uint32_t reg)
{
	Expr x = begin(b, "ct");
	nft_put_be32(b, NFTA_CT_KEY, key);
	nft_put_be32(b, NFTA_CT_DREG, reg);
	nft_put_u8(b, NFTA_CT_DIRECTION, direction);
	end(b, x);
}

void nft_fib(NftBatch *b, uint32_t result, uint32_t flags, uint32_t reg)
{
	const Number l[] = { { NFTA_FIB_FLAGS, flags }, { NFTA_FIB_RESULT, result }, { NFTA_FIB_DREG, reg } };
	put_numbers(b, "fib", l, ARRAY_LEN(l));
}

void nft_load(NftBatch *b, uint32_t reg, const void *p, size_t n)
{
	Expr x = begin(b, "immediate");
	nft_put_be32(b, NFTA_IMMEDIATE_DREG, reg);
	nft_put_data(b, NFTA_IMMEDIATE_DATA, p, n);
	end(b, x);
}

/* ---- judging ---- */

void nft_cmp(NftBatch *b, uint32_t reg, uint32_t op, const void *p, size_t n)
{
	Expr x = begin(b, "cmp");
	nft_put_be32(b, NFTA_CMP_SREG, reg);
	nft_put_be32(b, NFTA_CMP_OP, op);
	nft_put_data(b, NFTA_CMP_DATA, p, n);
	end(b, x);
}

void nft_range(NftBatch *b, uint32_t reg, uint32_t op, const void *from, const void *to, size_t n)
{
	Expr x = begin(b, "range");
	nft_put_be32(b, NFTA_RANGE_SREG, reg);
	nft_put_be32(b, NFTA_RANGE_OP, op);
	nft_put_data(b, NFTA_RANGE_FROM_DATA, from, n);
	nft_put_data(b, NFTA_RANGE_TO_DATA, to, n);
	end(b, x);
}

/* to: NULL: judges only. */
static void lookup(NftBatch *b, uint32_t reg, const char *set, const uint32_t *to, uint32_t flags)
{
	Expr x = begin(b, "lookup");
	nft_put_text(b, NFTA_LOOKUP_SET, set);
	nft_put_be32(b, NFTA_LOOKUP_SREG, reg);
	if (to) nft_put_be32(b, NFTA_LOOKUP_DREG, *to);
	if (flags) nft_put_be32(b, NFTA_LOOKUP_FLAGS, flags);
	end(b, x);
}

void nft_lookup(NftBatch *b, uint32_t reg, const char *set, bool inverted)
{
	lookup(b, reg, set, NULL, inverted ? NFT_LOOKUP_F_INV : 0);
}

void nft_limit(NftBatch *b, uint64_t rate, uint64_t per_seconds, uint32_t burst, bool over)
{
	Expr x = begin(b, "limit");
	nft_put_be64(b, NFTA_LIMIT_RATE, rate);
	nft_put_be64(b, NFTA_LIMIT_UNIT, per_seconds);
	nft_put_be32(b, NFTA_LIMIT_BURST, burst);
	nft_put_be32(b, NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nft_put_be32(b, NFTA_LIMIT_FLAGS, over ? NFT_LIMIT_F_INV : 0);
	end(b, x);
}

void nft_is_proto(NftBatch *b, uint32_t r, uint8_t proto)
{
	nft_meta(b, NFT_META_L4PROTO, r);
	nft_cmp(b, r, NFT_CMP_EQ, &proto, sizeof proto);
}

void nft_is_family(NftBatch *b, uint32_t r, uint8_t family)
{
	/* NFPROTO_IPV4 and NFPROTO_IPV6, which the families are named by */
	uint8_t v = family == NFT_IP ? 2 : 10;
	nft_meta(b, NFT_META_NFPROTO, r);
	nft_cmp(b, r, NFT_CMP_EQ, &v, sizeof v);
}

void nft_is_local(NftBatch *b, uint32_t r)
{
	static const uint32_t local = 2; /* RTN_LOCAL */
	nft_fib(b, NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR, r);
	nft_cmp(b, r, NFT_CMP_EQ, &local, sizeof local);
}

static void any_bit(NftBatch *b, uint32_t r, uint32_t key, uint32_t bits)
{
	static const uint32_t none = 0;
	nft_ct(b, key, r);
	nft_mask(b, r, &bits, NULL, sizeof bits);
	nft_cmp(b, r, NFT_CMP_NEQ, &none, sizeof none);
}

void nft_is_state(NftBatch *b, uint32_t r, uint32_t states)
{
	any_bit(b, r, NFT_CT_STATE, states);
}

void nft_is_status(NftBatch *b, uint32_t r, uint32_t status)
{
	any_bit(b, r, NFT_CT_STATUS, status);
}

void nft_is_ifname(NftBatch *b, uint32_t r, uint32_t key, uint32_t op, const char *name)
{
	NftValue v = { 0 };
	nft_value_add_ifname(&v, name);
	if (v.too_big) nft_fault(b, "an interface's name is too long");
	nft_meta(b, key, r);
	nft_cmp(b, r, op, v.p, IFNAMSIZ);
}

/* ---- changing ---- */

void nft_mask(NftBatch *b, uint32_t reg, const void *mask, const void *bits, size_t n)
{
	static const uint8_t none[NFT_DATA_VALUE_MAXLEN];
	if (n > sizeof none) {
		nft_fault(b, "a mask is too long");
		return;
	}
	Expr x = begin(b, "bitwise");
	nft_put_be32(b, NFTA_BITWISE_SREG, reg);
	nft_put_be32(b, NFTA_BITWISE_DREG, reg);
	nft_put_be32(b, NFTA_BITWISE_LEN, (uint32_t)n);
	nft_put_data(b, NFTA_BITWISE_MASK, mask, n);
	nft_put_data(b, NFTA_BITWISE_XOR, bits ? bits : none, n);
	end(b, x);
}

void nft_port_set(NftBatch *b, NftField f, uint8_t proto, uint32_t reg)
{
	enum { TCP_CHECKSUM = 16, UDP_CHECKSUM = 6 };
	const bool port = f == NFT_FIELD_TH_SPORT || f == NFT_FIELD_TH_DPORT, tcp = proto == IPPROTO_TCP;
	if (!port || (!tcp && proto != IPPROTO_UDP)) nft_fault(b, "a port of TCP or UDP is what can be set");
	const Number l[] = { { NFTA_PAYLOAD_SREG, reg },
			     { NFTA_PAYLOAD_BASE, fields[f].base },
			     { NFTA_PAYLOAD_OFFSET, fields[f].offset },
			     { NFTA_PAYLOAD_LEN, fields[f].n },
			     { NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET },
			     { NFTA_PAYLOAD_CSUM_OFFSET, tcp ? TCP_CHECKSUM : UDP_CHECKSUM } };
	put_numbers(b, "payload", l, ARRAY_LEN(l));
}

void nft_meta_set(NftBatch *b, uint32_t key, uint32_t reg)
{
	const Number l[] = { { NFTA_META_KEY, key }, { NFTA_META_SREG, reg } };
	put_numbers(b, "meta", l, ARRAY_LEN(l));
}

void nft_ct_set(NftBatch *b, uint32_t key, uint32_t reg)
{
	const Number l[] = { { NFTA_CT_KEY, key }, { NFTA_CT_SREG, reg } };
	put_numbers(b, "ct", l, ARRAY_LEN(l));
}

void nft_lookup_map(NftBatch *b, uint32_t reg, const char *map, uint32_t to)
{
	lookup(b, reg, map, &to, 0);
}

void nft_dynset(NftBatch *b, uint32_t op, const char *set, uint32_t key, uint32_t data, uint64_t timeout)
{
	Expr x = begin(b, "dynset");
	nft_put_text(b, NFTA_DYNSET_SET_NAME, set);
	nft_put_be32(b, NFTA_DYNSET_OP, op);
	nft_put_be32(b, NFTA_DYNSET_SREG_KEY, key);
	if (data) nft_put_be32(b, NFTA_DYNSET_SREG_DATA, data);
	if (timeout) nft_put_be64(b, NFTA_DYNSET_TIMEOUT, timeout);
	end(b, x);
}

/* ---- deciding ---- */

void nft_verdict(NftBatch *b, NftVerdict v)
{
	Expr x = begin(b, "immediate");
	nft_put_be32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	nft_put_verdict(b, NFTA_IMMEDIATE_DATA, &v);
	end(b, x);
}

void nft_verdict_map(NftBatch *b, uint32_t reg, const char *map)
{
	static const uint32_t verdict = NFT_REG_VERDICT;
	lookup(b, reg, map, &verdict, 0);
}

void nft_counter(NftBatch *b)
{
	end(b, begin(b, "counter"));
}

void nft_notrack(NftBatch *b)
{
	end(b, begin(b, "notrack"));
}

static void reject(NftBatch *b, uint32_t type, uint8_t code)
{
	Expr x = begin(b, "reject");
	nft_put_be32(b, NFTA_REJECT_TYPE, type);
	nft_put_u8(b, NFTA_REJECT_ICMP_CODE, code);
	end(b, x);
}

void nft_reject_port(NftBatch *b)
{
	reject(b, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH);
}

void nft_reject_reset(NftBatch *b)
{
	reject(b, NFT_REJECT_TCP_RST, 0);
}

static void put_given(NftBatch *b, uint16_t type, uint32_t v)
{
	if (v) nft_put_be32(b, type, v);
}

void nft_nat(NftBatch *b, const NftNat *n)
{
	Expr x = begin(b, "nat");
	nft_put_be32(b, NFTA_NAT_TYPE, n->type);
	nft_put_be32(b, NFTA_NAT_FAMILY, n->family);
	put_given(b, NFTA_NAT_REG_ADDR_MIN, n->address);
	put_given(b, NFTA_NAT_REG_ADDR_MAX, n->address_last);
	put_given(b, NFTA_NAT_REG_PROTO_MIN, n->port);
	put_given(b, NFTA_NAT_REG_PROTO_MAX, n->port_last);
	put_given(b, NFTA_NAT_FLAGS, n->flags);
	end(b, x);
}

void nft_masquerade(NftBatch *b, uint32_t flags)
{
	Expr x = begin(b, "masq");
	put_given(b, NFTA_MASQ_FLAGS, flags);
	end(b, x);
}

void nft_redirect(NftBatch *b, uint32_t port, uint32_t flags)
{
	Expr x = begin(b, "redir");
	put_given(b, NFTA_REDIR_REG_PROTO_MIN, port);
	put_given(b, NFTA_REDIR_FLAGS, flags);
	end(b, x);
}
