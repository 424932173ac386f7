/* certs.h: certs.d: authorities and client certificates of registries, where docker's and podman's users keep them: in a directory of the registry's name
 * ("quay.io:443") below the user's ~/.config/containers/certs.d or ~/.config/docker/certs.d, /etc/containers/certs.d or /etc/docker/certs.d.
 */
#pragma once

#include "image/transfer_wire.h"

typedef struct Certs {
	StrList ca;             /* files with authorities to trust besides the system's */
	const char *cert, *key; /* files of our own certificate; NULL: none */
} Certs;

/* certs_find: the files for host in the first directory that is there: *.crt, and a pair *.cert and *.key: of several the first by name. */
int certs_find(const char *host, Arena *a, Certs *ret, Err *e) MUST_USE;

/* certs_read: what is in them, as skep-transfer takes it: ca, cert and key of *to; NULL without files. */
int certs_read(const Certs *c, Arena *a, TransferEndpoint *to, Err *e) MUST_USE;

/* user_config_dir: where the user has his settings of a program; NULL: nowhere. */
const char *user_config_dir(const char *name, Arena *a);
