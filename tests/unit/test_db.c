/* test_db.c: the SQLite wrapper: values, errors, transactions, versions, and many processes at once. */
#include "store/db.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/time.h"
#include "child.h"
#include "sys/fd.h"

static char folder[64], path[96];

static const char *const migrations[] = {
	"CREATE TABLE image(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER, extra BLOB) STRICT;"
	"CREATE TABLE tag(name TEXT PRIMARY KEY, image INTEGER NOT NULL REFERENCES image(id)) STRICT;",
	"ALTER TABLE image ADD COLUMN note TEXT; CREATE TABLE counter(id INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;"
	"INSERT INTO counter VALUES (1, 0);",
};
static const DbSchema schema = { .program = "skep", .application_id = 0x736b6570, .migrations = migrations, .n = 2 };
static const DbSchema schema_1 = { .program = "skep", .application_id = 0x736b6570, .migrations = migrations, .n = 1 };

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test_db.XXXXXX");
	if (!mkdtemp(folder)) return -1;
	snprintf(path, sizeof path, "%s/skep.db", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	const char *suffixes[] = { "", "-wal", "-shm" };
	char name[120];
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
		unlink(name);
	}
	return rmdir(folder); /* fails when something else was left behind */
}

static Db *open_db(const DbSchema *s)
{
	Err e = ERR_INIT;
	Db *db = NULL;
	int r = db_open(path, s, DB_CREATE, &db, &e);
	if (r < 0) fail_msg("%s", e.msg);
	return db;
}

static void run(Db *db, const char *sql, DbArgs args, int want)
{
	Err e = ERR_INIT;
	int r = db_run(db, sql, args, &e);
	if (r != want) fail_msg("%s: %d: %s", sql, r, e.msg);
}

static int64_t get_int(Db *db, const char *sql)
{
	Err e = ERR_INIT;
	AUTO_DB_ROWS rows = { 0 };
	if (db_get(db, sql, DB_NONE, &rows, &e) != 1) fail_msg("%s: %s", sql, e.msg);
	return db_row_int(&rows, 0);
}

static void values_come_back(void **state)
{
	(void)state;
	AUTO_DB *db = open_db(&schema);
	AUTO_DB_ROWS rows = { 0 };
	AUTO_ARENA a = ARENA_INIT(4096);
	Err e = ERR_INIT;
	const char *dup;
	const char *insert = "INSERT INTO image(name, size, extra, note) VALUES (?, ?, ?, ?)";
	run(db, insert, DB_ARGS(db_text("o'brien"), db_int(INT64_MIN), db_blob("\0\1", 2), db_null()), 1);
	assert_int_equal(db_last_id(db), 1);
	run(db, insert, DB_ARGS(db_str((Str){ "name-and-more", 4 }), db_int(INT64_MAX), db_blob(NULL, 0), db_text("")), 1);
	assert_int_equal(db_query(db, "SELECT name, size, extra, note FROM image ORDER BY id", DB_NONE, &rows, &e), 0);
	assert_int_equal(db_next(&rows, &e), 1);
	assert_string_equal(db_row_text(&rows, 0), "o'brien");
	assert_true(db_row_int(&rows, 1) == INT64_MIN);
	Str blob = db_row_blob(&rows, 2);
	assert_true(blob.n == 2 && memcmp(blob.p, "\0\1", 2) == 0);
	assert_true(db_row_null(&rows, 3) && !db_row_text(&rows, 3));
	assert_int_equal(db_row_dup(&rows, 3, &a, &dup), 0);
	assert_null(dup);
	assert_int_equal(db_next(&rows, &e), 1);
	assert_string_equal(db_row_text(&rows, 0), "name");
	assert_true(db_row_int(&rows, 1) == INT64_MAX);
	assert_true(!db_row_null(&rows, 2) && db_row_blob(&rows, 2).n == 0);
	assert_true(!db_row_null(&rows, 3) && db_row_str(&rows, 3).n == 0);
	assert_int_equal(db_row_dup(&rows, 0, &a, &dup), 0);
	assert_int_equal(db_next(&rows, &e), 0);
	assert_int_equal(db_next(&rows, &e), 0);
	assert_string_equal(dup, "name");
	assert_int_equal(db_get(db, "SELECT 1 FROM image WHERE name = ?", DB_ARGS(db_text("nobody")), &rows, &e), 0);
	run(db, "UPDATE image SET size = 0", DB_NONE, 2);
	run(db, "DELETE FROM image WHERE name = ?", DB_ARGS(db_text("nobody")), 0);
}

/* One text in several queries at once, and more texts than are kept. */
static void queries_nest(void **state)
{
	(void)state;
	AUTO_DB *db = open_db(&schema);
	Err e = ERR_INIT;
	for (int i = 0; i < 5; i++)
		run(db, "INSERT INTO counter(n) VALUES (?)", DB_ARGS(db_int(i)), 1);
	const char *sql = "SELECT n FROM counter ORDER BY n";
	int pairs = 0;
	DbRows outer = { 0 }, inner;
	assert_int_equal(db_query(db, sql, DB_NONE, &outer, &e), 0);
	while (db_next(&outer, &e) > 0) {
		inner = (DbRows){ 0 };
		assert_int_equal(db_query(db, sql, DB_NONE, &inner, &e), 0);
		while (db_next(&inner, &e) > 0)
			pairs++;
	}
	assert_int_equal(pairs, 36);
	DbRows many[100] = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		char text[64];
		snprintf(text, sizeof text, "SELECT %zu, ?", i);
		assert_int_equal(db_get(db, text, DB_ARGS(db_int(7)), &many[i], &e), 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		assert_int_equal(db_row_int(&many[i], 0), i);
		assert_int_equal(db_row_int(&many[i], 1), 7);
		db_rows_done(&many[i]);
	}
	assert_int_equal(get_int(db, "SELECT count(*) FROM counter"), 6);
}

static void refused(Db *db, const char *sql, DbArgs args, int r, ErrCode code, const char *part)
{
	Err e = ERR_INIT;
	assert_int_equal(db_run(db, sql, args, &e), r);
	assert_int_equal(e.code, code);
	if (!starts_with(e.msg, "database /tmp/test_db.") || !strstr(e.msg, part)) fail_msg("%s", e.msg);
}

static void errors_say_what_kind_they_are(void **state)
{
	(void)state;
	AUTO_DB *db = open_db(&schema);
	const char *insert = "INSERT INTO image(id, name) VALUES (?, ?)";
	run(db, insert, DB_ARGS(db_int(1), db_text("a")), 1);
	refused(db, insert, DB_ARGS(db_int(2), db_text("a")), -EEXIST, ERR_EXISTS, "UNIQUE constraint failed: image.name");
	refused(db, insert, DB_ARGS(db_int(1), db_text("b")), -EEXIST, ERR_EXISTS, "image.id");
	refused(db, insert, DB_ARGS(db_int(2), db_null()), -EINVAL, ERR_INTERNAL, "NOT NULL constraint failed");
	refused(db, insert, DB_ARGS(db_text("x"), db_text("c")), -EINVAL, ERR_INTERNAL, "datatype mismatch");
	refused(db, insert, DB_ARGS(db_int(1)), -EINVAL, ERR_INTERNAL, "2 parameters, 1 values");
	refused(db, insert, DB_NONE, -EINVAL, ERR_INTERNAL, "2 parameters, 0 values");
	refused(db, "INSERT INTO tag VALUES ('t', 99)", DB_NONE, -EBUSY, ERR_STATE, "FOREIGN KEY");
	refused(db, "SELECT nowhere", DB_NONE, -EINVAL, ERR_INTERNAL, "no such column");
	refused(db, "SELECT 1; SELECT 2", DB_NONE, -EINVAL, ERR_INTERNAL, "expected one statement");
	refused(db, "", DB_NONE, -EINVAL, ERR_INTERNAL, "expected one statement");
	refused(db, "SELECT \"text\"", DB_NONE, -EINVAL, ERR_INTERNAL, "no such column");
	run(db, "INSERT INTO tag VALUES ('t', 1)", DB_NONE, 1);
	refused(db, "DELETE FROM image", DB_NONE, -EBUSY, ERR_STATE, "FOREIGN KEY");
	/* and the statements are usable afterwards */
	run(db, insert, DB_ARGS(db_int(2), db_text("b")), 1);
}

static void what_is_not_committed_did_not_happen(void **state)
{
	(void)state;
	AUTO_DB *db = open_db(&schema), *other = open_db(&schema);
	Err e = ERR_INIT;
	const DbMode modes[] = { DB_WRITE, DB_DURABLE, DB_WRITE, DB_DURABLE };
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		AUTO_DB_TX tx = { 0 };
		assert_int_equal(db_begin(db, modes[i], &tx, &e), 0);
		/* NORMAL is 1, FULL 2 */
		assert_int_equal(get_int(db, "PRAGMA synchronous"), modes[i] == DB_DURABLE ? 2 : 1);
		run(db, "UPDATE counter SET n = n + 1", DB_NONE, 1);
		assert_int_equal(get_int(other, "SELECT n FROM counter"), 0);
	}
	assert_int_equal(get_int(db, "PRAGMA synchronous"), 1);
	assert_int_equal(get_int(db, "SELECT n FROM counter"), 0);
	DbTx tx = { 0 }, inner = { 0 };
	assert_int_equal(db_begin(db, DB_DURABLE, &tx, &e), 0);
	assert_int_equal(db_begin(db, DB_READ, &inner, &e), -EINVAL);
	db_rollback(&inner);
	run(db, "UPDATE counter SET n = 5", DB_NONE, 1);
	assert_int_equal(db_commit(&tx, &e), 0);
	assert_int_equal(db_commit(&tx, &e), -EINVAL);
	db_rollback(&tx);
	assert_int_equal(get_int(other, "SELECT n FROM counter"), 5);
}

static void a_reading_transaction_sees_one_state(void **state)
{
	(void)state;
	AUTO_DB *db = open_db(&schema), *other = open_db(&schema);
	Err e = ERR_INIT;
	AUTO_DB_TX tx = { 0 };
	assert_int_equal(db_begin(db, DB_READ, &tx, &e), 0);
	assert_int_equal(get_int(db, "SELECT n FROM counter"), 0);
	run(other, "UPDATE counter SET n = 1", DB_NONE, 1); /* a reader holds up no writer */
	assert_int_equal(get_int(db, "SELECT n FROM counter"), 0);
	assert_int_equal(db_commit(&tx, &e), 0);
	assert_int_equal(get_int(db, "SELECT n FROM counter"), 1);
}

static void old_files_are_brought_up_to_date(void **state)
{
	(void)state;
	Db *db = open_db(&schema_1);
	run(db, "INSERT INTO image(name) VALUES ('kept')", DB_NONE, 1);
	assert_int_equal(get_int(db, "PRAGMA user_version"), 1);
	db_close(db);
	db = open_db(&schema);
	assert_int_equal(get_int(db, "PRAGMA user_version"), 2);
	assert_int_equal(get_int(db, "SELECT count(*) FROM image WHERE name = 'kept' AND note IS NULL"), 1);
	db_close(db);
	Err e = ERR_INIT;
	assert_int_equal(db_open(path, &schema_1, 0, &db, &e), -ENOTSUP);
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.msg, "its schema has version 2, newer than the 1 that this program knows"));
}

static void a_failed_migration_leaves_the_file_as_it_was(void **state)
{
	(void)state;
	const char *const broken[] = { migrations[0], "CREATE TABLE more(x); INSERT INTO nowhere VALUES (1);" };
	const DbSchema bad = { .program = "skep", .application_id = schema.application_id, .migrations = broken, .n = 2 };
	Db *db = open_db(&schema_1);
	db_close(db);
	Err e = ERR_INIT;
	assert_int_equal(db_open(path, &bad, 0, &db, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "to schema version 2: "));
	assert_non_null(strstr(e.msg, "no such table: nowhere"));
	db = open_db(&schema_1);
	assert_int_equal(get_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'more'"), 0);
	db_close(db);
}

static void put_file(const void *p, size_t n)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, p, n), 0);
}

static void other_files_are_refused(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	Db *db = NULL;
	assert_int_equal(db_open(path, &schema, 0, &db, &e), -ENOENT);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(db_open("/nonexistent/x.db", &schema, DB_CREATE, &db, &e), -ENOENT);
	char noise[8192];
	memset(noise, 'n', sizeof noise);
	put_file(noise, sizeof noise);
	assert_int_equal(db_open(path, &schema, DB_CREATE, &db, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "not a database"));
	put_file("", 0);
	const DbSchema foreign = { .program = "other", .application_id = 7, .migrations = migrations, .n = 2 };
	db = open_db(&foreign);
	db_close(db);
	assert_int_equal(db_open(path, &schema, DB_CREATE, &db, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "not a database of skep (its application id is 0x7)"));
}

static void the_file_is_private_and_wal(void **state)
{
	(void)state;
	struct stat st;
	mode_t mask = umask(0);
	AUTO_DB *db = open_db(&schema);
	char wal[120];
	umask(mask);
	snprintf(wal, sizeof wal, "%s-wal", path);
	assert_true(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	assert_true(stat(wal, &st) == 0 && (st.st_mode & 0777) == 0600);
	assert_int_equal(get_int(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
	assert_int_equal(get_int(db, "PRAGMA foreign_keys"), 1);
	assert_int_equal(get_int(db, "PRAGMA trusted_schema"), 0);
	assert_int_equal(get_int(db, "PRAGMA mmap_size"), 0);
}

static void checks_find_damage(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	Db *db = open_db(&schema);
	for (int i = 0; i < 400; i++) {
		char name[100];
		snprintf(name, sizeof name, "an image with a name that takes some room in its index, number %d", i);
		run(db, "INSERT INTO image(name) VALUES (?)", DB_ARGS(db_text(name)), 1);
	}
	assert_int_equal(db_check(db, &e), 0);
	run(db, "PRAGMA wal_checkpoint(TRUNCATE)", DB_NONE, 0);
	int64_t root = get_int(db, "SELECT rootpage FROM sqlite_schema WHERE name LIKE 'sqlite_autoindex_image%'");
	db_close(db);
	AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, (root - 1) * 4096 + 8), 4);
	db = open_db(&schema);
	assert_int_equal(db_check(db, &e), -EUCLEAN);
	assert_non_null(strstr(e.msg, "damaged"));
	db_close(db);
}

/* ---- many processes ---- */

enum { WRITERS = 8, ROUNDS = 500 };

/* Reads and writes in each transaction: a lost update is one too few at the end. */
static int add_many(void)
{
	Err e = ERR_INIT;
	AUTO_DB *db = NULL;
	NEED_OK(db_open(path, &schema, DB_CREATE, &db, &e));
	for (int i = 0; i < ROUNDS; i++) {
		AUTO_DB_TX tx = { 0 };
		AUTO_DB_ROWS rows = { 0 };
		NEED_OK(db_begin(db, DB_WRITE, &tx, &e));
		NEED_OK(db_get(db, "SELECT n FROM counter WHERE id = 1", DB_NONE, &rows, &e));
		int64_t n = db_row_int(&rows, 0);
		db_rows_done(&rows);
		NEED_OK(db_run(db, "UPDATE counter SET n = ? WHERE id = 1", DB_ARGS(db_int(n + 1)), &e));
		NEED_OK(db_commit(&tx, &e));
		/* and one statement of its own */
		NEED_OK(db_run(db, "INSERT INTO counter(n) VALUES (?)", DB_ARGS(db_int(i)), &e));
	}
	return 0;
}

static void no_update_is_lost(void **state)
{
	(void)state;
	pid_t pids[WRITERS];
	fflush(NULL);
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) _exit(add_many()); /* the first ones make the file, all of them at once */
	}
	for (int i = 0; i < WRITERS; i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	AUTO_DB *db = open_db(&schema);
	Err e = ERR_INIT;
	assert_int_equal(get_int(db, "SELECT n FROM counter WHERE id = 1"), WRITERS * ROUNDS);
	assert_int_equal(get_int(db, "SELECT count(*) FROM counter"), WRITERS * ROUNDS + 1);
	assert_int_equal(db_check(db, &e), 0);
}

/* Writes pairs, and says each number on the pipe after its commit, until it is killed. */
static int pairs_to;
static int add_pairs(void)
{
	Err e = ERR_INIT;
	AUTO_DB *db = NULL;
	NEED_OK(db_open(path, &schema, DB_CREATE, &db, &e));
	for (int64_t i = 1;; i++) {
		AUTO_DB_TX tx = { 0 };
		NEED_OK(db_begin(db, DB_WRITE, &tx, &e));
		NEED_OK(db_run(db, "INSERT INTO image(name, size) VALUES (hex(randomblob(200)), ?)", DB_ARGS(db_int(i)), &e));
		NEED_OK(db_run(db, "INSERT INTO image(name, size) VALUES (hex(randomblob(200)), ?)", DB_ARGS(db_int(i)), &e));
		NEED_OK(db_commit(&tx, &e));
		NEED(write(pairs_to, &i, sizeof i) == sizeof i);
	}
}

static void a_killed_writer_loses_nothing(void **state)
{
	(void)state;
	for (int round = 0; round < 10; round++) {
		int ends[2], status;
		int64_t seen = 0, i;
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		pairs_to = ends[1];
		pid_t pid = fork();
		if (pid == 0) _exit(add_pairs());
		close(ends[1]);
		/* at another place each time, also in the middle of a checkpoint */
		while (seen < 20 + round * 17 && read(ends[0], &i, sizeof i) == sizeof i)
			seen = i;
		kill(pid, SIGKILL);
		while (read(ends[0], &i, sizeof i) == sizeof i)
			seen = i;
		close(ends[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		AUTO_DB *db = open_db(&schema);
		Err e = ERR_INIT;
		int64_t last = get_int(db, "SELECT max(size) FROM image");
		assert_true(last == seen || last == seen + 1); /* committed, not yet said */
		assert_int_equal(get_int(db, "SELECT count(*) FROM image"), 2 * last);
		assert_int_equal(db_check(db, &e), 0);
		run(db, "DELETE FROM image", DB_NONE, (int)(2 * last));
	}
}

/* A writer that does not end: others are told so after their time, and can go on. */
static void waiting_has_an_end(void **state)
{
	(void)state;
	AUTO_DB *db = open_db(&schema), *other = open_db(&schema);
	Err e = ERR_INIT;
	AUTO_DB_TX tx = { 0 }, second = { 0 };
	assert_int_equal(db_begin(db, DB_WRITE, &tx, &e), 0);
	int64_t from = time_monotonic();
	assert_int_equal(db_begin(other, DB_WRITE, &second, &e), -ETIMEDOUT);
	int64_t took = (time_monotonic() - from) / 1000000;
	assert_int_equal(e.code, ERR_TIMEOUT);
	assert_non_null(strstr(e.msg, "in use by another process for more than 10 s"));
	assert_true(took >= DB_WAIT_MS && took < DB_WAIT_MS + 5000);
	db_rollback(&tx);
	assert_int_equal(db_begin(other, DB_WRITE, &second, &e), 0);
}

#define DB_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST(values_come_back),
		DB_TEST(queries_nest),
		DB_TEST(errors_say_what_kind_they_are),
		DB_TEST(what_is_not_committed_did_not_happen),
		DB_TEST(a_reading_transaction_sees_one_state),
		DB_TEST(old_files_are_brought_up_to_date),
		DB_TEST(a_failed_migration_leaves_the_file_as_it_was),
		DB_TEST(other_files_are_refused),
		DB_TEST(the_file_is_private_and_wal),
		DB_TEST(checks_find_damage),
		DB_TEST(no_update_is_lost),
		DB_TEST(a_killed_writer_loses_nothing),
		DB_TEST(waiting_has_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
