/* top.c: see top.h. */
#include "engine/top.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "engine/box.h"
#include "engine/owner_ids.h"
#include "engine/start.h"
#include "oci/passwd.h"
#include "sys/proc.h"

enum {
	OUTPUT_MAX = 64 << 20,
	STATE_ARENA = 1 << 20,
	PATH_ROOM = 64,
	STAT_MAX = 4096,
	COMMAND_MAX = 1 << 20,
	CELL_MAX = 64,
	HOST_PASSWD_MAX = 16 << 20
};

static int add_row(ProcessTable *t, size_t *room, Arena *a, StrList cells)
{
	if (t->rows.n == *room) {
		size_t n = *room ? 2 * *room : 64;
		ProcessRow *items = arena_array(a, n, sizeof *items);
		if (!items) return -ENOMEM;
		if (t->rows.n) memcpy(items, t->rows.items, t->rows.n * sizeof *items);
		t->rows.items = items;
		*room = n;
	}
	t->rows.items[t->rows.n++] = (ProcessRow){ cells };
	return 0;
}

/* ---- from /proc ---- */

typedef struct Looking {
	Arena *arena;
	Str passwd;
	IdMaps maps; /* of the container; empty: users are the host's */
	uint64_t ticks;
	double uptime; /* s */
	ProcessTable *to;
	size_t room;
} Looking;

static const char *user_name(const Looking *l, uint32_t uid)
{
	Str rest = l->passwd, line, name, password, id, more;
	uint32_t v;
	while (str_next(&rest, '\n', &line)) {
		if (!str_cut(line, ':', &name, &more) || !str_cut(more, ':', &password, &more)) continue;
		str_cut(more, ':', &id, &more);
		if (str_to_u32(id, &v) < 0 || v != uid) continue;
		/* as ps has it: a longer one is cut, and says so */
		return name.n > 8 ? arena_printf(l->arena, "%.7s+", name.p) : arena_str(l->arena, name);
	}
	return arena_printf(l->arena, "%u", uid);
}

static int user_of(pid_t pid, uint32_t *ret)
{
	char path[PATH_ROOM], text[STAT_MAX];
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (fd_read_small(AT_FDCWD, path, text, sizeof text) < 0) return -ESRCH;
	const char *at = strstr(text, "\nUid:");
	unsigned real, effective;
	if (!at || sscanf(at, "\nUid: %u %u", &real, &effective) != 2) return -ESRCH;
	*ret = effective;
	return 0;
}

static const char *command_of(const Looking *l, pid_t pid, const char *comm)
{
	char path[PATH_ROOM];
	AUTO_BUF b = BUF_INIT(COMMAND_MAX);
	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fd_read_all(fd, &b) < 0 || !b.n) return arena_printf(l->arena, "[%s]", comm);
	while (b.n && !b.p[b.n - 1])
		b.n--;
	for (size_t i = 0; i < b.n; i++)
		if (!b.p[i] || b.p[i] == '\n') b.p[i] = ' ';
	return arena_str(l->arena, (Str){ b.p, b.n });
}

/* ps' STIME: the hour today, the day this year, else the year. */
static const char *start_text(const Looking *l, double age)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = time(NULL), then = now - (time_t)age;
	struct tm n, t;
	if (!localtime_r(&now, &n) || !localtime_r(&then, &t)) return "?";
	if (n.tm_year != t.tm_year) return arena_printf(l->arena, "%d", t.tm_year + 1900);
	if (n.tm_yday != t.tm_yday) return arena_printf(l->arena, "%s%02d", months[t.tm_mon % 12], t.tm_mday);
	return arena_printf(l->arena, "%02d:%02d", t.tm_hour, t.tm_min);
}

static const char *time_used(const Looking *l, uint64_t seconds)
{
	unsigned days = (unsigned)(seconds / 86400), rest = (unsigned)(seconds % 86400);
	if (days) return arena_printf(l->arena, "%u-%02u:%02u:%02u", days, rest / 3600, rest / 60 % 60, rest % 60);
	return arena_printf(l->arena, "%02u:%02u:%02u", rest / 3600, rest / 60 % 60, rest % 60);
}

static const char *terminal_name(const Looking *l, unsigned device)
{
	unsigned number = (device & 0xff) | (device >> 12 & 0xfff00), kind = device >> 8 & 0xfff;
	if (kind >= 136 && kind <= 143) return arena_printf(l->arena, "pts/%u", number + (kind - 136) * 256);
	if (kind == 4) return arena_printf(l->arena, number < 64 ? "tty%u" : "ttyS%u", number < 64 ? number : number - 64);
	return "?";
}

/* What ProcStat does not have: of one read of the file. */
static int read_stat(pid_t pid, char comm[static CELL_MAX], long long *ppid, long long *tty, uint64_t *used, uint64_t *start)
{
	char path[PATH_ROOM], text[STAT_MAX];
	unsigned long long user, kernel, begin;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (fd_read_small(AT_FDCWD, path, text, sizeof text) < 0) return -ESRCH;
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	if (!open || !close) return -ESRCH;
	snprintf(comm, CELL_MAX, "%.*s", (int)(close - open - 1), open + 1);
	/* fields 4, 7, 14, 15, 22 of proc(5) */
	if (sscanf(close + 1, " %*c %lld %*d %*d %lld %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu", ppid, tty, &user,
		   &kernel, &begin) != 5)
		return -ESRCH;
	*used = user + kernel;
	*start = begin;
	return 0;
}

static int look_at(Looking *l, pid_t pid)
{
	char comm[CELL_MAX];
	long long ppid, tty;
	uint64_t used, start;
	uint32_t uid;
	if (user_of(pid, &uid) < 0 || read_stat(pid, comm, &ppid, &tty, &used, &start) < 0) return 0; /* it has ended */
	double age = l->uptime - (double)start / (double)l->ticks;
	uint64_t seconds = used / l->ticks;
	unsigned percent = age > 0 ? (unsigned)((double)used / (double)l->ticks * 100 / age) : 0;
	const char *cells[] = { user_name(l, owner_inside(&l->maps.uids, uid)),
				arena_printf(l->arena, "%d", (int)pid),
				arena_printf(l->arena, "%lld", ppid),
				arena_printf(l->arena, "%u", percent > 99 ? 99 : percent),
				start_text(l, age > 0 ? age : 0),
				terminal_name(l, (unsigned)tty),
				time_used(l, seconds),
				command_of(l, pid, comm) };
	StrList row = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(cells); i++)
		if (str_list_add(&row, cells[i], l->arena) < 0) return -ENOMEM;
	return add_row(l->to, &l->room, l->arena, row);
}

/* Users have the names of the host, unless the container has users of its own. */
static int find_users(Looking *l, const Record *c, int64_t pid, Err *e)
{
	char path[PATH_ROOM], *text;
	Err ignored = ERR_INIT;
	int r = userns_maps(&c->host, l->arena, &l->maps, e);
	if (r < 0) return r;
	if (!l->maps.uids.n) {
		if (fd_read_file(AT_FDCWD, "/etc/passwd", HOST_PASSWD_MAX, l->arena, &text, &l->passwd.n, &ignored) >= 0)
			l->passwd.p = text;
		return 0;
	}
	snprintf(path, sizeof path, "/proc/%lld/root", (long long)pid);
	AUTO_FD int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	l->passwd = passwd_text(root, l->arena);
	return 0;
}

static int look(const Record *c, int64_t pid, const U32List *pids, Arena *a, ProcessTable *ret, Err *e)
{
	static const char *const titles[] = { "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD" };
	Looking l = { .arena = a, .ticks = (uint64_t)sysconf(_SC_CLK_TCK), .to = ret };
	char uptime[64];
	int r = find_users(&l, c, pid, e);
	if (r < 0) return r;
	if (fd_read_small(AT_FDCWD, "/proc/uptime", uptime, sizeof uptime) > 0) l.uptime = strtod(uptime, NULL);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(titles); i++)
		r = str_list_add(&ret->titles, titles[i], a);
	for (size_t i = 0; r >= 0 && i < pids->n; i++)
		r = look_at(&l, (pid_t)pids->items[i]);
	return r < 0 ? err_sys(e, -r, "top") : 0;
}

/* ---- from ps ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The words of a line; the last of at most max holds what is left. */
static int split(Str line, size_t max, Arena *a, StrList *ret)
{
	*ret = (StrList){ 0 };
	for (size_t i = 0; i < line.n;) {
		while (i < line.n && is_blank(line.p[i]))
			i++;
		size_t begin = i;
		bool last = max && ret->n + 1 == max;
		while (i < line.n && (last || !is_blank(line.p[i])))
			i++;
		while (last && i > begin && is_blank(line.p[i - 1]))
			i--;
		if (i > begin && str_list_add(ret, arena_str(a, (Str){ line.p + begin, i - begin }), a) < 0) return -ENOMEM;
		if (last) break;
	}
	return 0;
}

static bool has_pid(const U32List *pids, uint32_t pid)
{
	for (size_t i = 0; i < pids->n; i++)
		if (pids->items[i] == pid) return true;
	return false;
}

/* Lines of threads ("-" for the pid) belong to the process above them. */
int top_parse(Str text, const U32List *pids, Arena *a, ProcessTable *ret, Err *e)
{
	Str line;
	size_t at = 0, room = 0;
	bool ours = false;
	*ret = (ProcessTable){ 0 };
	if (!str_next(&text, '\n', &line) || split(line, 0, a, &ret->titles) < 0) return err_sys(e, ENOMEM, "top");
	while (at < ret->titles.n && !streq(ret->titles.items[at], "PID"))
		at++;
	if (at == ret->titles.n) return err_set(e, ERR_INTERNAL, EINVAL, "Couldn't find PID field in ps output");
	while (str_next(&text, '\n', &line)) {
		StrList cells;
		uint32_t pid;
		if (!str_trim(line).n) continue;
		if (split(line, ret->titles.n, a, &cells) < 0) return err_sys(e, ENOMEM, "top");
		if (at >= cells.n) continue;
		if (!streq(cells.items[at], "-")) {
			if (str_to_u32(str_of(cells.items[at]), &pid) < 0)
				return err_set(e, ERR_INTERNAL, EINVAL, "Unexpected pid '%s': invalid syntax", cells.items[at]);
			ours = has_pid(pids, pid);
		}
		if (ours && add_row(ret, &room, a, cells) < 0) return err_sys(e, ENOMEM, "top");
	}
	return 0;
}

/* A second column of pids under another name would let others' rows through. */
static int check_options(const StrList *options, Err *e)
{
	for (size_t i = 0; i < options->n; i++) {
		Str rest = str_of(options->items[i]), one, name, title;
		while (str_next(&rest, ',', &one)) {
			const char *blank = memrchr(one.p, ' ', one.n);
			if (blank) one = (Str){ blank + 1, one.n - (size_t)(blank + 1 - one.p) };
			if (str_cut(one, '=', &name, &title) && str_starts(str_trim(title), "PID") && !str_eq(name, "pid"))
				return err_set(e, ERR_USAGE, EINVAL, "specifying \"%.*s\" is not allowed", (int)one.n, one.p);
		}
	}
	return 0;
}

static _Noreturn void become_ps(const char *const *argv, int out, int err)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(126);
	unsetenv("COLUMNS"); /* rows are whole */
	execvp("ps", (char *const *)(uintptr_t)argv);
	dprintf(2, "executable file not found in $PATH\n");
	_exit(127);
}

/* Both streams of ps go to files, so that neither waits for the other. */
static int run_ps(const StrList *options, const char *more, Buf *out, Buf *err, int *ret_status, Err *e)
{
	AUTO_FD int out_fd = memfd_create("skep-ps", MFD_CLOEXEC), err_fd = memfd_create("skep-ps", MFD_CLOEXEC);
	AUTO_FREE const char **argv = calloc(options->n + 3, sizeof *argv);
	size_t n = 0;
	if (out_fd < 0 || err_fd < 0) return err_sys(e, errno, "ps");
	if (!argv) return err_sys(e, ENOMEM, "ps");
	argv[n++] = "ps";
	for (size_t i = 0; i < options->n; i++)
		argv[n++] = options->items[i];
	argv[n] = more;
	pid_t pid = fork();
	if (!pid) become_ps(argv, out_fd, err_fd);
	if (pid < 0 || retry_eintr(waitpid(pid, ret_status, 0)) < 0) return err_sys(e, errno, "ps");
	if (lseek(out_fd, 0, SEEK_SET) < 0 || lseek(err_fd, 0, SEEK_SET) < 0) return err_sys(e, errno, "ps");
	buf_reset(out);
	buf_reset(err);
	int r = fd_read_all(out_fd, out);
	if (r >= 0) r = fd_read_all(err_fd, err);
	return r < 0 ? err_sys(e, -r, "ps") : 0;
}

static bool succeeded(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Told which processes first; some options do not go with that. */
static int ask_ps(const StrList *options, const U32List *pids, Arena *a, ProcessTable *ret, Err *e)
{
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX), err = BUF_INIT(OUTPUT_MAX), list = BUF_INIT(OUTPUT_MAX);
	int status = 0, r = check_options(options, e);
	for (size_t i = 0; i < pids->n; i++)
		buf_printf(&list, i ? ",%u" : "-q%u", pids->items[i]);
	if (r < 0 || (r = run_ps(options, buf_str(&list), &out, &err, &status, e)) < 0) return r;
	if (!succeeded(status) && (r = run_ps(options, NULL, &out, &err, &status, e)) < 0) return r;
	if (!succeeded(status)) {
		size_t n = strcspn(buf_str(&err), "\n");
		return n ? err_set(e, ERR_INTERNAL, EINVAL, "ps: %.*s", (int)(n < 400 ? n : 400), buf_str(&err))
			 : err_set(e, ERR_INTERNAL, EINVAL, "ps: exit status %d", WIFEXITED(status) ? WEXITSTATUS(status) : 255);
	}
	char *copy = arena_str(a, (Str){ out.p, out.n });
	return copy ? top_parse((Str){ copy, out.n }, pids, a, ret, e) : err_sys(e, ENOMEM, "top");
}

int engine_top(Engine *g, const Record *c, const StrList *options, Arena *a, ProcessTable *ret, Err *e)
{
	AUTO_ARENA states = ARENA_INIT(STATE_ARENA);
	AUTO_BOX b = BOX_INIT;
	RunState state;
	U32List pids;
	*ret = (ProcessTable){ 0 };
	int r = engine_state(g, c, &states, &state, e);
	if (r < 0) return r;
	if (state.status == RUN_RESTARTING)
		return err_set(e, ERR_STATE, EBUSY, "Container %s is restarting, wait until the container is running", c->id);
	if (state.status != RUN_RUNNING) return err_set(e, ERR_STATE, ESRCH, "container %s is not running", c->id);
	if ((r = box_load(g, c, &b, e)) < 0 || (r = cgroup_pids(&b.container.state.cgroup, a, &pids, e)) < 0) return r;
	if ((r = options->n ? ask_ps(options, &pids, a, ret, e) : look(c, state.pid, &pids, a, ret, e)) < 0) return r;
	record_event(g, c, "top", NULL, NULL);
	return r;
}
