/* cmd_state.c: state, list, ps. */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/runtime/commands.h"

enum { OUTPUT_MAX = 64 * 1024 * 1024 };

int state_run(Invocation *in, Err *e)
{
	AUTO_CONTAINER c = { .dir = -1 };
	int r = container_load(runtime_of(in), in->args.items[0], in->arena, &c, e);
	if (r < 0) return r;
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	JsonWriter w = JSON_WRITER(&out);
	w.indent = 2;
	container_state_write(&c, container_status(&c), true, &w);
	buf_putc(&out, '\n');
	return print_buf(&out, e);
}

enum { CELL_ID, CELL_PID, CELL_STATUS, CELL_BUNDLE, CELL_CREATED, CELL_OWNER, CELLS };
typedef struct Row {
	const char *cell[CELLS];
} Row;

static void put_cell(Buf *b, const char *text, size_t width)
{
	buf_printf(b, "%-*s", (int)width, text);
}

static void put_table(Buf *b, const Row *rows, size_t n)
{
	size_t width[CELL_OWNER] = { 0 };
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < ARRAY_LEN(width); k++) {
			size_t w = strlen(rows[i].cell[k]) + 3;
			width[k] = w > width[k] ? w : width[k];
		}
	}
	for (size_t k = 0; k < ARRAY_LEN(width); k++)
		if (width[k] < 12) width[k] = 12;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < ARRAY_LEN(width); k++)
			put_cell(b, rows[i].cell[k], width[k]);
		buf_printf(b, "%s\n", rows[i].cell[CELL_OWNER]);
	}
}

/* One container's output in the asked-for format; one that vanishes meanwhile, or is half made, is left out. */
static int list_one(Invocation *in, const char *id, JsonWriter *w, Row *row)
{
	AUTO_CONTAINER c = { .dir = -1 };
	Err ignored = ERR_INIT;
	if (container_load(runtime_of(in), id, in->arena, &c, &ignored) < 0) return 0;
	ContainerStatus s = container_status(&c);
	if (w) container_state_write(&c, s, true, w);
	*row = (Row){
		.cell[CELL_ID] = c.state.id,
		.cell[CELL_PID] = arena_printf(in->arena, "%lld", s == STATUS_STOPPED ? 0 : (long long)c.state.pid),
		.cell[CELL_STATUS] = container_status_name(s),
		.cell[CELL_BUNDLE] = c.state.bundle,
		.cell[CELL_CREATED] = c.state.created,
		.cell[CELL_OWNER] = c.state.owner ? arena_printf(in->arena, "%u", c.state.owner) : "root",
	};
	return row->cell[CELL_PID] && row->cell[CELL_OWNER] ? 1 : -ENOMEM;
}

int list_run(Invocation *in, Err *e)
{
	const char *format = option_value(in, "format");
	StrList ids;
	bool json = format && streq(format, "json");
	if (format && !json && !streq(format, "table"))
		return err_set(e, ERR_USAGE, EINVAL, "invalid format option: \"%.32s\"; allowed: table, json", format);
	int r = container_list(runtime_of(in), global_value(in, "root") != NULL, in->arena, &ids, e);
	if (r < 0) return r;
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	if (option_switch(in, "quiet")) {
		for (size_t i = 0; i < ids.n; i++)
			buf_printf(&out, "%s\n", ids.items[i]);
		return print_buf(&out, e);
	}
	Row *rows = arena_array(in->arena, ids.n + 1, sizeof *rows);
	if (!rows) return err_sys(e, ENOMEM, "list");
	JsonWriter w = JSON_WRITER(&out);
	size_t n = 0;
	rows[n++] = (Row){ { "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER" } };
	if (json) json_begin_array(&w);
	for (size_t i = 0; i < ids.n; i++) {
		r = list_one(in, ids.items[i], json ? &w : NULL, &rows[n]);
		if (r < 0) return err_sys(e, r, "list");
		n += (size_t)r;
	}
	if (json) {
		json_end_array(&w);
		buf_putc(&out, '\n');
	} else {
		put_table(&out, rows, n);
	}
	return print_buf(&out, e);
}

/* What ps prints. It is looked for where the caller's PATH says: it is the caller who asked for it. */
static int run_ps(const char *const *args, Buf *out, Err *e)
{
	int p[2], status = 0;
	if (pipe2(p, O_CLOEXEC) < 0) return err_sys(e, errno, "ps");
	pid_t pid = fork();
	if (pid == 0) {
		if (dup2(p[1], 1) == 1) execvp(args[0], (char *const *)(uintptr_t)args);
		_exit(127);
	}
	fd_close(p[1]);
	int r = pid < 0 ? -errno : fd_read_all(p[0], out);
	fd_close(p[0]);
	if (pid > 0 && retry_eintr(waitpid(pid, &status, 0)) < 0) r = -errno;
	if (r < 0) return err_sys(e, r, "ps");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "ps is not installed: use --format json, or install procps");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : err_set(e, ERR_IO, EIO, "ps failed");
}

static bool has_pid(const U32List *pids, uint32_t pid)
{
	for (size_t i = 0; i < pids->n; i++)
		if (pids->items[i] == pid) return true;
	return false;
}

/* The host's ps(1), its lines filtered by the column PID. */
static int print_ps(Invocation *in, const U32List *pids, Buf *out, Err *e)
{
	const char **args = arena_array(in->arena, in->args.n + 3, sizeof *args);
	size_t n = 0, column = SIZE_MAX;
	if (!args) return err_sys(e, ENOMEM, "ps");
	args[n++] = "ps";
	for (size_t i = 1; i < in->args.n; i++)
		args[n++] = in->args.items[i];
	if (n == 1) args[n++] = "-ef";
	AUTO_BUF text = BUF_INIT(OUTPUT_MAX);
	int r = run_ps(args, &text, e);
	if (r < 0) return r;
	Str rest = { buf_str(&text), text.n }, line;
	for (bool first = true; str_next(&rest, '\n', &line); first = false) {
		Str words = line, word;
		uint32_t pid = 0;
		bool match = first;
		size_t at = 0;
		while (str_next(&words, ' ', &word)) {
			if (!word.n) continue;
			if (first && str_eq(word, "PID")) column = at;
			if (!first && at == column && str_to_u32(word, &pid) == 0) match = has_pid(pids, pid);
			at++;
		}
		if (first && column == SIZE_MAX) return err_set(e, ERR_USAGE, EINVAL, "couldn't find PID field in ps output");
		if (match) buf_printf(out, "%.*s\n", (int)line.n, line.p);
	}
	return 0;
}

int ps_run(Invocation *in, Err *e)
{
	AUTO_CONTAINER c = { .dir = -1 };
	const char *format = option_value(in, "format");
	U32List pids;
	if (format && !streq(format, "json") && !streq(format, "table"))
		return err_set(e, ERR_USAGE, EINVAL, "invalid format option: \"%.32s\"; allowed: table, json", format);
	int r = container_load(runtime_of(in), in->args.items[0], in->arena, &c, e);
	if (r < 0 || (r = cgroup_pids(&c.state.cgroup, in->arena, &pids, e)) < 0) return r;
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	if (format && streq(format, "json")) {
		JsonWriter w = JSON_WRITER(&out);
		json_begin_array(&w);
		for (size_t i = 0; i < pids.n; i++)
			json_uint(&w, pids.items[i]);
		json_end_array(&w);
		buf_putc(&out, '\n');
	} else if ((r = print_ps(in, &pids, &out, e)) < 0) {
		return r;
	}
	return print_buf(&out, e);
}
