/* db_impl.h: what the two files of the SQLite wrapper share; nobody else includes it. */
#pragma once

#include <sqlite3.h>

#include "store/db.h"

enum { DB_STATEMENTS_MAX = 64 };

typedef struct DbStatement {
	sqlite3_stmt *stmt;
	uint32_t hash; /* of the text */
	uint32_t used; /* the clock's value at the last use */
	bool running;
} DbStatement;

struct Db {
	sqlite3 *sqlite;
	char *path;
	int64_t deadline; /* of the waiting in this operation, CLOCK_MONOTONIC in ns; 0: it has not waited yet */
	uint32_t clock;
	DbStatement statements[DB_STATEMENTS_MAX];
};

/* db_fail: sets e from an extended result code of SQLite and its message. */
int db_fail(const Db *db, int rc, const char *what, Err *e);
/* db_waits: called while the file is locked by another: sleeps a little, longer with each attempt (from 0 on); false when
 * the operation has waited for DB_WAIT_MS. An operation begins with db->deadline = 0. */
bool db_waits(Db *db, int attempt);
/* db_script: runs a script of statements without results. */
int db_script(Db *db, const char *sql, Err *e) MUST_USE;
