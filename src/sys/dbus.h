/* dbus.h: a small D-Bus client: method calls and waiting for one signal, over a UNIX socket.
 *
 * Made for talking to systemd: over its private socket (root; no bus daemon between), over the system bus, or over the user's
 * bus. One thread, blocking, every wait has a deadline. No descriptors are passed.
 *
 * Invariants
 *  - What the peer sends is bounded (DBUS_MESSAGE_MAX) and checked before use: lengths, alignment, nesting, strings' NULs.
 *  - Messages are in the byte order of this machine; one in the other order is refused.
 *  - A DBusMessage points into the connection's buffer and is valid until the next call on the connection.
 * Specification: https://dbus.freedesktop.org/doc/dbus-specification.html (marshalling, message format, authentication).
 */
#pragma once

#include "sys/fd.h"

enum { DBUS_MESSAGE_MAX = 1 << 20, DBUS_NESTING_MAX = 16 };

/* ---- writing a body ----
 * Into a Buf that starts empty: alignment counts from its start. Strings must not hold NULs. */
void dbus_align(Buf *b, size_t to);
void dbus_put_byte(Buf *b, uint8_t v);
void dbus_put_bool(Buf *b, bool v);
void dbus_put_u32(Buf *b, uint32_t v);
void dbus_put_u64(Buf *b, uint64_t v);
void dbus_put_double(Buf *b, double v);
void dbus_put_string(Buf *b, const char *s); /* also object paths */
void dbus_put_signature(Buf *b, const char *s);
/* dbus_open_array: align is that of the items (8 for structs); the result goes to dbus_close_array. */
typedef struct DBusArray {
	size_t length_at, start;
} DBusArray;
DBusArray dbus_open_array(Buf *b, size_t align);
void dbus_close_array(Buf *b, DBusArray a);

/* ---- reading ---- */
typedef struct DBusReader {
	const uint8_t *p; /* aligned to 8 in the message */
	size_t n, at;
	bool failed; /* a read beyond the end or of something malformed: all later ones give 0 or "" */
} DBusReader;

uint8_t dbus_get_byte(DBusReader *r);
uint32_t dbus_get_u32(DBusReader *r);
uint64_t dbus_get_u64(DBusReader *r);
const char *dbus_get_string(DBusReader *r); /* s and o */
const char *dbus_get_signature(DBusReader *r);
/* dbus_skip: steps over one complete type of *signature, which moves behind it. */
void dbus_skip(DBusReader *r, const char **signature);

typedef enum { DBUS_CALL = 1, DBUS_RETURN, DBUS_ERROR, DBUS_SIGNAL } DBusType;

typedef struct DBusMessage {
	int type;
	uint32_t serial, reply_to;
	const char *path, *interface, *member, *error, *sender, *signature; /* "" when absent */
	DBusReader body;
} DBusMessage;

/* dbus_size: how many bytes the message that starts with head[0..16) has; -EPROTO or -EMSGSIZE. */
ssize_t dbus_size(const uint8_t head[static 16]) MUST_USE;
/* dbus_parse: one whole message; p aligned to 8. */
int dbus_parse(const uint8_t *p, size_t n, DBusMessage *ret) MUST_USE;

/* ---- the connection ---- */
typedef struct DBus {
	int fd;
	uint32_t serial;
	Buf in;
	size_t taken;     /* bytes of `in` that the last message occupies */
	int64_t deadline; /* of everything on this connection: CLOCK_MONOTONIC nanoseconds */
} DBus;

typedef struct DBusCall {
	const char *destination, *path, *interface, *member;
	const char *signature; /* of the body; NULL: none */
} DBusCall;

/* dbus_connect: address as in DBUS_SESSION_BUS_ADDRESS ("unix:path=/run/x;unix:abstract=y", tried in turn). hello: it is a bus
 * (false for systemd's private socket). uid: who we are to the peer, outside of any user namespace. */
int dbus_connect(DBus *b, const char *address, bool hello, uid_t uid, int64_t deadline, Err *e) MUST_USE;
/* dbus_start: the same on a connected socket, which it owns from then on. */
int dbus_start(DBus *b, int fd, bool hello, uid_t uid, int64_t deadline, Err *e) MUST_USE;
void dbus_done(DBus *b);

/* dbus_call: calls and waits for the answer. An error of the peer is ERR_IO with its text in e and its name in *ret->error (the
 * return is -EREMOTEIO); signals that come meanwhile are dropped. ret may be NULL. */
int dbus_call(DBus *b, const DBusCall *c, const Buf *body, DBusMessage *ret, Err *e) MUST_USE;
/* dbus_wait: the next message for which match returns true (it may read the body: it gets a copy of the reader). */
typedef bool DBusMatch(const DBusMessage *m, void *p);
int dbus_wait(DBus *b, DBusMatch *match, void *p, Err *e) MUST_USE;
