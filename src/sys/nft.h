/* nft.h: nf_tables without a library: transactions, what is in the kernel, and what others change in it.
 *
 * Invariants
 *  - All of it acts in the network namespace in which the socket was opened (nft_open, nft_watch_open), whoever uses it later.
 *  - A batch is one transaction: all of it takes effect or nothing. The functions that fill one return nothing: a batch that could not hold what
 *    it was given, or was given what cannot be said, fails as a whole in nft_commit, which then sends nothing.
 *  - Names and values are copied into the batch at once; nothing given need live longer than the call. No pointer into a batch is handed out.
 *  - Values are as packets have them: addresses, ports and protocols in network byte order. Marks, interface indices and names, states and
 *    status of connections are in host order, as their registers are. Numbers in structs of this file are in host order.
 *  - Times are milliseconds.
 *
 * Names (of tables, chains, sets) are at most NFT_NAME_MAXLEN - 1 bytes, comments at most NFT_COMMENT_MAX (nft itself takes 128).
 *
 * Errors: -EPERM without CAP_NET_ADMIN in the namespace, -EOPNOTSUPP where the kernel lacks an expression or a family, -ETIMEDOUT after 5 s without an
 * answer, -EBADMSG for an answer that is malformed. More is said with the functions.
 */
#pragma once

#include <linux/netfilter/nf_tables.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/buf.h"
#include "base/err.h"

enum { NFT_COMMENT_MAX = 254, NFT_FIELDS_MAX = 5 };

/* Families, hooks and verdicts, for they have no names in a header of the kernel that can stand beside the C library's. */
enum { NFT_INET = 1, NFT_IP = 2, NFT_ARP = 3, NFT_NETDEV = 5, NFT_BRIDGE = 7, NFT_IP6 = 10 };
enum { NFT_PREROUTING, NFT_INPUT, NFT_FORWARD, NFT_OUTPUT, NFT_POSTROUTING, NFT_INET_INGRESS, NFT_NETDEV_INGRESS = 0 };
enum { NFT_DROP = 0, NFT_ACCEPT = 1 }; /* beside NFT_RETURN, NFT_JUMP, NFT_GOTO and NFT_CONTINUE */

typedef struct NftTable {
	uint8_t family;
	const char *name;
} NftTable;

/* nft_family: "inet", "ip", …; "?" for what has no name. */
const char *nft_family(uint8_t family);

/* nft_open: a socket for nft_commit and the lists, in the caller's network namespace. -errno. */
int nft_open(Err *e) MUST_USE;

/* ---- transactions ---- */

typedef struct NftBatch {
	Buf b;             /* messages, from the beginning of the batch to the last one, which may be open */
	Buf labels;        /* number of the first message, text, NUL; and so on */
	size_t last, list; /* offsets of the last message and of its open list, 0: none */
	uint32_t base;     /* number of the beginning, messages count up from it */
	uint32_t messages, sets;
	uint32_t generation;
	const char *fault; /* why it cannot be committed */
} NftBatch;

/* NFT_BATCH_INIT(max): an empty batch of at most max bytes: 64 bytes for an element with data, 500 for a rule are plenty. */
#define NFT_BATCH_INIT(max_bytes) ((NftBatch){ .b = { .max = (max_bytes) }, .labels = { .max = (max_bytes) } })
void nft_batch_done(NftBatch *b);
#define AUTO_NFT_BATCH AUTO(nft_batch_done) NftBatch
/* nft_batch_reset: empty again, memory and ceiling kept. */
void nft_batch_reset(NftBatch *b);

/* nft_label: what the messages from now on are for; an error of one of them begins with it. */
void nft_label(NftBatch *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* nft_expect: the batch is only to take effect when nothing has changed since that generation (nft_generation). Call it first. */
void nft_expect(NftBatch *b, uint32_t generation);

/* nft_commit: sends the batch as it is, once, and waits for the answer. The batch stays as it was: it can be committed again, or added to. An empty
 * one is a success. The message of an error has the label, what was refused, and the kernel's own words where there are some.
 * -E2BIG: more than the batch was made for, -EINVAL: it was given something that cannot be said, -EMSGSIZE: more than a socket may
 * send without CAP_NET_ADMIN. -ERESTART: nft_expect does not hold; look again and make a new batch. The kernel itself repeats what met a
 * module to be loaded or another transaction; -EAGAIN is not seen.
 * Of the kernel: -ENOENT (something named is not there), -EEXIST, -EBUSY (in use), -EINVAL, -EOPNOTSUPP, … */
int nft_commit(NftBatch *b, int sock, Err *e) MUST_USE;

/* ---- tables and chains ----
 * _add succeeds when it is there already, as it is. _delete fails with -ENOENT when it is not; _destroy does not. */

/* flags: NFT_TABLE_F_DORMANT; comment: NULL for none. */
void nft_table_add(NftBatch *b, const NftTable *t, uint32_t flags, const char *comment);
void nft_table_delete(NftBatch *b, const NftTable *t);
void nft_table_destroy(NftBatch *b, const NftTable *t);

typedef struct NftChain {
	const char *name, *comment;
	const char *type;   /* "filter", "nat", "route": a base chain; NULL: one to be jumped to */
	const char *device; /* of an ingress hook */
	uint8_t hook;
	bool drop; /* what is done with packets at its end */
	int32_t priority;
} NftChain;

void nft_chain_add(NftBatch *b, const NftTable *t, const NftChain *c);
void nft_chain_delete(NftBatch *b, const NftTable *t, const char *name);
/* nft_chain_flush: its rules; of all chains of the table: name NULL. */
void nft_chain_flush(NftBatch *b, const NftTable *t, const char *name);

/* ---- sets and maps ---- */

/* NftType: what a field is; the numbers are nft's, and so that `nft list` shows the values as what they are. */
typedef enum {
	NFT_TYPE_VERDICT = 1,
	NFT_TYPE_IPV4 = 7,
	NFT_TYPE_IPV6 = 8,
	NFT_TYPE_ETHER = 9,
	NFT_TYPE_PROTO = 12, /* inet_proto, 1 byte */
	NFT_TYPE_PORT = 13,  /* inet_service, 2 bytes */
	NFT_TYPE_MARK = 19,
	NFT_TYPE_IFINDEX = 20,
	NFT_TYPE_IFNAME = 41, /* 16 bytes, the rest 0 */
} NftType;

typedef struct NftSet {
	const char *name, *comment;
	NftType key[NFT_FIELDS_MAX];  /* the fields of a concatenation up to the first 0 */
	NftType data[NFT_FIELDS_MAX]; /* a map: the same for its values, or NFT_TYPE_VERDICT alone */
	uint32_t flags;               /* NFT_SET_INTERVAL, NFT_SET_TIMEOUT, NFT_SET_EVAL (rules add to it), NFT_SET_CONSTANT */
	uint32_t size;    /* at most so many elements: 8 bytes each at once, and twice as fast as a table that grows; 0: any number */
	uint64_t timeout; /* of elements that tell none; with NFT_SET_TIMEOUT; 0: they stay */
} NftSet;

void nft_set_add(NftBatch *b, const NftTable *t, const NftSet *s);
void nft_set_delete(NftBatch *b, const NftTable *t, const char *name);
void nft_set_flush(NftBatch *b, const NftTable *t, const char *name);

/* NftValue: fields one after the other, each padded to 4 bytes, as registers and keys of concatenations are; a single one stands unpadded.
 * Empty: {0}. */
typedef struct NftValue {
	uint8_t n, fields;
	bool too_big; /* for NFT_DATA_VALUE_MAXLEN, or no interface's name */
	uint8_t p[NFT_DATA_VALUE_MAXLEN];
} NftValue;

/* nft_value_add: one more field of n bytes; the others are it for a type each. Ports are given in host order, and stored as packets have them. */
void nft_value_add(NftValue *v, const void *p, size_t n);
void nft_value_add_proto(NftValue *v, uint8_t proto);
void nft_value_add_port(NftValue *v, uint16_t port);
void nft_value_add_u32(NftValue *v, uint32_t host_order);
void nft_value_add_ifname(NftValue *v, const char *name);
/* nft_value_add_prefix: the first and the last address of n bytes (4 or 16) that share their first `bits` bits with it, one to each value. */
void nft_value_add_prefix(NftValue *first, NftValue *last, const void *address, size_t n, unsigned bits);

typedef struct NftVerdict {
	int code;          /* NFT_ACCEPT, NFT_DROP, NFT_RETURN, NFT_CONTINUE, NFT_JUMP, NFT_GOTO */
	const char *chain; /* of the last two */
} NftVerdict;

typedef struct NftElement {
	const NftValue *key;
	const NftValue *last;      /* NULL, or the last one (itself inside) of an interval that begins with key */
	const NftValue *data;      /* of a map */
	const NftVerdict *verdict; /* of a verdict map */
	uint64_t timeout;          /* 0: the set's own */
	const char *comment;
} NftElement;

/* nft_elements: the elements that follow (nft_element) are added to or taken from this set: NFT_ADD: it may be there already, with the same
 * data; NFT_CREATE: it must not; NFT_DELETE: it must. They are packed into as few messages as the 64 KiB of a list allow. */
typedef enum { NFT_ADD, NFT_CREATE, NFT_DELETE } NftVerb;
void nft_elements(NftBatch *b, NftVerb verb, const NftTable *t, const char *set);
void nft_element(NftBatch *b, const NftElement *el);
/* nft_interval: for sets with NFT_SET_INTERVAL whose key is one field: they hold an element where an interval begins and one behind its end. Keys in
 * host order are kept in network order there: swap them. Sets of concatenations take nft_element with `last`. */
void nft_interval(NftBatch *b, const NftElement *el);

/* ---- rules ---- */

typedef enum { NFT_APPEND, NFT_INSERT, NFT_REPLACE } NftPlace;
typedef struct NftRule {
	NftPlace place;
	uint64_t handle; /* behind or before that rule, or in its place; 0: at the end, at the beginning */
	const char *comment;
} NftRule;

/* nft_rule: begins one; the expressions below go into it, up to the next function above this line. how: NULL for an appended rule without comment. */
void nft_rule(NftBatch *b, const NftTable *t, const char *chain, const NftRule *how);
void nft_rule_delete(NftBatch *b, const NftTable *t, const char *chain, uint64_t handle);

/* Registers: sixteen of 4 bytes, NFT_R(0) to NFT_R(15). What is longer goes into the following ones; a concatenation is fields in registers one after
 * the other: nft_after gives the next one. */
#define NFT_R(i) (NFT_REG32_00 + (uint32_t)(i))
static inline uint32_t nft_after(uint32_t reg, size_t bytes)
{
	return reg + (uint32_t)((bytes + 3) / 4);
}

/* NftField: fields of headers, with the base, offset and length they have. */
typedef enum {
	NFT_FIELD_IP_SADDR,
	NFT_FIELD_IP_DADDR,
	NFT_FIELD_IP_PROTO,
	NFT_FIELD_IP6_SADDR,
	NFT_FIELD_IP6_DADDR,
	NFT_FIELD_TH_SPORT,
	NFT_FIELD_TH_DPORT,
	NFT_FIELD_ETHER_SADDR,
	NFT_FIELD_ETHER_DADDR,
	NFT_FIELD_COUNT
} NftField;

/* Loading. nft_field returns the register behind what it loaded. */
uint32_t nft_field(NftBatch *b, NftField f, uint32_t reg);
void nft_payload(NftBatch *b, uint32_t base, uint32_t offset, uint32_t n, uint32_t reg);
void nft_meta(NftBatch *b, uint32_t key, uint32_t reg);                     /* NFT_META_L4PROTO, … */
void nft_ct(NftBatch *b, uint32_t key, uint32_t reg);                       /* NFT_CT_STATE, … */
void nft_ct_of(NftBatch *b, uint32_t key, uint8_t direction, uint32_t reg); /* 0: original, 1: reply; NFT_CT_DST_IP, NFT_CT_PROTO_DST, … */
void nft_fib(NftBatch *b, uint32_t result, uint32_t flags, uint32_t reg);   /* NFT_FIB_RESULT_ADDRTYPE with NFTA_FIB_F_DADDR, … */
void nft_load(NftBatch *b, uint32_t reg, const void *p, size_t n);          /* a constant */

/* Judging: a rule ends where one does not hold. */
void nft_cmp(NftBatch *b, uint32_t reg, uint32_t op, const void *p, size_t n); /* NFT_CMP_EQ, NFT_CMP_NEQ, … */
void nft_range(NftBatch *b, uint32_t reg, uint32_t op, const void *from, const void *to, size_t n);
void nft_lookup(NftBatch *b, uint32_t reg, const char *set, bool inverted);
void nft_limit(NftBatch *b, uint64_t rate, uint64_t per_seconds, uint32_t burst, bool over); /* packets */
/* The usual pairs of loading to r and judging. */
void nft_is_proto(NftBatch *b, uint32_t r, uint8_t proto);                                /* meta l4proto */
void nft_is_family(NftBatch *b, uint32_t r, uint8_t family);                              /* meta nfproto: NFT_IP, NFT_IP6 */
void nft_is_local(NftBatch *b, uint32_t r);                                               /* fib daddr type local */
void nft_is_state(NftBatch *b, uint32_t r, uint32_t states);                              /* ct state: any of the bits NFT_STATE_* */
void nft_is_status(NftBatch *b, uint32_t r, uint32_t status);                             /* ct status: any of the bits IPS_* */
void nft_is_ifname(NftBatch *b, uint32_t r, uint32_t key, uint32_t op, const char *name); /* NFT_META_IIFNAME, NFT_META_OIFNAME */
enum { NFT_STATE_INVALID = 1, NFT_STATE_ESTABLISHED = 2, NFT_STATE_RELATED = 4, NFT_STATE_NEW = 8, NFT_STATE_UNTRACKED = 64 };
enum { NFT_STATUS_SNAT = 16, NFT_STATUS_DNAT = 32 };

/* Changing. nft_mask: reg = reg & mask ^ bits; bits NULL: 0. */
void nft_mask(NftBatch *b, uint32_t reg, const void *mask, const void *bits, size_t n);
/* nft_port_set: NFT_FIELD_TH_SPORT or _DPORT of a packet of that protocol (IPPROTO_TCP, _UDP), which was matched before; its checksum follows. */
void nft_port_set(NftBatch *b, NftField f, uint8_t proto, uint32_t reg);
void nft_meta_set(NftBatch *b, uint32_t key, uint32_t reg); /* NFT_META_MARK, … */
void nft_ct_set(NftBatch *b, uint32_t key, uint32_t reg);   /* NFT_CT_MARK, … */
void nft_lookup_map(NftBatch *b, uint32_t reg, const char *map, uint32_t to);
/* nft_dynset: op: NFT_DYNSET_OP_ADD, NFT_DYNSET_OP_UPDATE (begins the timeout anew). data: of a map, 0 for a set. timeout 0: the set's. */
void nft_dynset(NftBatch *b, uint32_t op, const char *set, uint32_t key, uint32_t data, uint64_t timeout);

/* Deciding. */
void nft_verdict(NftBatch *b, NftVerdict v);
void nft_verdict_map(NftBatch *b, uint32_t reg, const char *map);
void nft_counter(NftBatch *b);
void nft_notrack(NftBatch *b);
void nft_reject_port(NftBatch *b);  /* the family's "port unreachable"; in tables of NFT_INET and NFT_BRIDGE */
void nft_reject_reset(NftBatch *b); /* of TCP: match it first */

/* NftNat: addresses and ports stand in registers; 0: not given. Flags: NF_NAT_RANGE_PROTO_RANDOM, _PERSISTENT, _PROTO_RANDOM_FULLY, of which
 * the last is NFT_NAT_FULLY_RANDOM here. The rule must be one of that family: in a table of NFT_INET match it before (nft_is_family). */
enum { NFT_NAT_RANDOM = 4, NFT_NAT_PERSISTENT = 8, NFT_NAT_FULLY_RANDOM = 16 };
typedef struct NftNat {
	uint32_t type; /* NFT_NAT_SNAT, NFT_NAT_DNAT */
	uint8_t family;
	uint32_t address, address_last, port, port_last;
	uint32_t flags;
} NftNat;
void nft_nat(NftBatch *b, const NftNat *n);
void nft_masquerade(NftBatch *b, uint32_t flags);
void nft_redirect(NftBatch *b, uint32_t port, uint32_t flags); /* to this machine; port: its register, 0: the packet's own */

/* ---- what is there ----
 * Lists are of one moment: a dump during which something changed is begun anew, -EAGAIN after 20 times. All memory is the arena's. At most
 * NFT_DUMP_MAX bytes are taken from the kernel, -EFBIG above. -ENOENT when the table or set is not there. */
enum { NFT_DUMP_MAX = 64 << 20 };

typedef struct NftTableInfo {
	uint8_t family;
	uint32_t flags;
	uint64_t handle;
	const char *name, *comment; /* no comment: NULL, here and below */
} NftTableInfo;
typedef struct NftChainInfo {
	uint8_t family;
	bool base, drop;
	uint32_t hook;
	int32_t priority;
	uint64_t handle;
	const char *table, *name, *type, *device, *comment; /* type NULL: no base chain */
} NftChainInfo;
typedef struct NftRuleInfo {
	uint64_t handle;
	const char *comment;
} NftRuleInfo;
typedef struct NftElementInfo {
	Str key, last, data; /* p NULL: none */
	uint32_t flags;      /* NFT_SET_ELEM_INTERVAL_END */
	bool has_verdict;
	NftVerdict verdict;
	uint64_t timeout, expires;
	const char *comment;
} NftElementInfo;

typedef LIST_OF(NftTableInfo) NftTables;
typedef LIST_OF(NftChainInfo) NftChains;
typedef LIST_OF(NftRuleInfo) NftRules;
typedef LIST_OF(NftElementInfo) NftElements;

/* nft_list_tables, nft_list_chains: of all families. nft_list_rules: of one chain, in their order; a chain that is not there has none.
 * nft_list_elements: in no order. */
int nft_list_tables(int sock, Arena *a, NftTables *ret, Err *e) MUST_USE;
int nft_list_chains(int sock, Arena *a, NftChains *ret, Err *e) MUST_USE;
int nft_list_rules(int sock, const NftTable *t, const char *chain, Arena *a, NftRules *ret, Err *e) MUST_USE;
int nft_list_elements(int sock, const NftTable *t, const char *set, Arena *a, NftElements *ret, Err *e) MUST_USE;

/* nft_generation: a number that every transaction in the namespace changes. */
int nft_generation(int sock, uint32_t *ret, Err *e) MUST_USE;

/* The parsers behind the lists, for messages that are there: [p, p + n) are whole datagrams, one after the other. -EBADMSG, -ENOMEM. */
int nft_parse_tables(const void *p, size_t n, Arena *a, NftTables *ret) MUST_USE;
int nft_parse_chains(const void *p, size_t n, Arena *a, NftChains *ret) MUST_USE;
int nft_parse_rules(const void *p, size_t n, Arena *a, NftRules *ret) MUST_USE;
int nft_parse_elements(const void *p, size_t n, Arena *a, NftElements *ret) MUST_USE;

/* ---- what others change ---- */

typedef enum {
	NFT_TABLE_NEW,
	NFT_TABLE_GONE,
	NFT_CHAIN_NEW,
	NFT_CHAIN_GONE,
	NFT_RULE_NEW,
	NFT_RULE_GONE,
	NFT_SET_NEW,
	NFT_SET_GONE,
	NFT_ELEMENTS_NEW, /* once for each message, not for each element */
	NFT_ELEMENTS_GONE,
	NFT_GENERATION, /* ends the events of a transaction */
} NftEventKind;

typedef struct NftEvent {
	NftEventKind kind;
	uint8_t family;
	char table[NFT_NAME_MAXLEN], name[NFT_NAME_MAXLEN]; /* name: of the chain or set; "": none */
	uint64_t handle;                                    /* of a rule */
	uint32_t generation;                                /* NFT_GENERATION: the new one */
	uint32_t pid;     /* NFT_GENERATION: the thread that made it, as the first pid namespace numbers it; 0: unknown */
	char program[16]; /* NFT_GENERATION: its name */
	uint32_t port;    /* of the netlink socket that it came through: nft_port() of one's own is one's own change */
} NftEvent;

/* An event's function ends the reading by a negative errno. */
typedef int NftEventFn(const NftEvent *ev, void *data);

/* nft_watch_open: a socket that becomes readable when something changes (for poll). -errno. */
int nft_watch_open(Err *e) MUST_USE;
/* nft_watch_read: hands all that has been told to fn, without waiting. 0: all read. -ENOBUFS: events were lost, so all must be looked at; what is
 * read later is whole again. -EBADMSG, and what fn returned. */
int nft_watch_read(int watch, NftEventFn *fn, void *data) MUST_USE;
/* nft_watch_parse: the events of one datagram. */
int nft_watch_parse(const void *p, size_t n, NftEventFn *fn, void *data) MUST_USE;
/* nft_port: the number of a socket of nft_open. -errno. */
int nft_port(int sock, uint32_t *ret) MUST_USE;
