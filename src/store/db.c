/* db.c: statements, rows, transactions and errors, see db.h. */
#include "store/db_impl.h"

#include <limits.h>
#include <unistd.h>

#include "base/fnv.h"
#include "base/time.h"

/* ---- errors and waiting ---- */

static int constraint_error(int rc, ErrCode *code)
{
	switch (rc) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
		*code = ERR_EXISTS;
		return EEXIST;
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		*code = ERR_STATE;
		return EBUSY;
	default:
		*code = ERR_INTERNAL;
		return EINVAL;
	}
}

static int errno_of(int rc, ErrCode *code)
{
	*code = ERR_IO;
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		*code = ERR_TIMEOUT;
		return ETIMEDOUT;
	case SQLITE_CONSTRAINT:
		return constraint_error(rc, code);
	case SQLITE_FULL:
		*code = ERR_RESOURCE;
		return ENOSPC;
	case SQLITE_NOMEM:
		*code = ERR_RESOURCE;
		return ENOMEM;
	case SQLITE_TOOBIG:
		*code = ERR_RESOURCE;
		return EFBIG;
	case SQLITE_READONLY:
		*code = ERR_PERMISSION;
		return EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		*code = ERR_PERMISSION;
		return EACCES;
	case SQLITE_CORRUPT:
		return EUCLEAN;
	case SQLITE_NOTADB:
		*code = ERR_CONFIG;
		return EINVAL;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return EIO;
	default:
		*code = ERR_INTERNAL;
		return EINVAL;
	}
}

int db_fail(const Db *db, int rc, const char *what, Err *e)
{
	ErrCode code;
	int errnum = errno_of(rc, &code), sys = sqlite3_system_errno(db->sqlite);
	if (errnum == EIO && sys) return err_sys(e, sys, "database %s: %.80s", db->path, what);
	if (code == ERR_TIMEOUT)
		return err_set(e, code, errnum, "database %s: %.80s: in use by another process for more than %d s", db->path, what,
			       DB_WAIT_MS / 1000);
	/* the message may be of another call when SQLite noticed the misuse itself */
	const char *why = (sqlite3_extended_errcode(db->sqlite) & 0xff) == (rc & 0xff) ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(rc);
	return err_set(e, code, errnum, "database %s: %.80s: %s", db->path, what, why);
}

bool db_waits(Db *db, int attempt)
{
	int64_t now = time_monotonic();
	if (!db->deadline) db->deadline = now + DB_WAIT_MS * INT64_C(1000000);
	if (now > db->deadline) return false;
	/* 0.1 ms doubled up to 6.4 ms, and different for each process, lest they meet again */
	unsigned longest = 100u << (attempt < 6 ? attempt : 6);
	unsigned mixed = ((unsigned)now ^ (unsigned)getpid() * 2654435761u) >> 4;
	usleep(longest / 2 + mixed % longest);
	return true;
}

/* Steps a statement. SQLite calls the busy handler in most cases where waiting helps; outside of a transaction the
 * others (a reader that would become a writer on an old snapshot, recovery by another process) are tried again here. */
static int step(Db *db, sqlite3_stmt *stmt)
{
	db->deadline = 0;
	for (int attempt = 0;; attempt++) {
		int rc = sqlite3_step(stmt);
		if ((rc & 0xff) != SQLITE_BUSY || !sqlite3_get_autocommit(db->sqlite)) return rc;
		sqlite3_reset(stmt);
		if (!db_waits(db, attempt)) return rc;
	}
}

int db_script(Db *db, const char *sql, Err *e)
{
	db->deadline = 0;
	int rc = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : db_fail(db, rc, sql, e);
}

/* ---- prepared statements ---- */

/* The place of a statement with that text, else the one to be replaced: a free one or the longest unused; -1 when all
 * are running. */
static int find_slot(const Db *db, const char *sql, uint32_t hash, bool *ret_found)
{
	int oldest = -1;
	*ret_found = false;
	for (int i = 0; i < DB_STATEMENTS_MAX; i++) {
		const DbStatement *s = &db->statements[i];
		if (s->stmt && s->hash == hash && !s->running && streq(sqlite3_sql(s->stmt), sql)) {
			*ret_found = true;
			return i;
		}
		if (s->running) continue;
		if (oldest < 0 || !s->stmt || (db->statements[oldest].stmt && s->used < db->statements[oldest].used)) oldest = i;
	}
	return oldest;
}

static bool is_blank_text(const char *s)
{
	return s[strspn(s, " \t\r\n;")] == 0;
}

static int prepare(Db *db, const char *sql, sqlite3_stmt **ret, Err *e)
{
	const char *tail = "";
	int rc;
	db->deadline = 0;
	for (int attempt = 0;; attempt++) {
		rc = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, &tail);
		if ((rc & 0xff) != SQLITE_BUSY || !sqlite3_get_autocommit(db->sqlite) || !db_waits(db, attempt)) break;
	}
	if (rc != SQLITE_OK) return db_fail(db, rc, sql, e);
	if (*ret && is_blank_text(tail)) return 0;
	sqlite3_finalize(*ret);
	return err_set(e, ERR_INTERNAL, EINVAL, "database %s: %.80s: expected one statement", db->path, sql);
}

/* Hands out a statement that is not running. */
static int acquire(Db *db, const char *sql, DbRows *ret, Err *e)
{
	bool found;
	uint32_t hash = fnv_str(sql);
	int slot = find_slot(db, sql, hash, &found);
	sqlite3_stmt *stmt = found && slot >= 0 ? db->statements[slot].stmt : NULL;
	if (!stmt) {
		int r = prepare(db, sql, &stmt, e);
		if (r < 0) return r;
	}
	if (slot >= 0) {
		DbStatement *s = &db->statements[slot];
		if (s->stmt != stmt) sqlite3_finalize(s->stmt);
		*s = (DbStatement){ .stmt = stmt, .hash = hash, .used = ++db->clock, .running = true };
	}
	*ret = (DbRows){ .db = db, .stmt = stmt, .slot = slot };
	return 0;
}

void db_rows_done(DbRows *rows)
{
	if (!rows->stmt) return;
	if (rows->slot >= 0) {
		sqlite3_reset(rows->stmt);
		sqlite3_clear_bindings(rows->stmt);
		rows->db->statements[rows->slot].running = false;
	} else {
		sqlite3_finalize(rows->stmt);
	}
	rows->stmt = NULL;
}

static int bind_value_at(sqlite3_stmt *stmt, int at, const DbValue *v, sqlite3_destructor_type lifetime)
{
	/* a NULL pointer would bind NULL */
	const char *p = v->s.p ? v->s.p : "";
	switch (v->type) {
	case DB_INT:
		return sqlite3_bind_int64(stmt, at, v->i);
	case DB_TEXT:
		return sqlite3_bind_text64(stmt, at, p, v->s.n, lifetime, SQLITE_UTF8);
	case DB_BLOB:
		return sqlite3_bind_blob64(stmt, at, p, v->s.n, lifetime);
	default:
		return sqlite3_bind_null(stmt, at);
	}
}

static int start(Db *db, const char *sql, DbArgs args, sqlite3_destructor_type lifetime, DbRows *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = acquire(db, sql, &rows, e);
	if (r < 0) return r;
	int wanted = sqlite3_bind_parameter_count(rows.stmt);
	if ((size_t)wanted != args.n)
		return err_set(e, ERR_INTERNAL, EINVAL, "database %s: %.80s: %d parameters, %zu values", db->path, sql, wanted, args.n);
	for (int i = 0; i < wanted; i++) {
		int rc = bind_value_at(rows.stmt, i + 1, &args.values[i], lifetime);
		if (rc != SQLITE_OK) return db_fail(db, rc, sql, e);
	}
	*ret = rows;
	rows.stmt = NULL;
	return 0;
}

int db_query(Db *db, const char *sql, DbArgs args, DbRows *ret, Err *e)
{
	return start(db, sql, args, SQLITE_TRANSIENT, ret, e);
}

int db_next(DbRows *rows, Err *e)
{
	if (!rows->stmt) return 0;
	int rc = step(rows->db, rows->stmt), r = 0;
	if (rc == SQLITE_ROW) return 1;
	if (rc != SQLITE_DONE) r = db_fail(rows->db, rc, sqlite3_sql(rows->stmt), e);
	db_rows_done(rows);
	return r;
}

int db_get(Db *db, const char *sql, DbArgs args, DbRows *ret, Err *e)
{
	int r = db_query(db, sql, args, ret, e);
	return r < 0 ? r : db_next(ret, e);
}

int db_run(Db *db, const char *sql, DbArgs args, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = start(db, sql, args, SQLITE_STATIC, &rows, e), rc;
	if (r < 0) return r;
	sqlite3_int64 before = sqlite3_total_changes64(db->sqlite);
	while ((rc = step(db, rows.stmt)) == SQLITE_ROW) {}
	if (rc != SQLITE_DONE) return db_fail(db, rc, sql, e);
	/* the number of changes stays what it was when a statement is none that counts */
	sqlite3_int64 n = sqlite3_total_changes64(db->sqlite) == before ? 0 : sqlite3_changes64(db->sqlite);
	return n > INT_MAX ? INT_MAX : (int)n;
}

int64_t db_last_id(const Db *db)
{
	return sqlite3_last_insert_rowid(db->sqlite);
}

/* ---- columns ---- */

int64_t db_row_int(const DbRows *rows, int column)
{
	return sqlite3_column_int64(rows->stmt, column);
}

const char *db_row_text(const DbRows *rows, int column)
{
	return (const char *)sqlite3_column_text(rows->stmt, column);
}

Str db_row_str(const DbRows *rows, int column)
{
	const char *p = db_row_text(rows, column);
	return (Str){ p, (size_t)sqlite3_column_bytes(rows->stmt, column) };
}

Str db_row_blob(const DbRows *rows, int column)
{
	const void *p = sqlite3_column_blob(rows->stmt, column);
	return (Str){ p, (size_t)sqlite3_column_bytes(rows->stmt, column) };
}

bool db_row_null(const DbRows *rows, int column)
{
	return sqlite3_column_type(rows->stmt, column) == SQLITE_NULL;
}

int db_row_dup(const DbRows *rows, int column, Arena *a, const char **ret)
{
	bool null = db_row_null(rows, column);
	const char *text = null ? NULL : db_row_text(rows, column), *copy = text ? arena_strdup(a, text) : NULL;
	if (!null && !copy) return -ENOMEM;
	*ret = copy;
	return 0;
}

/* ---- transactions ---- */

int db_begin(Db *db, DbMode mode, DbTx *ret, Err *e)
{
	if (!sqlite3_get_autocommit(db->sqlite))
		return err_set(e, ERR_INTERNAL, EINVAL, "database %s: a transaction inside another", db->path);
	/* as a script: this pragma acts when it is compiled, so a kept statement would do nothing */
	int r = mode == DB_DURABLE ? db_script(db, "PRAGMA synchronous = FULL", e) : 0;
	if (r < 0) return r;
	*ret = (DbTx){ .db = db, .mode = mode };
	r = db_run(db, mode == DB_READ ? "BEGIN" : "BEGIN IMMEDIATE", DB_NONE, e);
	if (r < 0) db_rollback(ret);
	return r;
}

/* After its end, however it ended. */
static void leave(DbTx *tx)
{
	Err ignored = ERR_INIT;
	if (!sqlite3_get_autocommit(tx->db->sqlite) && db_run(tx->db, "ROLLBACK", DB_NONE, &ignored) < 0) return;
	/* it stays at FULL when this fails: slower, not worse */
	if (tx->mode == DB_DURABLE && db_script(tx->db, "PRAGMA synchronous = NORMAL", &ignored) < 0) return;
}

void db_rollback(DbTx *tx)
{
	if (!tx->db) return;
	leave(tx);
	tx->db = NULL;
}

int db_commit(DbTx *tx, Err *e)
{
	Db *db = tx->db;
	if (!db || sqlite3_get_autocommit(db->sqlite))
		return err_set(e, ERR_INTERNAL, EINVAL, "database: the transaction to be committed is over");
	int r = db_run(db, "COMMIT", DB_NONE, e);
	db_rollback(tx);
	return r < 0 ? r : 0;
}
