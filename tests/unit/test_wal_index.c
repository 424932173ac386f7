/* test_wal_index.c: the index of the WAL from one process to the next: kept where it is right, made anew where it may not be, and shared with
 * SQLite's own. */
#include "store/wal_index.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "child.h"
#include "store/db.h"
#include "sys/fd.h"

enum { READ_MARK = 116, STAMP = 132, MARKED = 0x00abcdef, LAST_FRAME = 16, WAL_HEADER = 32, FRAME = 24 + 4096 };

static char folder[64], path[96], wal[104], shm[104];

static const char *const migrations[] = { "CREATE TABLE line(n INTEGER PRIMARY KEY, text TEXT) STRICT;" };
static const DbSchema schema = { .program = "skep", .application_id = 0x736b6570, .migrations = migrations, .n = 1 };

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test_wal_index.XXXXXX");
	if (!mkdtemp(folder)) return -1;
	snprintf(path, sizeof path, "%s/skep.db", folder);
	snprintf(wal, sizeof wal, "%s-wal", path);
	snprintf(shm, sizeof shm, "%s-shm", path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(wal);
	unlink(shm);
	return rmdir(folder);
}

static Db *open_db(void)
{
	Err e = ERR_INIT;
	Db *db = NULL;
	if (db_open(path, &schema, DB_CREATE, &db, &e) < 0) fail_msg("%s", e.msg);
	return db;
}

static void put(Db *db, int64_t n)
{
	Err e = ERR_INIT;
	if (db_run(db, "INSERT INTO line VALUES (?, 'text')", DB_ARGS(db_int(n)), &e) != 1) fail_msg("%s", e.msg);
}

static int64_t count(Db *db)
{
	Err e = ERR_INIT;
	AUTO_DB_ROWS rows = { 0 };
	if (db_get(db, "SELECT count(*) FROM line", DB_NONE, &rows, &e) != 1) fail_msg("%s", e.msg);
	return db_row_int(&rows, 0);
}

/* Lines 1 to n, by a connection that is gone afterwards; then a mark in the index, which a new one would not have. */
static void write_and_mark(int64_t n)
{
	static const uint32_t mark = MARKED;
	Db *db = open_db();
	for (int64_t i = 1; i <= n; i++)
		put(db, i);
	db_close(db);
	int fd = open(shm, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &mark, sizeof mark, READ_MARK), sizeof mark);
	close(fd);
}

static uint32_t word(const char *file, off_t at)
{
	uint32_t value = 0;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, &value, sizeof value, at), sizeof value);
	close(fd);
	return value;
}

static bool is_kept(void)
{
	return word(shm, READ_MARK) == MARKED;
}

static void next_process_finds_it(void **state)
{
	(void)state;
	write_and_mark(20);
	for (int i = 0; i < 3; i++) {
		AUTO_DB *db = open_db();
		assert_int_equal(count(db), 20 + i);
		put(db, 100 + i);
		assert_true(is_kept());
	}
}

/* Every way in which it may be of another WAL, or of another time. */
static void of_another_boot(void)
{
	int fd = open(shm, O_RDWR | O_CLOEXEC);
	const uint32_t other = word(shm, STAMP) + 1;
	assert_int_equal(pwrite(fd, &other, sizeof other, STAMP), sizeof other);
	close(fd);
}

static void copy(const char *from, const char *to)
{
	static char bytes[1 << 20];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n = read(in, bytes, sizeof bytes);
	assert_true(n > 0 && n < (ssize_t)sizeof bytes && fd_write_all(out, bytes, (size_t)n) >= 0);
	close(in);
	close(out);
}

static void a_copied_wal(void)
{
	char other[120];
	snprintf(other, sizeof other, "%s.copy", wal);
	copy(wal, other);
	assert_int_equal(rename(other, wal), 0);
}

static void a_copied_index(void)
{
	char other[120];
	snprintf(other, sizeof other, "%s.copy", shm);
	copy(shm, other);
	assert_int_equal(rename(other, shm), 0);
}

static void a_cut_index(void)
{
	assert_int_equal(truncate(shm, 100), 0);
}

static void made_anew(void **state)
{
	(void)state;
	void (*const ways[])(void) = { of_another_boot, a_copied_wal, a_copied_index, a_cut_index };
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		write_and_mark(0);
		assert_true(is_kept());
		AUTO_DB *before = open_db();
		put(before, 1 + (int64_t)i);
		db_close(take(before));
		write_and_mark(0);
		ways[i]();
		AUTO_DB *db = open_db();
		assert_int_equal(count(db), i + 1);
		assert_false(is_kept());
	}
}

/* The last frame is not the one that the index knows: what lies before it counts. */
static void without_its_last_frame(void **state)
{
	(void)state;
	write_and_mark(10);
	off_t last = WAL_HEADER + (off_t)(word(shm, LAST_FRAME) - 1) * FRAME;
	int fd = open(wal, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "damage", 6, last + 16), 6);
	close(fd);
	AUTO_DB *db = open_db();
	assert_int_equal(count(db), 9);
	assert_false(is_kept());
	db_close(take(db));
	write_and_mark(0);
	assert_int_equal(truncate(wal, WAL_HEADER + 1), 0);
	db = open_db();
	assert_false(is_kept());
}

/* ---- beside SQLite's own ---- */

static sqlite3 *plain(void)
{
	sqlite3 *p = NULL;
	assert_int_equal(sqlite3_open_v2(path, &p, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	return p;
}

static int plain_count(void)
{
	sqlite3_stmt *s = NULL;
	sqlite3 *p = plain();
	NEED(sqlite3_prepare_v2(p, "SELECT count(*) FROM line", -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW);
	NEED(sqlite3_column_int(s, 0) == 5);
	NEED(sqlite3_exec(p, "INSERT INTO line VALUES (1000, 'theirs')", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_finalize(s);
	NEED(sqlite3_close(p) == SQLITE_OK);
	return 0;
}

static int plain_is_refused(void)
{
	sqlite3 *p = plain();
	NEED(sqlite3_exec(p, "INSERT INTO line VALUES (2000, 'theirs')", NULL, NULL, NULL) == SQLITE_BUSY);
	sqlite3_close(p);
	return 0;
}

static void shared_with_others(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	AUTO_DB *db = open_db(), *second = open_db(); /* two in one process, too */
	for (int64_t i = 1; i <= 5; i++)
		put(i % 2 ? db : second, i);
	assert_int_equal(child_status(plain_count), 0);
	assert_int_equal(count(db), 6);
	assert_int_equal(count(second), 6);
	AUTO_DB_TX tx = { 0 };
	assert_int_equal(db_begin(db, DB_WRITE, &tx, &e), 0);
	assert_int_equal(child_status(plain_is_refused), 0);
}

static int plain_alone(void)
{
	sqlite3 *p = plain();
	NEED(sqlite3_exec(p, "INSERT INTO line VALUES (6, 'theirs')", NULL, NULL, NULL) == SQLITE_OK);
	_exit(0); /* as if killed: the files stay */
}

/* Its index has no stamp: nobody knows where it was made. */
static void after_others(void **state)
{
	(void)state;
	write_and_mark(5);
	assert_int_equal(child_status(plain_alone), 0);
	assert_int_equal(word(shm, STAMP), 0);
	AUTO_DB *db = open_db();
	assert_int_equal(count(db), 6);
	assert_int_not_equal(word(shm, STAMP), 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(next_process_finds_it), TEST(made_anew), TEST(without_its_last_frame), TEST(shared_with_others), TEST(after_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
