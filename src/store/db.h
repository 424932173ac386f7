/* db.h: the database of one state directory: SQLite with the settings, the waiting and the errors of this product.
 *
 *   AUTO_DB *db = NULL;
 *   r = db_open(path, &schema, DB_CREATE, &db, e);
 *   r = db_run(db, "UPDATE tags SET digest = ? WHERE name = ?", DB_ARGS(db_text(digest), db_text(name)), e);
 *   AUTO_DB_ROWS rows = { 0 };
 *   r = db_query(db, "SELECT name, size FROM layers WHERE image = ?", DB_ARGS(db_int(image)), &rows, e);
 *   while ((r = db_next(&rows, e)) > 0)
 *           use(db_row_text(&rows, 0), db_row_int(&rows, 1));
 *
 * Invariants
 *  - Statements are prepared once for each text and kept; values are always bound, never pasted into the text.
 *  - Writers of all processes wait for each other, DB_WAIT_MS at most: -ETIMEDOUT then, and nothing has been changed.
 *    Readers wait for nobody (WAL).
 *  - What has been committed survives the death of any process. A power cut may take the last commits, in order and
 *    never a part of one, unless they were DB_DURABLE. The file is consistent at any time.
 *  - A Db belongs to one thread at a time and to the process that opened it: a child leaves it alone until it executes.
 *  - Nothing else opens the file: a second descriptor, when closed, drops the locks of the process.
 *
 * Tables are best declared STRICT: the row functions below then get the type that they ask for.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

typedef struct Db Db;

/* DbSchema: what the file is. migrations[i] is a script that brings version i to i + 1; one that has been released is
 * never changed. The version is SQLite's user_version. */
typedef struct DbSchema {
	const char *program;     /* for messages: what to update when the file is newer */
	uint32_t application_id; /* not 0; other files are refused */
	const char *const *migrations;
	size_t n;
} DbSchema;

enum { DB_CREATE = 1 };
enum { DB_WAIT_MS = 10000 };

/* db_open: opens the file (with DB_CREATE makes it, mode 0600), and brings its schema up to date in one transaction. -ENOENT;
 * -EINVAL: no database, or not this program's; -ENOTSUP: its schema is newer than this program. The caller owns *ret. */
int db_open(const char *path, const DbSchema *schema, unsigned flags, Db **ret, Err *e) MUST_USE;
void db_close(Db *db);
static inline void db_closep(Db **db)
{
	db_close(*db);
}
#define AUTO_DB AUTO(db_closep) Db

/* db_checkpoint: what is in the log goes into the database as far as nobody reads the log, which then is written from its beginning again: room on a full disk. */
void db_checkpoint(Db *db);

/* db_check: 0 when the file is sound: the pages, the indexes and the references between tables; -EUCLEAN with the first
 * finding. Reads the whole file. */
int db_check(Db *db, Err *e) MUST_USE;

/* ---- values ---- */

typedef enum { DB_NULL, DB_INT, DB_TEXT, DB_BLOB } DbType;
typedef struct DbValue {
	DbType type;
	int64_t i;
	Str s;
} DbValue;
typedef struct DbArgs {
	const DbValue *values;
	size_t n;
} DbArgs;

/* DB_ARGS(value, …): the values of a statement's parameters, in order. DB_NONE: it has none. */
#define DB_ARGS(...) ((DbArgs){ (const DbValue[]){ __VA_ARGS__ }, sizeof((const DbValue[]){ __VA_ARGS__ }) / sizeof(DbValue) })
#define DB_NONE ((DbArgs){ 0 })

static inline DbValue db_null(void)
{
	return (DbValue){ DB_NULL };
}
static inline DbValue db_int(int64_t i)
{
	return (DbValue){ DB_INT, .i = i };
}
/* db_text: NULL for NULL. */
static inline DbValue db_text(const char *s)
{
	return s ? (DbValue){ DB_TEXT, .s = str_of(s) } : db_null();
}
static inline DbValue db_str(Str s)
{
	return (DbValue){ DB_TEXT, .s = s };
}
static inline DbValue db_blob(const void *p, size_t n)
{
	return (DbValue){ DB_BLOB, .s = { p, n } };
}

/* ---- statements ----
 * A unique or primary key that is there already gives -EEXIST (ERR_EXISTS); a row that others refer to, or a reference to
 * a row that is not there, -EBUSY (ERR_STATE); other constraints -EINVAL; a full disk -ENOSPC; a damaged file -EUCLEAN. */

/* db_run: one statement to its end. Returns the number of rows that an INSERT, UPDATE or DELETE changed. */
int db_run(Db *db, const char *sql, DbArgs args, Err *e) MUST_USE;
/* db_last_id: the rowid of the last INSERT. */
int64_t db_last_id(const Db *db);

typedef struct DbRows {
	Db *db;
	void *stmt; /* sqlite3_stmt */
	int slot;   /* in the cache, -1: not from there */
} DbRows;

/* db_query: starts a query; the values are copied. Its rows are read by db_next: 1 a row, 0 no more. Until db_rows_done (or
 * the end of the rows) it keeps the file from being tidied up: not to be held while waiting for anything. */
int db_query(Db *db, const char *sql, DbArgs args, DbRows *ret, Err *e) MUST_USE;
int db_next(DbRows *rows, Err *e) MUST_USE;
void db_rows_done(DbRows *rows);
#define AUTO_DB_ROWS AUTO(db_rows_done) DbRows
/* db_get: db_query and its first db_next: 1 when there is a row, 0 when there is none. */
int db_get(Db *db, const char *sql, DbArgs args, DbRows *ret, Err *e) MUST_USE;

/* Columns of the current row, from 0 on. Text and blobs are valid until the next call on rows; NULL gives 0, NULL, {NULL, 0}. */
int64_t db_row_int(const DbRows *rows, int column);
const char *db_row_text(const DbRows *rows, int column);
Str db_row_str(const DbRows *rows, int column);
Str db_row_blob(const DbRows *rows, int column);
bool db_row_null(const DbRows *rows, int column);
/* db_row_dup: text as an arena string. 0 (with *ret NULL for NULL) or -ENOMEM. */
int db_row_dup(const DbRows *rows, int column, Arena *a, const char **ret) MUST_USE;

/* ---- transactions ---- */

typedef enum {
	DB_READ,    /* several queries see one state of the file; no writes */
	DB_WRITE,   /* the only writer from db_begin on: what was read in it cannot have changed */
	DB_DURABLE, /* the same, and db_commit returns when the disk has it */
} DbMode;

typedef struct DbTx {
	Db *db;
	DbMode mode;
} DbTx;

/* db_begin: waits for other writers. No transaction inside another, and no waiting for anything while one is open. */
int db_begin(Db *db, DbMode mode, DbTx *ret, Err *e) MUST_USE;
/* db_commit: ends it; on failure nothing of it has been done. db_rollback: undoes all of it; nothing when it has ended. */
int db_commit(DbTx *tx, Err *e) MUST_USE;
void db_rollback(DbTx *tx);
/* AUTO_DB_TX tx = { 0 }: rolled back on every way out that did not commit. */
#define AUTO_DB_TX AUTO(db_rollback) DbTx
