/* receive.h: the body of a request into an upload: read by the loop, written by one worker and hashed by another, as fast as the slowest of the three.
 *
 * Between them is a ring; when it is full, the loop stops reading from the client. What has arrived when a client goes is
 * kept: he may go on from there.
 */
#pragma once

#include "registry/service.h"

typedef enum {
	RECEIVE_CHUNK, /* PATCH: the session goes on: 202 */
	RECEIVE_LAST,  /* PUT: it becomes a blob: 201 */
	RECEIVE_WHOLE, /* POST with a digest: the same, of a session nobody else knows */
} ReceiveKind;

/* receive_start: upload is busy and the caller's until now. length: what the body must have, -1: unknown. digest: of the whole blob, for LAST and WHOLE. */
void receive_start(Request *q, Upload *upload, ReceiveKind kind, const Digest *digest, int64_t length);

/* receive_interrupt: the client is given up as if he had gone: another, who has the session's id, wants to go on. */
void receive_interrupt(Receive *r);
