/* test_output.c: tables, --format, and the display of transfers on a terminal of our own. */
#include "base/duration.h"
#include "check.h"
#include "cli/format.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "sys/fd.h"
#include "sys/pty.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

const char skep_version[] = "1", skep_commit[] = "c";

/* ---- tables ---- */

static void assert_table(const char *text, const char *want)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_BUF b = BUF_INIT(65536);
	assert_int_equal(table_align(str_of(text), &a, &b), 0);
	assert_string_equal(buf_str(&b), want);
}

static void columns_are_aligned_as_dockers(void **state)
{
	(void)state;
	assert_table("", "");
	assert_table("a\tb\n", "a         b\n");
	assert_table("REPOSITORY\tTAG\tSIZE\ndebian\tlatest\t117MB\n", "REPOSITORY   TAG       SIZE\ndebian       latest    117MB\n");
	assert_table("h\xc3\xa9llo w\xc3\xb6rld\tx\ny\tz\n", "h\xc3\xa9llo w\xc3\xb6rld   x\ny             z\n");
	assert_table("a\t\tb\n\tc\n", "a                   b\n          c\n");
	assert_table("no tabs\nlong long long\tx\nplain\nb\ty\n", "no tabs\nlong long long   x\nplain\nb         y\n");
}

/* ---- --format ---- */

static const FormatField fields[] = { { "ID", "IMAGE ID" }, { "Name", "REPOSITORY" }, { NULL, NULL } };

static int format_all(const char *text, Arena *a, Format *f, const Buf **ret, Err *e)
{
	static const char *const rows[] = { "{\"ID\":\"1\",\"Name\":\"debian\"}", "{\"ID\":\"2\",\"Name\":\"busybox\"}" };
	int r = format_init(f, text, "table {{.Name}}\t{{.ID}}", fields, NULL, a, e);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(rows); i++) {
		JsonValue v;
		char *copy = arena_strdup(a, rows[i]);
		assert_int_equal(json_parse(copy, strlen(copy), a, &v, e), 0);
		r = format_row(f, &v, e);
	}
	return r < 0 ? r : format_finish(f, ret, e);
}

static void assert_format(const char *text, const char *want)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_FORMAT f = { 0 };
	Err e = ERR_INIT;
	const Buf *out = NULL;
	int r = format_all(text, &a, &f, &out, &e);
	assert_string_equal(r < 0 ? e.msg : buf_str(out), want);
}

static void formats_are_dockers(void **state)
{
	(void)state;
	static const char standard[] = "REPOSITORY   IMAGE ID\ndebian       1\nbusybox      2\n";
	assert_format(NULL, standard);
	assert_format("", standard);
	assert_format("table", standard);
	assert_format("json", "{\"ID\":\"1\",\"Name\":\"debian\"}\n{\"ID\":\"2\",\"Name\":\"busybox\"}\n");
	assert_format("{{.ID}}", "1\n2\n");
	assert_format("{{.ID}}\\t{{.Name}}", "1\tdebian\n2\tbusybox\n");
	assert_format("table {{.ID}}\\t{{upper .Name}}", "IMAGE ID   REPOSITORY\n1          DEBIAN\n2          BUSYBOX\n");
	assert_format("tablet {{.ID}}", "tablet 1\ntablet 2\n");
	assert_format("{{.ID", "template parsing error: template: :1: unclosed action");
	assert_format("table {{.Foo}}",
		      "template parsing error: template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\"");
}

/* What an image's author wrote is one cell of a table; a template of the user's own gets it as it is. */
static void tables_are_harmless(void **state)
{
	(void)state;
	static const struct {
		const char *format, *want;
	} rows[] = {
		{ NULL, "REPOSITORY   IMAGE ID\na ?[2J b??   1\n" },
		{ "{{.Name}}", "a\n\x1b[2J\tb\xc2\x9b\n" },
		{ "json", "{\"ID\":\"1\",\"Name\":\"a\\n\\u001b[2J\\tb\\u009b\"}\n" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		AUTO_FORMAT f = { 0 };
		Err e = ERR_INIT;
		JsonValue v;
		const Buf *out;
		char *text = arena_strdup(&a, "{\"ID\":\"1\",\"Name\":\"a\\n\\u001b[2J\\tb\\u009b\"}");
		assert_int_equal(json_parse(text, strlen(text), &a, &v, &e), 0);
		assert_int_equal(format_init(&f, rows[i].format, "table {{.Name}}\t{{.ID}}", fields, NULL, &a, &e), 0);
		assert_int_equal(format_row(&f, &v, &e), 0);
		assert_int_equal(format_finish(&f, &out, &e), 0);
		assert_string_equal(buf_str(out), rows[i].want);
	}
}

/* ---- progress ---- */

/* A terminal that knows what the display uses: text, \r, \n, up, clear to the end of the line or screen, colours. */
enum { SCREEN_ROWS = 12, SCREEN_COLUMNS = 100 };

typedef struct Screen {
	char cells[SCREEN_ROWS][SCREEN_COLUMNS + 1];
	size_t row, column;
	bool colored;
} Screen;

static void screen_code(Screen *s, const char *digits, char code)
{
	size_t n = (size_t)strtoul(digits, NULL, 10);
	switch (code) {
	case 'A':
		assert_true(n <= s->row);
		s->row -= n;
		break;
	case 'J':
		for (size_t r = s->row + 1; r < SCREEN_ROWS; r++)
			memset(s->cells[r], 0, sizeof s->cells[r]);
		__attribute__((fallthrough));
	case 'K':
		memset(s->cells[s->row] + s->column, 0, SCREEN_COLUMNS - s->column);
		break;
	case 'm':
		s->colored = true;
		break;
	default:
		fail_msg("unknown code %c", code);
	}
}

static void screen_put(Screen *s, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\033') {
			size_t end = i + 2 + strspn(p + i + 2, "0123456789");
			screen_code(s, p + i + 2, p[end]);
			i = end;
		} else if (p[i] == '\r') {
			s->column = 0;
		} else if (p[i] == '\n') {
			if (++s->row < SCREEN_ROWS) continue;
			memmove(s->cells[0], s->cells[1], sizeof s->cells - sizeof s->cells[0]);
			memset(s->cells[--s->row], 0, sizeof s->cells[0]);
		} else {
			assert_true(s->column < SCREEN_COLUMNS);
			s->cells[s->row][s->column++] = p[i];
		}
	}
}

static void screen_read(Screen *s, int master)
{
	char text[65536];
	struct pollfd p = { master, POLLIN, 0 };
	while (poll(&p, 1, 0) > 0) {
		ssize_t n = read(master, text, sizeof text - 1);
		if (n <= 0) return;
		text[n] = 0;
		screen_put(s, text, (size_t)n);
	}
}

static void assert_screen(Screen *s, const Pty *pty, const char *want)
{
	AUTO_BUF b = BUF_INIT(65536);
	screen_read(s, pty->master);
	for (size_t r = 0; r < SCREEN_ROWS; r++)
		if (s->cells[r][0] || r < s->row) buf_printf(&b, "%s\n", s->cells[r]);
	assert_string_equal(buf_str(&b), want);
}

static const int64_t MS = DURATION_MILLISECOND;

static void layers_are_redrawn_in_place(void **state)
{
	(void)state;
	AUTO_PTY pty = PTY_INIT;
	Err e = ERR_INIT;
	Screen s = { 0 };
	setenv("TERM", "xterm", 1);
	setenv("NO_COLOR", "1", 1);
	assert_int_equal(pty_open(-1, &pty, &e), 0);
	assert_int_equal(pty_set_size(pty.master, SCREEN_ROWS, SCREEN_COLUMNS), 0);
	assert_int_equal(progress_mode("auto", pty.slave), PROGRESS_TTY);
	AUTO_PROGRESS p;
	progress_init(&p, pty.slave, PROGRESS_TTY);
	assert_int_equal(progress_message(&p, "latest", "Pulling from library/debian", 0), 0);
	assert_int_equal(progress_update(&p, "a1b2c3d4e5f6", PROGRESS_PULLING, 0, 0, NULL, 100 * MS), 0);
	assert_int_equal(progress_update(&p, "b1b2c3d4e5f6", PROGRESS_WAITING, 0, 0, NULL, 200 * MS), 0);
	assert_screen(&s, &pty,
		      "latest: Pulling from library/debian\na1b2c3d4e5f6: Pulling fs layer\nb1b2c3d4e5f6: Waiting\n0/2 layers, 0B\n");
	assert_int_equal(progress_update(&p, "a1b2c3d4e5f6", PROGRESS_DOWNLOADING, 0, 50000000, NULL, 300 * MS), 0);
	assert_int_equal(progress_update(&p, "a1b2c3d4e5f6", PROGRESS_DOWNLOADING, 12300000, 50000000, NULL, 1300 * MS), 0);
	assert_screen(&s, &pty,
		      "latest: Pulling from library/debian\n"
		      "a1b2c3d4e5f6: Downloading [=========>                               ]   12.3MB/50MB\n"
		      "b1b2c3d4e5f6: Waiting\n0/2 layers, 12.3MB, 10.2MB/s, 4s left\n");
	/* too soon: nothing is written */
	assert_int_equal(progress_update(&p, "a1b2c3d4e5f6", PROGRESS_DOWNLOADED, 0, 0, NULL, 1310 * MS), 0);
	struct pollfd quiet = { pty.master, POLLIN, 0 };
	assert_int_equal(poll(&quiet, 1, 0), 0);
	assert_int_equal(progress_message(&p, NULL, "a \033[31mred\nherring", 1320 * MS), 0);
	assert_screen(&s, &pty,
		      "latest: Pulling from library/debian\na ?[31mred herring\n"
		      "a1b2c3d4e5f6: Download complete\nb1b2c3d4e5f6: Waiting\n0/2 layers, 12.3MB, 10.1MB/s\n");
	assert_int_equal(progress_update(&p, "a1b2c3d4e5f6", PROGRESS_PULLED, 0, 0, NULL, 1330 * MS), 0);
	assert_int_equal(progress_update(&p, "b1b2c3d4e5f6", PROGRESS_MOUNTED, 0, 0, "library/x", 1340 * MS), 0);
	assert_int_equal(progress_finish(&p, 1350 * MS), 0);
	assert_int_equal(progress_message(&p, NULL, "done", 1400 * MS), 0);
	assert_screen(&s, &pty,
		      "latest: Pulling from library/debian\na ?[31mred herring\n"
		      "a1b2c3d4e5f6: Pull complete\nb1b2c3d4e5f6: Mounted from library/x\ndone\n");
	assert_false(s.colored);
}

static void more_layers_than_rows_show_those_at_work(void **state)
{
	(void)state;
	AUTO_PTY pty = PTY_INIT;
	Err e = ERR_INIT;
	Screen s = { 0 };
	unsetenv("NO_COLOR");
	assert_int_equal(pty_open(-1, &pty, &e), 0);
	assert_int_equal(pty_set_size(pty.master, 6, 50), 0);
	AUTO_PROGRESS p;
	progress_init(&p, pty.slave, PROGRESS_TTY);
	for (int i = 0; i < 20; i++) {
		char id[16];
		snprintf(id, sizeof id, "layer%02d", i);
		ProgressStatus status = i == 3 || i == 17 ? PROGRESS_DOWNLOADING : PROGRESS_EXISTS;
		assert_int_equal(progress_update(&p, id, status, 5, 0, NULL, i), 0);
	}
	assert_int_equal(progress_tick(&p, 200 * MS), 0);
	assert_screen(&s, &pty,
		      "layer03: Downloading       5B\nlayer17: Downloading       5B\nlayer18: Already exists\n"
		      "layer19: Already exists\n18/20 layers, 0B\n");
	assert_true(s.colored);
}

static void a_narrower_terminal_is_cleared(void **state)
{
	(void)state;
	AUTO_PTY pty = PTY_INIT;
	Err e = ERR_INIT;
	Screen s = { 0 };
	assert_int_equal(pty_open(-1, &pty, &e), 0);
	assert_int_equal(pty_set_size(pty.master, SCREEN_ROWS, SCREEN_COLUMNS), 0);
	AUTO_PROGRESS p;
	progress_init(&p, pty.slave, PROGRESS_TTY);
	assert_int_equal(progress_update(&p, "a", PROGRESS_DOWNLOADING, 1, 10, NULL, 0), 0);
	assert_int_equal(pty_set_size(pty.master, SCREEN_ROWS, 40), 0);
	screen_read(&s, pty.master);
	/* the terminal folds its line of 63 columns into two */
	s.row++;
	assert_int_equal(progress_resize(&p, 200 * MS), 0);
	assert_screen(&s, &pty, "a: Downloading       1B/10B\n0/1 layers, 0B\n");
}

/* What the display writes to a file in a mode. */
static void write_all(ProgressMode mode, Buf *ret)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	AUTO_PROGRESS p;
	progress_init(&p, ends[1], mode);
	assert_int_equal(progress_message(&p, "latest", "Pulling from x", 0), 0);
	assert_int_equal(progress_update(&p, "a", PROGRESS_PULLING, 0, 0, NULL, 0), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(progress_update(&p, "a", PROGRESS_DOWNLOADING, 10 + i * 20, 100, NULL, i * 60 * MS), 0);
	assert_int_equal(progress_tick(&p, 400 * MS), 0);
	assert_int_equal(progress_update(&p, "a", PROGRESS_PULLED, 0, 0, NULL, 500 * MS), 0);
	assert_int_equal(progress_finish(&p, 600 * MS), 0);
	close(ends[1]);
	assert_int_equal(fd_read_all(ends[0], ret), 0);
	close(ends[0]);
}

static void pipes_get_lines(void **state)
{
	(void)state;
	AUTO_BUF plain = BUF_INIT(65536), json = BUF_INIT(65536), quiet = BUF_INIT(65536);
	write_all(PROGRESS_PLAIN, &plain);
	assert_string_equal(buf_str(&plain), "latest: Pulling from x\na: Pulling fs layer\na: Downloading\na: Pull complete\n");
	write_all(PROGRESS_QUIET, &quiet);
	assert_int_equal(quiet.n, 0);
	write_all(PROGRESS_JSON, &json);
	assert_string_equal(
		buf_str(&json),
		"{\"status\":\"Pulling from x\",\"progressDetail\":{},\"id\":\"latest\"}\n{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"a\"}\n"
		"{\"status\":\"Downloading\",\"progressDetail\":{\"current\":10,\"total\":100},\"progress\":\"[=====>                                             ]      10B/100B\",\"id\":\"a\"}\n"
		"{\"status\":\"Downloading\",\"progressDetail\":{\"current\":50,\"total\":100},\"progress\":\"[=========================>                         ]      50B/100B\",\"id\":\"a\"}\n"
		"{\"status\":\"Downloading\",\"progressDetail\":{\"current\":90,\"total\":100},\"progress\":\"[=============================================>     ]      90B/100B\",\"id\":\"a\"}\n"
		"{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"a\"}\n");
	assert_int_equal(progress_mode(NULL, -1), PROGRESS_PLAIN);
	assert_int_equal(progress_mode("json", -1), PROGRESS_JSON);
	assert_int_equal(progress_mode("fancy", -1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_aligned_as_dockers),
		cmocka_unit_test(formats_are_dockers),
		cmocka_unit_test(tables_are_harmless),
		cmocka_unit_test(layers_are_redrawn_in_place),
		cmocka_unit_test(more_layers_than_rows_show_those_at_work),
		cmocka_unit_test(a_narrower_terminal_is_cleared),
		cmocka_unit_test(pipes_get_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
