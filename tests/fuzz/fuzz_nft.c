/* fuzz_nft.c: no message of nf_tables, whatever its bytes, is read beyond its end; what is taken has its names, and no value is longer than a register. */
#include "fuzz.h"
#include "sys/nft_impl.h"

static int judge_event(const NftEvent *ev, void *data)
{
	(void)data;
	assert(memchr(ev->table, 0, sizeof ev->table) && memchr(ev->name, 0, sizeof ev->name) &&
	       memchr(ev->program, 0, sizeof ev->program));
	assert(ev->kind == NFT_GENERATION || ev->table[0]);
	return 0;
}

static void judge_elements(const NftElements *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const NftElementInfo *el = &l->items[i];
		assert(el->key.n <= NFT_DATA_VALUE_MAXLEN && el->last.n <= NFT_DATA_VALUE_MAXLEN && el->data.n <= NFT_DATA_VALUE_MAXLEN);
		assert(el->key.p || el->flags & NFT_SET_ELEM_CATCHALL);
		bool jumps = el->has_verdict && (el->verdict.code == NFT_JUMP || el->verdict.code == NFT_GOTO);
		assert(jumps == (el->verdict.chain != NULL));
	}
}

static void judge_lists(const char *p, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	NftTables tables;
	NftChains chains;
	NftRules rules;
	NftElements elements;
	if (nft_parse_tables(p, n, &a, &tables) == 0)
		for (size_t i = 0; i < tables.n; i++)
			assert(tables.items[i].name[0] && strlen(tables.items[i].name) < NFT_NAME_MAXLEN);
	if (nft_parse_chains(p, n, &a, &chains) == 0)
		for (size_t i = 0; i < chains.n; i++)
			assert(chains.items[i].table[0] && chains.items[i].name[0] &&
			       chains.items[i].base == (chains.items[i].type != NULL));
	if (nft_parse_rules(p, n, &a, &rules) == 0)
		for (size_t i = 0; i < rules.n; i++)
			assert(rules.items[i].handle);
	if (nft_parse_elements(p, n, &a, &elements) == 0) judge_elements(&elements);
}

static void judge_answers(const char *p, size_t n)
{
	Str rest = { p, n };
	NftMessage m;
	while (nft_take_message(&rest, &m) > 0) {
		assert(nft_answer_error(&m) <= 0);
		Str attrs = nft_answer_attrs(&m), payload;
		uint16_t type;
		while (nft_take_attr(&attrs, &type, &payload) > 0)
			assert(payload.p >= p && payload.p + payload.n <= p + n);
	}
	assert(rest.p >= p && rest.p + rest.n == p + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_FREE char *exact = malloc(n ? n : 1); /* no byte behind it */
	assert(exact);
	if (n) memcpy(exact, data, n);
	judge_lists(exact, n);
	judge_answers(exact, n);
	assert(nft_watch_parse(exact, n, judge_event, NULL) <= 0);
	return 0;
}
