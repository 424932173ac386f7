/* nft_impl.h: what the files of nft.h share: messages and attributes, written and read.
 *
 * Writing: a message is open from nft_message to the next one (or the commit); lengths are filled in when something is closed. Reading: a Str is
 * a view of a part of a message, already checked to lie inside it; nothing is read beyond one.
 */
#pragma once

#include "sys/nft.h"

enum { NFT_ANSWER_MAX = 32768, NFT_TIMEOUT_S = 5 };

/* nft_message: closes what is open and begins a message of the batch. type: enum nf_tables_msg_types. */
void nft_message(NftBatch *b, uint16_t type, uint16_t flags, uint8_t family);
/* nft_table_message: the same with the attributes that most begin with: the table, and a name (NULL: none) of that type. */
void nft_table_message(NftBatch *b, uint16_t type, uint16_t flags, const NftTable *t, uint16_t name_type, const char *name);
/* nft_begin: the beginning of a batch that is empty; nft_message does it. nft_request: a message alone, for which b is made empty. */
void nft_begin(NftBatch *b);
void nft_request(NftBatch *b, uint16_t type, uint16_t flags, uint8_t family);
void nft_close(NftBatch *b);
void nft_fault(NftBatch *b, const char *fault);

/* Attributes of the open message. Names are told with their NUL. nft_put_text: does nothing for NULL. */
void nft_put(NftBatch *b, uint16_t type, const void *p, size_t n);
void nft_put_u8(NftBatch *b, uint16_t type, uint8_t v);
void nft_put_be32(NftBatch *b, uint16_t type, uint32_t v);
void nft_put_be64(NftBatch *b, uint16_t type, uint64_t v);
void nft_put_text(NftBatch *b, uint16_t type, const char *s);
/* nft_put_data: a nested NFTA_DATA_VALUE. nft_put_verdict: a nested NFTA_DATA_VERDICT. */
void nft_put_data(NftBatch *b, uint16_t type, const void *p, size_t n);
void nft_put_verdict(NftBatch *b, uint16_t type, const NftVerdict *v);
/* nft_put_comment: user data of one entry, as nft writes and shows it; does nothing for NULL. */
void nft_put_comment(NftBatch *b, uint16_t type, uint8_t entry, const char *comment);
/* nft_open_nest: returns what nft_close_nest wants. */
size_t nft_open_nest(NftBatch *b, uint16_t type);
void nft_close_nest(NftBatch *b, size_t nest);

/* NftMessage: one message of the kernel. */
typedef struct NftMessage {
	uint16_t type, flags; /* as in nlmsghdr */
	uint32_t seq, port;
	uint8_t family;
	uint16_t generation; /* of a message of nf_tables: the last bits of the one that it is of */
	Str body;            /* behind the header, whole */
	Str attrs;           /* of a message of nf_tables: behind nfgenmsg */
} NftMessage;

/* nft_take_message: takes the next one off *rest. 1, 0 at the end, -EBADMSG. */
int nft_take_message(Str *rest, NftMessage *m) MUST_USE;
/* nft_is: a message of nf_tables of that type. */
bool nft_is(const NftMessage *m, uint16_t type);

/* nft_take_attr: takes the next one off *rest. 1, 0 at the end, -EBADMSG. */
int nft_take_attr(Str *rest, uint16_t *type, Str *payload) MUST_USE;
/* nft_attr: the attribute of that type, {NULL, 0}: not there or behind something malformed. nft_attr2: inside of a nested one. */
Str nft_attr(Str attrs, uint16_t type);
Str nft_attr2(Str attrs, uint16_t outer, uint16_t inner);
/* Numbers: 0 when absent or of another size. */
uint32_t nft_attr_be32(Str attrs, uint16_t type);
uint64_t nft_attr_be64(Str attrs, uint16_t type);
/* nft_attr_text: without the NUL that it ends with; {NULL, 0} when absent or without one. */
Str nft_attr_text(Str attrs, uint16_t type);

/* nft_answer_error: of NLMSG_ERROR or NLMSG_DONE: 0 or a negative errno; -EBADMSG. nft_answer_attrs: what the kernel adds in words (NLMSGERR_ATTR_*). */
int nft_answer_error(const NftMessage *m);
Str nft_answer_attrs(const NftMessage *m);

/* nft_receive: one datagram of the kernel to p, waiting up to the deadline (time_monotonic; 0: not at all). Its length, -EAGAIN, -ETIMEDOUT,
 * -ENOBUFS, -EMSGSIZE (longer than n), … */
ssize_t nft_receive(int sock, void *p, size_t n, int64_t deadline) MUST_USE;
/* nft_drain: what an earlier failure left in the socket, away; the kernel begins no dump while another one is not read to its end. */
void nft_drain(int sock);

/* nft_hold: waits for the transaction that is being made, if one is, then judges whether that generation is still the one: 0, -EINTR: it is not. */
int nft_hold(int sock, uint32_t generation) MUST_USE;
