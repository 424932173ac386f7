/* host_firewall.c: see host_firewall.h. */
#include "link/host_firewall.h"

#include <stdio.h>

#include "link/rules.h"

enum { BATCH_MAX = 1 << 16, TRIES = 16 };

static const uint32_t mark = RULES_MARK, no_bits = 0;

static bool is_foreign_forward(const NftChainInfo *c)
{
	const bool family = c->family == NFT_IP || c->family == NFT_IP6 || c->family == NFT_INET;
	return family && c->base && c->type && streq(c->type, "filter") && c->hook == NFT_FORWARD && !streq(c->table, RULES_TABLE);
}

static int has_rule(int sock, const NftChainInfo *c, Arena *a, Err *e)
{
	NftRules l;
	int r = nft_list_rules(sock, &(NftTable){ c->family, c->table }, c->name, a, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++)
		if (l.items[i].comment && streq(l.items[i].comment, HOST_FIREWALL_COMMENT)) return 1;
	return r < 0 ? r : 0;
}

static void put_rule(NftBatch *b, const NftChainInfo *c)
{
	nft_rule(b, &(NftTable){ c->family, c->table }, c->name, &(NftRule){ .place = NFT_INSERT, .comment = HOST_FIREWALL_COMMENT });
	nft_meta(b, NFT_META_MARK, NFT_R(0));
	nft_mask(b, NFT_R(0), &mark, &no_bits, sizeof mark);
	nft_cmp(b, NFT_R(0), NFT_CMP_EQ, &mark, sizeof mark);
	nft_verdict(b, (NftVerdict){ .code = NFT_ACCEPT });
}

static int open_chain(int sock, const NftChainInfo *c, uint32_t generation, Arena *a, Err *e)
{
	AUTO_NFT_BATCH b = NFT_BATCH_INIT(BATCH_MAX);
	int r = has_rule(sock, c, a, e);
	if (r != 0) return r < 0 ? r : 0;
	nft_expect(&b, generation);
	nft_label(&b, "the host's forward rules");
	put_rule(&b, c);
	r = nft_commit(&b, sock, e);
	return r < 0 ? r : 1;
}

/* One by one: a table that has an owner refuses the rules of others. */
static int open_once(int sock, Arena *a, Err *e)
{
	uint32_t generation;
	NftChains l;
	int added = 0, r = nft_generation(sock, &generation, e);
	if (r < 0 || (r = nft_list_chains(sock, a, &l, e)) < 0) return r;
	for (size_t i = 0; i < l.n; i++) {
		Err why = ERR_INIT;
		if (!is_foreign_forward(&l.items[i])) continue;
		r = open_chain(sock, &l.items[i], generation, a, &why);
		if (r < 0 && r != -EPERM && r != -EOPNOTSUPP) {
			*e = why;
			return r;
		}
		added |= r > 0;
		generation += r > 0;
	}
	return added;
}

int host_firewall_open(int sock, Arena *a, Err *e)
{
	int r = -ERESTART;
	for (int i = 0; r == -ERESTART && i < TRIES; i++) {
		*e = (Err)ERR_INIT;
		r = open_once(sock, a, e);
	}
	return r;
}

int host_firewall_is_there(int sock, Arena *a, Err *e)
{
	NftChains l;
	int r = nft_list_chains(sock, a, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++)
		if (is_foreign_forward(&l.items[i])) return 1;
	return r < 0 ? r : 0;
}

int host_firewall_decides(int sock, Arena *a, char name[static HOST_FIREWALL_NAME_MAX], Err *e)
{
	NftChains l;
	int r = nft_list_chains(sock, a, &l, e);
	for (size_t i = 0; r >= 0 && i < l.n; i++) {
		const NftChainInfo *c = &l.items[i];
		if (!is_foreign_forward(c) || !c->drop) continue;
		snprintf(name, HOST_FIREWALL_NAME_MAX, "%s %s %s", nft_family(c->family), c->table, c->name);
		return 1;
	}
	return r < 0 ? r : 0;
}
