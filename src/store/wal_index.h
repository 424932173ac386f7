/* wal_index.h: SQLite's shared index of the WAL, kept from one process to the next.
 *
 * SQLite throws the index (PATH-shm) away whenever the first of all processes opens the database, since nobody can tell whether it survived
 * a crash of the machine, and reads the whole WAL to make it anew. Commands here follow one another, so each of them is that first
 * process: up to a third of a short command's time. Here the index carries a stamp of the boot, the mount and the two files it was made
 * in and for, and one whose stamp is right and whose last frame is in the WAL is as good as that of a process that still lives: what
 * SQLite itself does after the kill of one of several.
 *
 * Locks are those of SQLite's own (the same bytes, the same meaning), so any other program may have the database open beside us; they
 * belong to the descriptor, not to the process: a child that is forked with a database open lets go of it before it lives on.
 */
#pragma once

#include <sqlite3.h>

#include "base/defs.h"

/* wal_index_keep: for the connection, before it first reads. path: the database's. -ENOMEM, -EIO (not the VFS that this was made for). */
int wal_index_keep(sqlite3 *sqlite, const char *path) MUST_USE;
