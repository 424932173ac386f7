/* test_logs.c: logs as they are written and read back: lines, frames, JSON, files that are rotated, compressed and torn while they are read. */
#include "check.h"

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/log_json.h"
#include "engine/log_reader.h"
#include "monitor/log_driver.h"
#include "monitor/log_lines.h"

/* ---- a directory of a container ---- */

static const char id[] = "0123456789abcdef";

typedef struct Place {
	char path[64];
	int dir;
} Place;

static void place_make(Place *p)
{
	snprintf(p->path, sizeof p->path, "/tmp/test_logs.XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->dir >= 0);
}

static void place_remove(Place *p)
{
	DIR *d = fdopendir(p->dir);
	assert_non_null(d);
	for (const struct dirent *entry; (entry = readdir(d));)
		if (entry->d_name[0] != '.') assert_int_equal(unlinkat(p->dir, entry->d_name, 0), 0);
	closedir(d);
	assert_int_equal(rmdir(p->path), 0);
}

static LogDriver *open_log(const Place *p, const LogDriverType *t, StrMap options, StrMap fields)
{
	LogDriver *d;
	Err e = ERR_INIT;
	const LogTarget target = { .dir = p->dir, .id = id, .name = "n", .options = &options, .fields = &fields, .tag = "" };
	if (t->open(&target, &d, &e) < 0) fail_msg("%s", e.msg);
	return d;
}

static LogReader *open_reader(const Place *p, const LogDriverType *t, StrMap options, int64_t tail)
{
	LogReader *r;
	Err e = ERR_INIT;
	const LogReadOptions o = { .dir = p->dir, .id = id, .driver = t->kind->name, .options = &options, .tail = tail };
	if (log_reader_open(&o, &r, &e) < 0) fail_msg("%s", e.msg);
	return r;
}

static int next(LogReader *r, const LogEntry **ret)
{
	Err e = ERR_INIT;
	int x = log_reader_next(r, ret, &e);
	if (x < 0) fail_msg("%s", e.msg);
	return x;
}

static void put_number(const LogDriverType *t, LogDriver *d, int i)
{
	char text[32];
	int n = snprintf(text, sizeof text, "line %d\n", i);
	const LogLine l = { .stream = i % 2 ? LOG_STDERR : LOG_STDOUT, .time = 1000000000LL * i, .text = { text, (size_t)n } };
	assert_int_equal(t->put(d, &l), 0);
	assert_int_equal(t->flush(d), 0);
}

/* The lines from `from` on, as long as there are some; the one that comes next. */
static int expect_numbers(LogReader *r, int from)
{
	const LogEntry *e;
	char text[32];
	while (next(r, &e)) {
		int n = snprintf(text, sizeof text, "line %d\n", from);
		assert_int_equal(e->line.text.n, n);
		assert_memory_equal(e->line.text.p, text, n);
		assert_int_equal(e->line.stream, from % 2 ? LOG_STDERR : LOG_STDOUT);
		assert_int_equal(e->line.time, 1000000000LL * from);
		from++;
	}
	return from;
}

static const LogDriverType *const kept[] = { &log_json_file, &log_local };
static StrPair small_items[] = { { "compress", "false" }, { "max-file", "3" }, { "max-size", "1k" } };
static const StrMap small = { small_items, 3 };

/* ---- lines ---- */

typedef struct Seen {
	Buf text;
	int n;
	LogLine last;
} Seen;

static void see(void *arg, const LogLine *l)
{
	Seen *s = arg;
	buf_put(&s->text, l->text.p, l->text.n);
	s->last = *l;
	s->n++;
}

static void lines_are_cut_at_their_ends(void **state)
{
	LogLines l;
	Seen s = { .text = BUF_INIT(1 << 20) };
	log_lines_init(&l);
	assert_int_equal(log_lines_feed(&l, LOG_STDOUT, 1, "a\nb", 3, see, &s), 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(log_lines_feed(&l, LOG_STDERR, 2, "x", 1, see, &s), 0);
	assert_int_equal(log_lines_feed(&l, LOG_STDOUT, 3, "c\n\n", 3, see, &s), 0);
	assert_int_equal(s.n, 3);
	assert_string_equal(buf_str(&s.text), "a\nbc\n\n");
	assert_int_equal(log_lines_feed(&l, LOG_STDERR, 4, NULL, 0, see, &s), 0);
	assert_int_equal(s.n, 4);
	assert_int_equal(s.last.piece, 1); /* as docker has it: its end has not come */
	assert_false(s.last.last);
	assert_int_equal(s.last.time, 2);
	buf_done(&s.text);
	log_lines_done(&l);
}

static void long_lines_come_in_pieces(void **state)
{
	enum { N = 50000 };
	static char line[N + 1];
	LogLines l;
	Seen s = { .text = BUF_INIT(1 << 20) };
	memset(line, 'x', N);
	memcpy(line + LOG_LINE_MAX - 2, "\xf0\x9f\x98\x80", 4); /* over the end of the first piece */
	line[N] = '\n';
	log_lines_init(&l);
	for (size_t at = 0; at <= N; at += 1000)
		assert_int_equal(log_lines_feed(&l, LOG_STDOUT, (int64_t)at, line + at, at + 1000 > N ? N + 1 - at : 1000, see, &s), 0);
	assert_int_equal(s.text.n, N + 1);
	assert_memory_equal(s.text.p, line, N + 1);
	assert_int_equal(s.n, 4);
	assert_int_equal(s.last.piece, 4);
	assert_true(s.last.last);
	assert_int_equal(s.last.time, 0);
	buf_reset(&s.text);
	s.n = 0;
	assert_int_equal(log_lines_feed(&l, LOG_STDOUT, 0, line, LOG_LINE_MAX, see, &s), 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.text.n, LOG_LINE_MAX - 2); /* the character is kept together */
	buf_done(&s.text);
	log_lines_done(&l);
}

/* ---- frames ---- */

static void frames_are_read_back(void **state)
{
	StrPair pairs[] = { { "a", "" }, { "b", "c d" } };
	const StrMap fields = { pairs, 2 };
	const LogLine l = { .stream = LOG_STDERR, .time = -5, .text = { "ab\0cd", 5 }, .piece = 7, .last = true };
	AUTO_BUF b = BUF_INIT(4096);
	static LogEntry e;
	log_frame_put(&b, &l, &fields);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(log_frame_get(b.p, n, &e), 0);
	assert_int_equal(log_frame_get(b.p, b.n, &e), (ssize_t)b.n);
	assert_int_equal(e.line.stream, LOG_STDERR);
	assert_int_equal(e.line.time, -5);
	assert_int_equal(e.line.piece, 7);
	assert_true(e.line.last);
	assert_int_equal(e.line.text.n, 5);
	assert_memory_equal(e.line.text.p, "ab\0cd", 5);
	assert_int_equal(e.fields.n, 2);
	assert_string_equal(str_map_get(&e.fields, "b"), "c d");
	for (size_t i = 0; i < b.n; i++) { /* what is damaged is no frame */
		b.p[i] ^= 0x10;
		assert_true(log_frame_get(b.p, b.n, &e) <= 0);
		b.p[i] ^= 0x10;
	}
}

/* ---- JSON ---- */

static void decode(const char *text, LogEntry *e, int expected)
{
	AUTO_FREE char *copy = strdup(text);
	assert_non_null(copy);
	assert_int_equal(log_json_decode(copy, strlen(text), e), expected);
	e->line.text.p = NULL; /* in what is freed now */
}

static void json_lines_are_decoded(void **state)
{
	static LogEntry e;
	char text[] =
		"{\"log\":\"a\\u0000\\u00e9\\ud83d\\ude00\\ud83d \\\"\\\\\\n\",\"x\":[1,{\"y\":\"}\"}],\"stream\":\"stderr\",\"attrs\":{\"k\":\"v w\"},"
		"\"n\":null,\"time\":\"2026-01-02T03:04:05.5Z\"}";
	assert_int_equal(log_json_decode(text, sizeof text - 1, &e), 0);
	assert_int_equal(e.line.text.n, 15);
	assert_memory_equal(e.line.text.p, "a\0\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd \"\\\n", 15);
	assert_int_equal(e.line.stream, LOG_STDERR);
	assert_int_equal(e.line.time % 1000000000, 500000000);
	assert_string_equal(str_map_get(&e.fields, "k"), "v w");
	decode("{\"log\":\"a\",\"time\":\"2026-01-02T03:04:05Z\"}", &e, 0);
	assert_int_equal(e.line.stream, LOG_STDOUT);
	static const char *const wrong[] = { "",
					     "{",
					     "{}",
					     "[]",
					     "{\"log\":\"a\"}",
					     "{\"log\":\"a\",\"time\":\"yesterday\"}",
					     "{\"log\":\"a\\x\",\"time\":\"2026-01-02T03:04:05Z\"}",
					     "{\"log\":\"a\",\"time\":\"2026-01-02T03:04:05Z\"",
					     "{\"log\":\"a\",\"time\":\"2026-01-02T03:04:05Z\"}}",
					     "{\"log\":\"a\\u12\",\"time\":\"2026-01-02T03:04:05Z\"}",
					     "{\"log\":1,\"time\":\"2026-01-02T03:04:05Z\"}" };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		decode(wrong[i], &e, -EBADMSG);
}

static void any_bytes_come_back(void **state)
{
	for (size_t k = 0; k < ARRAY_LEN(kept); k++) {
		Place p;
		StrPair pairs[] = { { "label", "a<l\"l" } };
		char text[257];
		const LogEntry *e;
		for (int i = 0; i < 128; i++)
			text[i] = (char)i;
		memcpy(text + 128, "\xc3\xa9\xe2\x80\xa8\n", 6);
		place_make(&p);
		LogDriver *d = open_log(&p, kept[k], (StrMap){ 0 }, (StrMap){ pairs, 1 });
		const LogLine l = { .stream = LOG_STDOUT, .time = 1, .text = { text, 134 } };
		assert_int_equal(kept[k]->put(d, &l), 0);
		assert_int_equal(kept[k]->flush(d), 0);
		LogReader *r = open_reader(&p, kept[k], (StrMap){ 0 }, -1);
		assert_int_equal(next(r, &e), 1);
		assert_int_equal(e->line.text.n, 134);
		assert_memory_equal(e->line.text.p, text, 134);
		if (kept[k] == &log_json_file) assert_string_equal(str_map_get(&e->fields, "label"), "a<l\"l");
		assert_int_equal(next(r, &e), 0);
		log_reader_free(&r);
		kept[k]->close(d);
		place_remove(&p);
	}
}

/* ---- files ---- */

/* A reader that looks after each so many lines sees each once, and one that looks late what is kept. */
static void nothing_is_lost_or_twice_at_rotations(void **state)
{
	for (size_t k = 0; k < ARRAY_LEN(kept); k++)
		for (int step = 1; step < 30; step += 7) {
			Place p;
			place_make(&p);
			LogDriver *d = open_log(&p, kept[k], small, (StrMap){ 0 });
			LogReader *r = open_reader(&p, kept[k], small, -1);
			int seen = 0;
			for (int i = 0; i < 400; i++) {
				put_number(kept[k], d, i);
				if (i % step == 0) {
					seen = expect_numbers(r, seen);
					assert_int_equal(seen, i + 1);
				}
			}
			log_reader_free(&r);
			r = open_reader(&p, kept[k], small, -1);
			const LogEntry *e;
			assert_int_equal(next(r, &e), 1);
			int first = (int)(e->line.time / 1000000000);
			assert_true(first > 0 && first < 400 - 20);
			assert_int_equal(expect_numbers(r, first + 1), 400);
			log_reader_free(&r);
			kept[k]->close(d);
			place_remove(&p);
		}
}

static void rotated_files_keep_to_their_number_and_size(void **state)
{
	for (size_t k = 0; k < ARRAY_LEN(kept); k++) {
		Place p;
		char name[LOG_FILE_PATH_MAX];
		struct stat st;
		place_make(&p);
		LogDriver *d = open_log(&p, kept[k], small, (StrMap){ 0 });
		for (int i = 0; i < 400; i++)
			put_number(kept[k], d, i);
		for (int i = 0; i < 4; i++) {
			log_file_name(kept[k] == &log_local ? "container.log" : "0123456789abcdef-json.log", i, false, name);
			int there = fstatat(p.dir, name, &st, 0) == 0;
			assert_int_equal(there, i < 3);
			if (there) assert_true(st.st_size < 1000 + 120);
		}
		kept[k]->close(d);
		place_remove(&p);
	}
}

static void the_last_lines_are_found(void **state)
{
	for (size_t k = 0; k < ARRAY_LEN(kept); k++) {
		Place p;
		place_make(&p);
		LogDriver *d = open_log(&p, kept[k], small, (StrMap){ 0 });
		for (int i = 0; i < 400; i++)
			put_number(kept[k], d, i);
		for (int n = 0; n < 25; n++) {
			LogReader *r = open_reader(&p, kept[k], small, n);
			assert_int_equal(expect_numbers(r, 400 - n), 400);
			put_number(kept[k], d, 400); /* and what follows */
			assert_int_equal(expect_numbers(r, 400), 401);
			log_reader_free(&r);
			kept[k]->close(d);
			place_remove(&p);
			place_make(&p);
			d = open_log(&p, kept[k], small, (StrMap){ 0 });
			for (int i = 0; i < 400; i++)
				put_number(kept[k], d, i);
		}
		kept[k]->close(d);
		place_remove(&p);
	}
}

static void pack(const Place *p, const char *name)
{
	char packed[80], comment[LOG_FILE_COMMENT_MAX];
	Err e = ERR_INIT;
	struct stat st;
	snprintf(packed, sizeof packed, "%s.gz", name);
	int in = openat(p->dir, name, O_RDONLY), out = openat(p->dir, packed, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(in >= 0 && out >= 0);
	assert_int_equal(fstat(in, &st), 0);
	log_file_comment(&st, comment);
	if (gzip_file(in, out, comment, &e) < 0) fail_msg("%s", e.msg);
	close(in);
	close(out);
}

static void expect_all(const Place *p, const LogDriverType *t, int n)
{
	LogReader *r = open_reader(p, t, small, -1);
	assert_int_equal(expect_numbers(r, 0), n);
	log_reader_free(&r);
	for (int tail = 0; tail <= n; tail++) {
		r = open_reader(p, t, small, tail);
		assert_int_equal(expect_numbers(r, n - tail), n);
		log_reader_free(&r);
	}
}

/* While it is read, while both forms are there, and while it is moved. */
static void compressed_files_are_read(void **state)
{
	for (size_t k = 0; k < ARRAY_LEN(kept); k++) {
		Place p;
		char older[64], packed[80];
		int i = 0, seen = 0;
		place_make(&p);
		snprintf(older, sizeof older, "%s.1", kept[k] == &log_local ? "container.log" : "0123456789abcdef-json.log");
		snprintf(packed, sizeof packed, "%s.gz", older);
		LogDriver *d = open_log(&p, kept[k], small, (StrMap){ 0 });
		LogReader *early = open_reader(&p, kept[k], small, -1), *follower = open_reader(&p, kept[k], small, -1);
		while (faccessat(p.dir, older, F_OK, 0) < 0) {
			put_number(kept[k], d, i++);
			if (i == 3) seen = expect_numbers(early, seen); /* it holds the first file, and has not read it to its end */
		}
		assert_int_equal(expect_numbers(follower, 0), i);
		pack(&p, older);
		expect_all(&p, kept[k], i);
		assert_int_equal(unlinkat(p.dir, older, 0), 0);
		expect_all(&p, kept[k], i);
		assert_int_equal(expect_numbers(early, seen), i);
		seen = i;
		while (faccessat(p.dir, older, F_OK, 0) < 0) /* the next one, which moves the first */
			put_number(kept[k], d, i++);
		assert_int_equal(faccessat(p.dir, packed, F_OK, 0), -1);
		expect_all(&p, kept[k], i);
		assert_int_equal(expect_numbers(early, seen), i);
		assert_int_equal(expect_numbers(follower, seen), i);
		log_reader_free(&early);
		log_reader_free(&follower);
		kept[k]->close(d);
		place_remove(&p);
	}
}

/* A writer was killed within a line. */
static void torn_lines_are_not_seen_and_cut_off(void **state)
{
	for (size_t k = 0; k < ARRAY_LEN(kept); k++)
		for (int keep = 1; keep < 28; keep += 3) { /* a frame has 28 bytes */
			Place p;
			char name[64], bytes[128];
			place_make(&p);
			snprintf(name, sizeof name, "%s", kept[k] == &log_local ? "container.log" : "0123456789abcdef-json.log");
			LogDriver *d = open_log(&p, kept[k], (StrMap){ 0 }, (StrMap){ 0 });
			put_number(kept[k], d, 0);
			put_number(kept[k], d, 1);
			kept[k]->close(d);
			int fd = openat(p.dir, name, O_RDWR | O_APPEND);
			assert_int_equal(pread(fd, bytes, (size_t)keep, 0), keep);
			assert_int_equal(write(fd, bytes, (size_t)keep), keep);
			close(fd);
			LogReader *r = open_reader(&p, kept[k], (StrMap){ 0 }, -1);
			assert_int_equal(expect_numbers(r, 0), 2);
			d = open_log(&p, kept[k], (StrMap){ 0 }, (StrMap){ 0 });
			put_number(kept[k], d, 2);
			assert_int_equal(expect_numbers(r, 2), 3); /* who held it before the cut goes on, too */
			log_reader_free(&r);
			r = open_reader(&p, kept[k], (StrMap){ 0 }, 2);
			assert_int_equal(expect_numbers(r, 1), 3);
			log_reader_free(&r);
			kept[k]->close(d);
			place_remove(&p);
		}
}

static void times_choose_lines(void **state)
{
	Place p;
	Err e = ERR_INIT;
	LogReader *r;
	place_make(&p);
	LogDriver *d = open_log(&p, &log_json_file, (StrMap){ 0 }, (StrMap){ 0 });
	for (int i = 0; i < 10; i++)
		put_number(&log_json_file, d, i);
	const StrMap none = { 0 };
	const LogReadOptions o = {
		.dir = p.dir, .id = id, .driver = "json-file", .options = &none, .since = 3000000000, .until = 6000000000, .tail = -1
	};
	assert_int_equal(log_reader_open(&o, &r, &e), 0);
	assert_int_equal(expect_numbers(r, 3), 7);
	assert_true(r->ended);
	log_reader_free(&r);
	log_json_file.close(d);
	place_remove(&p);
}

static void other_drivers_keep_nothing(void **state)
{
	LogReader *r;
	Err e = ERR_INIT;
	const StrMap none = { 0 };
	const LogReadOptions o = { .dir = -1, .id = id, .driver = "syslog", .options = &none, .tail = -1 };
	assert_int_equal(log_reader_open(&o, &r, &e), -ENOTSUP);
	assert_string_equal(e.msg, "configured logging driver does not support reading");
}

/* ---- races ---- */

/* The writer is a thread that goes on by steps, from one change of a name to the next, when the reader is about to open a file: at a certain call by so many
 * steps, then at each so-and-so-manieth by one. */
static struct {
	const LogDriverType *type;
	LogDriver *log;
	const Place *place;
	sem_t writer, reader; /* whose turn it is */
	int written;          /* lines */
	int at, every, lead;  /* of the reader's calls; of the writer, at the first of them */
	int calls, left;      /* of the reader so far; steps that are left */
	bool packs, ending, on;
} race;
static __thread bool is_writer;

int __real_openat(int dir, const char *path, int flags, ...);
int __real_openat64(int dir, const char *path, int flags, ...);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_unlinkat(int dir, const char *path, int flags);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_unlinkat(int dir, const char *path, int flags);

static void wait_for(sem_t *s)
{
	while (sem_wait(s) < 0)
		;
}

/* Of the writer: a name is about to change. */
static void yield_turn(void)
{
	if (!is_writer || race.ending) return;
	sem_post(&race.reader);
	wait_for(&race.writer);
}

/* Of the reader. */
static void give_turn(void)
{
	if (is_writer || !race.on || race.calls++ < race.at || (race.calls - 1 - race.at) % race.every) return;
	for (int i = race.calls - 1 > race.at ? race.lead - 1 : 0; i < race.lead && race.left > 0; i++, race.left--) {
		sem_post(&race.writer);
		wait_for(&race.reader);
	}
}

int __wrap_openat(int dir, const char *path, int flags, ...)
{
	give_turn();
	return __real_openat(dir, path, flags, 0640);
}

int __wrap_openat64(int dir, const char *path, int flags, ...)
{
	give_turn();
	return __real_openat64(dir, path, flags, 0640);
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	yield_turn();
	return __real_renameat(from_dir, from, to_dir, to);
}

int __wrap_unlinkat(int dir, const char *path, int flags)
{
	yield_turn();
	return __real_unlinkat(dir, path, flags);
}

static ino_t current_file(void)
{
	struct stat st;
	const char *name = race.type == &log_local ? "container.log" : "0123456789abcdef-json.log";
	return fstatat(race.place->dir, name, &st, 0) < 0 ? 0 : st.st_ino;
}

static void rotate_now(void)
{
	char older[64];
	snprintf(older, sizeof older, "%s.1", race.type == &log_local ? "container.log" : "0123456789abcdef-json.log");
	for (ino_t before = current_file(); current_file() == before;)
		put_number(race.type, race.log, race.written++);
	if (!race.packs) return;
	pack(race.place, older);
	assert_int_equal(unlinkat(race.place->dir, older, 0), 0);
}

static void *write_on(void *arg)
{
	is_writer = true;
	wait_for(&race.writer);
	while (!race.ending)
		rotate_now();
	sem_post(&race.reader);
	return NULL;
}

static StrPair many_items[] = { { "compress", "false" }, { "max-file", "9" }, { "max-size", "300" } };
static const StrMap many = { many_items, 3 };
enum { MANY_STEPS = 60 }; /* three or four rotations: nothing is rotated away */

/* While it opens the files, or while it looks for the next one. True: the call that was meant did come. */
static bool race_once(const LogDriverType *t, bool opening, bool packs, int at, int every, int lead)
{
	Place p;
	pthread_t thread;
	place_make(&p);
	race = (__typeof__(race)){ .type = t, .log = open_log(&p, t, many, (StrMap){ 0 }), .place = &p, .packs = packs };
	race.left = MANY_STEPS;
	race.at = at;
	race.every = every;
	race.lead = lead;
	for (int i = 0; i < 3; i++)
		rotate_now();
	LogReader *r = opening ? NULL : open_reader(&p, t, many, -1);
	int seen = opening ? 0 : expect_numbers(r, 0);
	if (!opening) rotate_now();
	sem_init(&race.writer, 0, 0);
	sem_init(&race.reader, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, write_on, NULL), 0);
	race.on = true;
	if (opening) r = open_reader(&p, t, many, -1);
	seen = expect_numbers(r, seen);
	bool came = race.calls > at;
	race.on = false;
	race.ending = true;
	sem_post(&race.writer);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(expect_numbers(r, seen), race.written);
	log_reader_free(&r);
	t->close(race.log);
	place_remove(&p);
	return came;
}

static void files_may_move_at_any_moment(void **state)
{
	for (int how = 0; how < 8; how++) {
		int stride = how & 6 ? 2 : 1; /* all of it for plain JSON */
		for (int every = 1; every < 6; every += stride)
			for (int lead = 1; lead < 21; lead += stride)
				for (int at = 0; at < 12 && race_once(kept[how >> 2], how & 1, how & 2, at, every, lead); at += stride)
					;
	}
}

/* ---- options ---- */

static void options_are_checked_in_dockers_words(void **state)
{
#define BEFORE "failed to create task for container: failed to initialize logging driver: "
	static const struct {
		const char *driver, *key, *value, *message;
	} wrong[] = {
		{ "json-file", "nosuch", "1", "unknown log opt 'nosuch' for json-file log driver" },
		{ "journald", "max-size", "1k", "unknown log opt 'max-size' for journald log driver" },
		{ "local", "labels", "a", "unknown log opt 'labels' for log driver local" },
		{ "json-file", "max-size", "x", BEFORE "invalid size: 'x'" },
		{ "json-file", "max-size", "-1", BEFORE "invalid size: '-1'" },
		{ "json-file", "max-size", "0", BEFORE "max-size must be a positive number" },
		{ "json-file", "max-file", "0", BEFORE "max-file cannot be less than 1" },
		{ "json-file", "max-file", "x", BEFORE "strconv.Atoi: parsing \"x\": invalid syntax" },
		{ "json-file", "compress", "maybe", BEFORE "strconv.ParseBool: parsing \"maybe\": invalid syntax" },
		{ "json-file", "mode", "sometimes", "logger: logging mode not supported: sometimes" },
		{ "json-file", "max-buffer-size", "1m", "logger: max-buffer-size option is only supported with 'mode=non-blocking'" },
		{ "syslog", "syslog-address", "http://x", "unsupported scheme: 'http'" },
		{ "syslog", "syslog-facility", "nosuch", "invalid syslog facility" },
		{ "syslog", "syslog-format", "nosuch", "Invalid syslog format" },
		{ "none", "tag", "x", "invalid logging opts for driver none" },
		{ "nosuch", "tag", "x", "error looking up logging plugin nosuch: plugin \"nosuch\" not found" },
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		StrPair pair = { wrong[i].key, wrong[i].value };
		const StrMap options = { &pair, 1 };
		Err e = ERR_INIT;
		assert_true(log_options_check(wrong[i].driver, &options, &e) < 0);
		assert_string_equal(e.msg, wrong[i].message);
	}
	StrPair tls = { "syslog-address", "tcp+tls://host:1" };
	const StrMap with_tls = { &tls, 1 };
	Err e = ERR_INIT;
	assert_int_equal(log_options_check("syslog", &with_tls, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "speaks no TLS"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_cut_at_their_ends),
		cmocka_unit_test(long_lines_come_in_pieces),
		cmocka_unit_test(frames_are_read_back),
		cmocka_unit_test(json_lines_are_decoded),
		cmocka_unit_test(any_bytes_come_back),
		cmocka_unit_test(nothing_is_lost_or_twice_at_rotations),
		cmocka_unit_test(rotated_files_keep_to_their_number_and_size),
		cmocka_unit_test(the_last_lines_are_found),
		cmocka_unit_test(compressed_files_are_read),
		cmocka_unit_test(torn_lines_are_not_seen_and_cut_off),
		cmocka_unit_test(files_may_move_at_any_moment),
		cmocka_unit_test(times_choose_lines),
		cmocka_unit_test(other_drivers_keep_nothing),
		cmocka_unit_test(options_are_checked_in_dockers_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
