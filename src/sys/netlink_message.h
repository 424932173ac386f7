/* netlink_message.h: messages of netlink sockets: written, sent, their answers taken apart. For modules of sys/ that speak to the kernel so.
 *
 * Invariants
 *  - A Buf of messages holds whole ones, each aligned to 4 bytes; one that has failed (its maximum) is never sent.
 *  - What is read is bounded by the datagram it came in: no length in it is believed. Only the kernel (port 0) is listened to.
 *  - Every wait for an answer ends after NL_TIMEOUT_S.
 */
#pragma once

#include <linux/netlink.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	NL_TIMEOUT_S = 5,
	NL_ANSWER_MAX = 32768, /* the kernel fills dumps up to this */
};

/* nl_open: a socket of that protocol (NETLINK_ROUTE, …) in the caller's network namespace; the texts with errors are asked for, and that
 * acknowledgements do not repeat the request. -errno. */
int nl_open(int protocol) MUST_USE;

/* ---- writing ---- */

/* nl_begin: a message with that fixed part; what it returns goes to nl_end, which writes its length. NLM_F_REQUEST is added. */
size_t nl_begin(Buf *b, uint16_t type, uint16_t flags, const void *fixed, size_t n);
void nl_end(Buf *b, size_t message);
/* nl_put: an attribute. nl_put_str: with its NUL. */
void nl_put(Buf *b, uint16_t type, const void *p, size_t n);
void nl_put_u16(Buf *b, uint16_t type, uint16_t v);
void nl_put_u32(Buf *b, uint16_t type, uint32_t v);
void nl_put_str(Buf *b, uint16_t type, const char *s);
/* nl_nest: an attribute that holds others, up to nl_nest_end. */
size_t nl_nest(Buf *b, uint16_t type) MUST_USE;
void nl_nest_end(Buf *b, size_t nest);
/* nl_align: to the next multiple of 4, after something that was put by hand. */
void nl_align(Buf *b);

/* ---- reading ---- */

/* nl_find: the payload of the attribute of that type among those in [p, p + n), NULL when there is none; *ret_n: its size. */
const void *nl_find(const void *p, size_t n, uint16_t type, size_t *ret_n);
/* nl_attrs: the attributes of a message whose fixed part has that size; *ret_n is 0 when it is too short. */
const void *nl_attrs(const struct nlmsghdr *h, size_t fixed, size_t *ret_n);
/* nl_u32: the number of an attribute; 0 when there is none, or too short a one. */
uint32_t nl_u32(const void *attrs, size_t n, uint16_t type);

/* nl_ack: the error of an acknowledgement, 0 for none, what and the kernel's own words in e. */
int nl_ack(const struct nlmsghdr *h, const char *what, Err *e) MUST_USE;

/* NlAnswerFn: is given each message of an answer; one below 0 ends the reading with that errno. */
typedef int NlAnswerFn(const struct nlmsghdr *h, void *data);
enum {
	NL_LAST = 1,        /* that was the end of the answer */
	NL_INTERRUPTED = 2, /* the list changed while it was read: ask again */
};
/* nl_answers: the messages of one datagram at p, aligned to 4, that answer the request seq, each to fn (may be NULL). Returns NL_LAST and
 * NL_INTERRUPTED as bits, or -errno. */
int nl_answers(const char *p, size_t n, uint32_t seq, NlAnswerFn *fn, void *data, const char *what, Err *e) MUST_USE;
/* nl_receive: one datagram of the kernel into answer. Returns its size. deadline: CLOCK_MONOTONIC nanoseconds; -ETIMEDOUT. */
ssize_t nl_receive(int sock, char answer[static NL_ANSWER_MAX], int64_t deadline, const char *what, Err *e) MUST_USE;
int64_t nl_deadline(void);

/* nl_talk: sends the one message of q, and hands its answers to fn (may be NULL) up to the acknowledgement or the end of the list.
 * Returns 0, NL_INTERRUPTED, or -errno; what begins the message. */
int nl_talk(int sock, Buf *q, NlAnswerFn *fn, void *data, const char *what, Err *e) MUST_USE;
