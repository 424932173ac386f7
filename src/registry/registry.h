/* registry.h: the registry server: the OCI distribution API, version 1.1 and what is coming, over one directory.
 *
 * registry_serve() is the whole program; registry_gc() and registry_check() work on the directory of a server that is stopped:
 * one process owns it at a time.
 */
#pragma once

#include "base/log.h"
#include "registry/options.h"

/* registry_serve: serves until SIGTERM or SIGINT, then ends what runs (a second signal: at once). SIGHUP reads the password file again, SIGUSR1 starts a
 * collection. *o has passed registry_options_check(). ready (may be NULL) is called once with the port of the first TCP listener, when
 * connections are taken. 0, or a negative errno with the reason. */
typedef void RegistryReadyFn(void *arg, int port);
int registry_serve(const RegistryOptions *o, const Log *log, RegistryReadyFn *ready, void *arg, Err *e) MUST_USE;

typedef struct RegistryGcResult {
	uint64_t tags, manifests, links, blobs, bytes, uploads, files, repositories;
} RegistryGcResult;

/* registry_gc: one whole collection, as the server does it while it runs. */
int registry_gc(const RegistryOptions *o, RegistryGcResult *ret, Err *e) MUST_USE;

typedef struct RegistryCheckResult {
	uint64_t blobs, manifests, tags, problems, repaired;
} RegistryCheckResult;
typedef void RegistryProblemFn(void *arg, const char *problem);

/* registry_check: is everything there that rows speak of, and (deep) does it have its digest? Each problem is told in a line. repair: rows of lost or
 * damaged blobs are removed, so that a client pushes them again. */
int registry_check(const RegistryOptions *o, bool deep, bool repair, RegistryProblemFn *each, void *arg, RegistryCheckResult *ret,
		   Err *e) MUST_USE;
