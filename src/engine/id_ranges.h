/* id_ranges.h: the user namespaces that containers have: which ids of the host are whose, in skep.db, and what a container was given.
 *
 * A range is reserved in the transaction that makes the container's row and is free again when that row goes: two containers never get the same one.
 */
#pragma once

#include "engine/userns.h"
#include "store/db.h"

/* id_ranges_choose: gives an automatic plan the first range that no container has; then it is of kind MAPS. In a transaction. -ENOSPC. */
int id_ranges_choose(Db *db, UsernsPlan *p, Arena *a, Err *e) MUST_USE;
/* id_ranges_insert: they are that container's from now on. */
int id_ranges_insert(Db *db, const char *container, const IdMaps *m, Err *e) MUST_USE;

/* userns_keep: writes down what the container was given. userns_maps: reads it; empty: it has no user namespace but the host's. */
int userns_keep(HostConfig *h, const IdMaps *m, Arena *a, Err *e) MUST_USE;
int userns_maps(const HostConfig *h, Arena *a, IdMaps *ret, Err *e) MUST_USE;
/* userns_open: a user namespace with these maps, for mounts; -1 without maps. */
int userns_open(const IdMaps *m, int *ret, Err *e) MUST_USE;
/* userns_at: the maps of the user namespace at path. */
int userns_at(const char *path, Arena *a, IdMaps *ret, Err *e) MUST_USE;
