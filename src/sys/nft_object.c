/* nft_object.c: tables, chains and the heads of rules. */
#include "sys/nft_impl.h"

#include <linux/netlink.h>

/* Entries of user data, as nft numbers them: the comment is the first of all but sets. */
enum { USERDATA_COMMENT = 0 };

/* ---- tables ---- */

void nft_table_add(NftBatch *b, const NftTable *t, uint32_t flags, const char *comment)
{
	nft_table_message(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, t, 0, NULL);
	nft_put_be32(b, NFTA_TABLE_FLAGS, flags);
	nft_put_comment(b, NFTA_TABLE_USERDATA, USERDATA_COMMENT, comment);
}

void nft_table_delete(NftBatch *b, const NftTable *t)
{
	nft_table_message(b, NFT_MSG_DELTABLE, 0, t, 0, NULL);
}

/* The kernel has a message of its own for it since Linux 6.3. */
void nft_table_destroy(NftBatch *b, const NftTable *t)
{
	nft_table_message(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, t, 0, NULL);
	nft_table_delete(b, t);
}

/* ---- chains ---- */

void nft_chain_add(NftBatch *b, const NftTable *t, const NftChain *c)
{
	nft_table_message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, t, NFTA_CHAIN_NAME, c->name);
	nft_put_comment(b, NFTA_CHAIN_USERDATA, USERDATA_COMMENT, c->comment);
	if (!c->type) return;
	size_t hook = nft_open_nest(b, NFTA_CHAIN_HOOK);
	nft_put_be32(b, NFTA_HOOK_HOOKNUM, c->hook);
	nft_put_be32(b, NFTA_HOOK_PRIORITY, (uint32_t)c->priority);
	nft_put_text(b, NFTA_HOOK_DEV, c->device);
	nft_close_nest(b, hook);
	nft_put_be32(b, NFTA_CHAIN_POLICY, c->drop ? NFT_DROP : NFT_ACCEPT);
	nft_put_text(b, NFTA_CHAIN_TYPE, c->type);
}

void nft_chain_delete(NftBatch *b, const NftTable *t, const char *name)
{
	nft_table_message(b, NFT_MSG_DELCHAIN, 0, t, NFTA_CHAIN_NAME, name);
}

void nft_chain_flush(NftBatch *b, const NftTable *t, const char *name)
{
	nft_table_message(b, NFT_MSG_DELRULE, 0, t, NFTA_RULE_CHAIN, name);
}

/* ---- rules ---- */

void nft_rule(NftBatch *b, const NftTable *t, const char *chain, const NftRule *how)
{
	static const uint16_t flags[] = {
		[NFT_APPEND] = NLM_F_CREATE | NLM_F_APPEND, [NFT_INSERT] = NLM_F_CREATE, [NFT_REPLACE] = NLM_F_REPLACE
	};
	static const NftRule plain = { .place = NFT_APPEND };
	if (!how) how = &plain;
	nft_table_message(b, NFT_MSG_NEWRULE, flags[how->place], t, NFTA_RULE_CHAIN, chain);
	if (how->handle) nft_put_be64(b, how->place == NFT_REPLACE ? NFTA_RULE_HANDLE : NFTA_RULE_POSITION, how->handle);
	nft_put_comment(b, NFTA_RULE_USERDATA, USERDATA_COMMENT, how->comment);
	b->list = nft_open_nest(b, NFTA_RULE_EXPRESSIONS);
}

void nft_rule_delete(NftBatch *b, const NftTable *t, const char *chain, uint64_t handle)
{
	nft_table_message(b, NFT_MSG_DELRULE, 0, t, NFTA_RULE_CHAIN, chain);
	nft_put_be64(b, NFTA_RULE_HANDLE, handle);
}
