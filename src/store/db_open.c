/* db_open.c: opening, settings, migrations and checks, see db.h. */
#include "store/db_impl.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#include "base/time.h"
#include "store/wal_index.h"

/* Pages of 4 KiB in the WAL before a commit moves them into the database, which costs two fsyncs. The first process after a boot reads the WAL
 * through: 1.4 us a page. */
enum { CHECKPOINT_PAGES = 256 };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void configure_library(void)
{
	sqlite3_config(SQLITE_CONFIG_MULTITHREAD); /* no mutex per connection: a Db has one thread at a time */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_initialize();
}

static int busy_handler(void *data, int attempt)
{
	return db_waits(data, attempt);
}

void db_close(Db *db)
{
	if (!db) return;
	for (size_t i = 0; i < DB_STATEMENTS_MAX; i++)
		sqlite3_finalize(db->statements[i].stmt);
	sqlite3_close_v2(db->sqlite);
	free(db->path);
	free(db);
}

/* SQLite would make the file with the mode that the umask leaves. One thread at a time, as our closing of the new file would
 * drop the locks that another thread has just taken on it. */
static int make_file(const char *path, Err *e)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&one_at_a_time);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600), errnum = errno;
	if (fd >= 0) close(fd);
	pthread_mutex_unlock(&one_at_a_time);
	return fd < 0 && errnum != EEXIST ? err_sys(e, errnum, "make database %s", path) : 0;
}

static int connect_file(Db *db, Err *e)
{
	int on = 1, rc;
	rc = sqlite3_open_v2(db->path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc == SQLITE_NOMEM || !db->sqlite) return err_sys(e, ENOMEM, "open database %s", db->path);
	if (rc != SQLITE_OK) return db_fail(db, rc, "open", e);
	int r = wal_index_keep(db->sqlite, db->path);
	if (r < 0) return err_sys(e, r, "open database %s", db->path);
	sqlite3_busy_handler(db->sqlite, busy_handler, db);
	sqlite3_wal_autocheckpoint(db->sqlite, CHECKPOINT_PAGES);
	/* the last process to close would move the WAL into the database and sync twice, at each command's end */
	sqlite3_file_control(db->sqlite, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
	const struct {
		int option, value;
	} options[] = {
		{ SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1 }, { SQLITE_DBCONFIG_ENABLE_FKEY, 1 }, { SQLITE_DBCONFIG_DEFENSIVE, 1 },
		{ SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },   { SQLITE_DBCONFIG_DQS_DDL, 0 },     { SQLITE_DBCONFIG_DQS_DML, 0 },
		{ SQLITE_DBCONFIG_ENABLE_TRIGGER, 1 },   { SQLITE_DBCONFIG_ENABLE_VIEW, 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (sqlite3_db_config(db->sqlite, options[i].option, options[i].value, NULL) != SQLITE_OK)
			return err_set(e, ERR_INTERNAL, ENOSYS, "database %s: this SQLite lacks option %d", db->path, options[i].option);
	return 0;
}

static int query_int(Db *db, const char *sql, int64_t *ret, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(db, sql, DB_NONE, &rows, e);
	if (r > 0) *ret = db_row_int(&rows, 0);
	return r < 0 ? r : 0;
}

/* What the file says it is. */
typedef struct Identity {
	int64_t application, version, tables;
} Identity;

static int read_numbers(Db *db, Identity *ret, Err *e)
{
	int r = query_int(db, "PRAGMA application_id", &ret->application, e);
	return r < 0 ? r : query_int(db, "PRAGMA user_version", &ret->version, e);
}

/* Another process may make the database between any two of these: whoever sees its tables sees its numbers from then on. */
static int read_identity(Db *db, Identity *ret, Err *e)
{
	int r = read_numbers(db, ret, e);
	if (r < 0 || ret->application) return r;
	r = query_int(db, "SELECT count(*) FROM sqlite_schema", &ret->tables, e);
	return r < 0 || (!ret->version && !ret->tables) ? r : read_numbers(db, ret, e);
}

static int check_identity(const Db *db, const DbSchema *schema, const Identity *id, Err *e)
{
	bool fresh = !id->application && !id->version && !id->tables;
	if (!fresh && (uint32_t)id->application != schema->application_id)
		return err_set(e, ERR_CONFIG, EINVAL, "database %s: not a database of %s (its application id is %#" PRIx64 ")", db->path,
			       schema->program, id->application);
	if (id->version < 0 || (uint64_t)id->version > schema->n)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "database %s: its schema has version %" PRId64 ", newer than the %zu that this program knows: "
			       "use the %s that wrote it, or a newer one",
			       db->path, id->version, schema->n, schema->program);
	return 0;
}

static int is_wal(Db *db, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(db, "PRAGMA journal_mode", DB_NONE, &rows, e);
	return r <= 0 ? r : streq(db_row_text(&rows, 0), "wal");
}

/* Lasting: the file stays in WAL mode. SQLite does not wait for others here. */
static int enter_wal(Db *db, Err *e)
{
	int64_t deadline = time_monotonic() + DB_WAIT_MS * INT64_C(1000000);
	for (int attempt = 0;; attempt++) {
		int r = is_wal(db, e);
		if (r != 0) return r < 0 ? r : 0;
		int rc = sqlite3_exec(db->sqlite, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
		if (rc == SQLITE_OK) {
			r = is_wal(db, e);
			return r ? r
				 : err_set(e, ERR_UNSUPPORTED, ENOTSUP, "database %s: this file system cannot hold it: no shared memory",
					   db->path);
		}
		db->deadline = deadline;
		if ((rc & 0xff) != SQLITE_BUSY || !db_waits(db, attempt)) return db_fail(db, rc, "enter WAL mode", e);
	}
}

static int apply_migrations(Db *db, const DbSchema *schema, size_t from, Err *e)
{
	char pragmas[96];
	for (size_t i = from; i < schema->n; i++) {
		int r = db_script(db, schema->migrations[i], e);
		if (r < 0) return err_wrap(e, "database %s: to schema version %zu", db->path, i + 1);
	}
	snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %" PRId32 "; PRAGMA user_version = %zu", (int32_t)schema->application_id,
		 schema->n);
	return db_script(db, pragmas, e);
}

/* Others may do the same at this moment: who has waited for them finds it done. */
static int migrate(Db *db, const DbSchema *schema, Err *e)
{
	AUTO_DB_TX tx = { 0 };
	Identity id = { 0 };
	int r = enter_wal(db, e);
	if (r >= 0) r = db_begin(db, DB_DURABLE, &tx, e);
	if (r >= 0) r = read_identity(db, &id, e);
	if (r >= 0) r = check_identity(db, schema, &id, e);
	if (r >= 0 && (size_t)id.version < schema->n) r = apply_migrations(db, schema, (size_t)id.version, e);
	return r < 0 ? r : db_commit(&tx, e);
}

int db_open(const char *path, const DbSchema *schema, unsigned flags, Db **ret, Err *e)
{
	AUTO_DB *db = NULL;
	Identity id = { 0 };
	pthread_once(&once, configure_library);
	int r = flags & DB_CREATE ? make_file(path, e) : 0;
	if (r < 0) return r;
	db = calloc(1, sizeof *db);
	if (!db || !(db->path = strdup(path))) return err_sys(e, ENOMEM, "open database %s", path);
	r = connect_file(db, e);
	if (r >= 0) r = db_script(db, "PRAGMA synchronous = NORMAL", e);
	if (r >= 0) r = read_identity(db, &id, e);
	if (r >= 0) r = check_identity(db, schema, &id, e);
	if (r >= 0 && ((size_t)id.version < schema->n || !id.application)) r = migrate(db, schema, e);
	if (r < 0) return r;
	*ret = take(db);
	return 0;
}

void db_checkpoint(Db *db)
{
	(void)!sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static int check_integrity(Db *db, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(db, "PRAGMA integrity_check(1)", DB_NONE, &rows, e);
	if (r <= 0) return r;
	const char *found = db_row_text(&rows, 0);
	if (found && streq(found, "ok")) return 0;
	return err_set(e, ERR_IO, EUCLEAN, "database %s: damaged: %s", db->path, found ? found : "no report");
}

static int check_references(Db *db, Err *e)
{
	AUTO_DB_ROWS rows = { 0 };
	int r = db_get(db, "PRAGMA foreign_key_check", DB_NONE, &rows, e);
	if (r <= 0) return r;
	const char *table = db_row_text(&rows, 0), *parent = db_row_text(&rows, 2);
	return err_set(e, ERR_IO, EUCLEAN, "database %s: damaged: row %" PRId64 " of %s refers to a row of %s that is not there", db->path,
		       db_row_int(&rows, 1), table ? table : "?", parent ? parent : "?");
}

int db_check(Db *db, Err *e)
{
	int r = check_integrity(db, e);
	return r < 0 ? r : check_references(db, e);
}
