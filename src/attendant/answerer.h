/* answerer.h: the process that answers names. It reads what containers and servers write, so it has no privileges, no files and few system calls.
 *
 * The one with the database tells it over a socket pair (SOCK_SEQPACKET), a message for each container, in the order in which it is confirmed:
 *   ADD     a Document, and the container's sockets;  CHANGE  another Document;  REMOVE;  SYNC  nothing, for its confirmation
 *   SERVE   (not confirmed) now it knows all that there are: until then nothing is answered, for who is not known yet would be thought not to be there
 * A container is named by the number of its slot. What fails changes nothing.
 *
 * Invariants
 *  - All it has it can be told again: when it dies another one is. The sockets are the containers' monitors', so questions wait in them meanwhile.
 *  - It ends with its socket.
 */
#pragma once

#include "attendant/document.h"

typedef enum { ANSWERER_ADD = 1, ANSWERER_CHANGE, ANSWERER_REMOVE, ANSWERER_SYNC, ANSWERER_SERVE } AnswererKind;

typedef struct AnswererHead {
	uint32_t kind, slot;
	uint64_t job;
} AnswererHead;

typedef struct AnswererReply {
	uint64_t job;
	int32_t code, errnum; /* of an error; 0: done */
	char message[256];
} AnswererReply;

enum { ANSWERER_SOCKETS = 2 };

/* answerer_run: in a fork of its own. Closes all descriptors but sock; returns the exit status. */
int answerer_run(int sock);
