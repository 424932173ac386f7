/* endpoints.h: from a reference to the registries to ask, with who we are there. */
#pragma once

#include "cli/skep/commands.h"
#include "image/docker_config.h"
#include "image/transfer_wire.h"
#include "oci/reference.h"

typedef struct Endpoints {
	const TransferEndpoint *items;
	size_t n;
} Endpoints;

/* endpoints_find: by registries.conf, certs.d and config.json. */
int endpoints_find(const Invocation *in, const Reference *ref, Endpoints *ret, Err *e) MUST_USE;

/* endpoints_of: the same for a registry itself (no repository, no mirrors), with the credential to be tried there; its strings are borrowed. */
int endpoints_of(const Invocation *in, const char *registry, const Credential *who, Endpoints *ret, Err *e) MUST_USE;

/* endpoints_expand: a name as the user typed it: an alias or a search registry's for one without a registry (registries.conf). */
int endpoints_expand(const Invocation *in, const char *name, Reference *ret, Err *e) MUST_USE;

/* endpoints_tuning: --tuning NAME=NUMBER: for tests: how patient the worker is. */
int endpoints_tuning(const Invocation *in, TransferTuning *t, Err *e) MUST_USE;
