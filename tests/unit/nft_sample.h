/* nft_sample.h: a table as a host of containers has it: published ports by maps, source addresses hidden, traffic between bridges by a verdict map. */
#pragma once

#include <netinet/in.h>

#include "sys/nft.h"

static const NftTable sample = { NFT_INET, "skep" };

static inline void sample_sets(NftBatch *b)
{
	const NftSet sets[] = {
		{ .name = "ports",
		  .key = { NFT_TYPE_PROTO, NFT_TYPE_PORT },
		  .data = { NFT_TYPE_IPV4, NFT_TYPE_PORT },
		  .size = 65536,
		  .comment = "published" },
		{ .name = "ports6", .key = { NFT_TYPE_PROTO, NFT_TYPE_PORT }, .data = { NFT_TYPE_IPV6, NFT_TYPE_PORT } },
		{ .name = "sources", .key = { NFT_TYPE_IPV4 }, .flags = NFT_SET_INTERVAL },
		{ .name = "sources6", .key = { NFT_TYPE_IPV6 }, .flags = NFT_SET_INTERVAL },
		{ .name = "bridges", .key = { NFT_TYPE_IFNAME } },
		{ .name = "between", .key = { NFT_TYPE_IFNAME, NFT_TYPE_IFNAME }, .data = { NFT_TYPE_VERDICT } },
		{ .name = "direct", .key = { NFT_TYPE_IPV4, NFT_TYPE_PROTO, NFT_TYPE_PORT }, .size = 65536 },
		{ .name = "allowed", .key = { NFT_TYPE_IPV4, NFT_TYPE_PORT }, .flags = NFT_SET_INTERVAL },
		{ .name = "marks", .key = { NFT_TYPE_MARK }, .data = { NFT_TYPE_IPV4 } },
		{ .name = "seen", .key = { NFT_TYPE_IPV4 }, .flags = NFT_SET_EVAL | NFT_SET_TIMEOUT, .size = 128, .timeout = 10000 },
	};
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		nft_set_add(b, &sample, &sets[i]);
}

static inline void sample_port(NftBatch *b, uint16_t port, uint32_t address, uint16_t to, const char *comment)
{
	NftValue key = { 0 }, data = { 0 };
	address = htonl(address);
	nft_value_add_proto(&key, IPPROTO_TCP);
	nft_value_add_port(&key, port);
	nft_value_add(&data, &address, sizeof address);
	nft_value_add_port(&data, to);
	nft_element(b, &(NftElement){ .key = &key, .data = &data, .comment = comment });
}

static inline void sample_prefix(NftBatch *b, const char *set, const void *address, size_t n, unsigned bits)
{
	NftValue first = { 0 }, last = { 0 };
	nft_value_add_prefix(&first, &last, address, n, bits);
	nft_elements(b, NFT_ADD, &sample, set);
	nft_interval(b, &(NftElement){ .key = &first, .last = &last });
}

static inline void sample_names(NftBatch *b, const char *inside, const char *outside)
{
	NftValue one = { 0 }, out = { 0 }, in = { 0 };
	nft_value_add_ifname(&one, inside);
	nft_elements(b, NFT_ADD, &sample, "bridges");
	nft_element(b, &(NftElement){ .key = &one });
	nft_value_add_ifname(&out, inside);
	nft_value_add_ifname(&out, outside);
	nft_value_add_ifname(&in, outside);
	nft_value_add_ifname(&in, inside);
	nft_elements(b, NFT_ADD, &sample, "between");
	nft_element(b, &(NftElement){ .key = &out, .verdict = &(NftVerdict){ NFT_ACCEPT, NULL } });
	nft_element(b, &(NftElement){ .key = &in, .verdict = &(NftVerdict){ NFT_JUMP, "inwards" } });
}

static inline void sample_elements(NftBatch *b, const char *inside, const char *outside)
{
	static const uint8_t six[16] = { 0xfd, 0x88 }, four[4] = { 10, 88, 0, 0 }, ten[4] = { 10, 88, 0, 7 };
	NftValue direct = { 0 }, first = { 0 }, last = { 0 }, mark = { 0 }, to = { 0 }, port6 = { 0 }, to6 = { 0 };
	nft_elements(b, NFT_CREATE, &sample, "ports");
	sample_port(b, 8080, 0x0a580002, 80, "web");
	sample_port(b, 8443, 0x0a580002, 443, NULL);
	nft_value_add_proto(&port6, IPPROTO_UDP);
	nft_value_add_port(&port6, 53);
	nft_value_add(&to6, six, sizeof six);
	nft_value_add_port(&to6, 5353);
	nft_elements(b, NFT_ADD, &sample, "ports6");
	nft_element(b, &(NftElement){ .key = &port6, .data = &to6 });
	sample_prefix(b, "sources", four, sizeof four, 16);
	sample_prefix(b, "sources6", six, sizeof six, 64);
	sample_names(b, inside, outside);
	nft_value_add(&direct, ten, sizeof ten);
	nft_value_add_proto(&direct, IPPROTO_TCP);
	nft_value_add_port(&direct, 80);
	nft_elements(b, NFT_ADD, &sample, "direct");
	nft_element(b, &(NftElement){ .key = &direct });
	nft_value_add_prefix(&first, &last, four, sizeof four, 24);
	nft_value_add_port(&first, 1000);
	nft_value_add_port(&last, 2000);
	nft_elements(b, NFT_ADD, &sample, "allowed");
	nft_element(b, &(NftElement){ .key = &first, .last = &last });
	nft_value_add_u32(&mark, 0x1234);
	nft_value_add(&to, ten, sizeof ten);
	nft_elements(b, NFT_ADD, &sample, "marks");
	nft_element(b, &(NftElement){ .key = &mark, .data = &to });
}

/* meta l4proto . th dport in the two registers from r on. */
static inline void sample_proto_port(NftBatch *b, uint32_t r)
{
	nft_meta(b, NFT_META_L4PROTO, r);
	nft_field(b, NFT_FIELD_TH_DPORT, nft_after(r, 1));
}

static inline void sample_nat(NftBatch *b)
{
	nft_rule(b, &sample, "prerouting", &(NftRule){ .comment = "published ports" });
	nft_is_family(b, NFT_R(0), NFT_IP);
	nft_is_local(b, NFT_R(0));
	sample_proto_port(b, NFT_R(0));
	nft_lookup_map(b, NFT_R(0), "ports", NFT_R(0));
	nft_nat(b, &(NftNat){ .type = NFT_NAT_DNAT, .family = NFT_IP, .address = NFT_R(0), .port = NFT_R(1) });

	nft_rule(b, &sample, "prerouting", NULL);
	nft_is_family(b, NFT_R(0), NFT_IP6);
	nft_is_local(b, NFT_R(0));
	sample_proto_port(b, NFT_R(0));
	nft_lookup_map(b, NFT_R(0), "ports6", NFT_R(0));
	nft_nat(b, &(NftNat){ .type = NFT_NAT_DNAT, .family = NFT_IP6, .address = NFT_R(0), .port = NFT_R(4) });

	nft_rule(b, &sample, "postrouting", NULL);
	nft_is_family(b, NFT_R(0), NFT_IP);
	nft_field(b, NFT_FIELD_IP_SADDR, NFT_R(0));
	nft_lookup(b, NFT_R(0), "sources", false);
	nft_meta(b, NFT_META_OIFNAME, NFT_R(0));
	nft_lookup(b, NFT_R(0), "bridges", true);
	nft_counter(b);
	nft_masquerade(b, NFT_NAT_FULLY_RANDOM);

	nft_rule(b, &sample, "postrouting", NULL);
	nft_is_family(b, NFT_R(0), NFT_IP6);
	nft_field(b, NFT_FIELD_IP6_SADDR, NFT_R(0));
	nft_lookup(b, NFT_R(0), "sources6", false);
	nft_masquerade(b, 0);
}

static inline void sample_forward(NftBatch *b, const char *inside)
{
	nft_rule(b, &sample, "forward", NULL);
	nft_is_state(b, NFT_R(0), NFT_STATE_ESTABLISHED | NFT_STATE_RELATED);
	nft_verdict(b, (NftVerdict){ NFT_ACCEPT, NULL });

	nft_rule(b, &sample, "forward", NULL);
	nft_is_status(b, NFT_R(0), NFT_STATUS_DNAT);
	nft_verdict(b, (NftVerdict){ NFT_ACCEPT, NULL });

	nft_rule(b, &sample, "forward", NULL);
	nft_meta(b, NFT_META_IIFNAME, NFT_R(0));
	nft_meta(b, NFT_META_OIFNAME, NFT_R(4));
	nft_verdict_map(b, NFT_R(0), "between");

	nft_rule(b, &sample, "inwards", &(NftRule){ .comment = "not published" });
	nft_is_ifname(b, NFT_R(0), NFT_META_OIFNAME, NFT_CMP_EQ, inside);
	nft_is_proto(b, NFT_R(0), IPPROTO_TCP);
	nft_counter(b);
	nft_reject_reset(b);
	nft_rule(b, &sample, "inwards", NULL);
	nft_reject_port(b);

	nft_rule(b, &sample, "raw", NULL);
	nft_is_family(b, NFT_R(0), NFT_IP);
	nft_field(b, NFT_FIELD_IP_DADDR, NFT_R(0));
	sample_proto_port(b, NFT_R(1));
	nft_lookup(b, NFT_R(0), "direct", false);
	nft_verdict(b, (NftVerdict){ NFT_DROP, NULL });
}

/* The whole table, from nothing. */
static inline void sample_fill(NftBatch *b, const char *inside, const char *outside)
{
	const NftChain chains[] = {
		{ .name = "prerouting", .type = "nat", .hook = NFT_PREROUTING, .priority = -100 },
		{ .name = "postrouting", .type = "nat", .hook = NFT_POSTROUTING, .priority = 100 },
		{ .name = "forward", .type = "filter", .hook = NFT_FORWARD, .priority = 0, .drop = true },
		{ .name = "raw", .type = "filter", .hook = NFT_PREROUTING, .priority = -300, .comment = "past the host" },
		{ .name = "inwards" },
	};
	nft_label(b, "network \"web\"");
	nft_table_destroy(b, &sample);
	nft_table_add(b, &sample, 0, "managed by skep");
	for (size_t i = 0; i < sizeof chains / sizeof *chains; i++)
		nft_chain_add(b, &sample, &chains[i]);
	sample_sets(b);
	sample_elements(b, inside, outside);
	sample_nat(b);
	sample_forward(b, inside);
}
