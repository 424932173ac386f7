/* bootstrap_debian.c: see bootstrap.h. mmdebstrap writes a tar to a pipe, which the worker reads: it is never a directory here. */
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "image/bootstrap.h"
#include "image/tar_image.h"
#include "oci/platform.h"
#include "sys/fd.h"
#include "sys/fd_limit.h"

enum { SOURCES_MAX = 16, TARGETS_MAX = 1 << 20, DAY = 86400, ARGS_MAX = SOURCES_MAX + 16 };

static const char environment_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* ---- processes ---- */

/* A program from PATH with standard output into a pipe; with its messages dropped when quiet. */
static pid_t start(const char *program, char *const *args, char *const *env, bool quiet, int *ret_out, Err *e)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0) return err_sys(e, errno, "%s", program);
	AUTO_FD int out = ends[0], into = ends[1];
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0) return err_sys(e, errno, "open /dev/null");
	pid_t pid = fork();
	if (pid < 0) return err_sys(e, errno, "%s: fork", program);
	if (!pid) {
		fd_limit_restore();
		if (dup2(null, 0) == 0 && dup2(into, 1) == 1 && (!quiet || dup2(null, 2) == 2)) execvpe(program, args, env);
		_exit(errno == ENOENT ? 127 : 126);
	}
	*ret_out = take_fd(out);
	return pid;
}

static int status_of(pid_t pid)
{
	int status;
	if (retry_eintr(waitpid(pid, &status, 0)) < 0) return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- where packages come from ---- */

/* Sources: "deb URL SUITE COMPONENTS" lines for mmdebstrap. */
typedef struct Sources {
	const char *lines[SOURCES_MAX];
	size_t n;
	const char *other; /* the mirror of another Debian suite of this machine; NULL: none */
} Sources;

static int add_source(Sources *s, Str url, Str release, Arena *a)
{
	if (s->n == SOURCES_MAX) return 0;
	char *line = arena_printf(a, "deb %.*s %.*s main", (int)url.n, url.p, (int)release.n, release.p);
	if (!line) return -ENOMEM;
	for (size_t i = 0; i < s->n; i++)
		if (streq(s->lines[i], line)) return 0;
	s->lines[s->n++] = line;
	return 0;
}

/* One line of apt's answer: URL, release, label, component. */
static int take_target(Sources *s, Str line, const char *suite, Arena *a)
{
	Str field[4], rest = line;
	size_t n = strlen(suite);
	for (size_t i = 0; i < ARRAY_LEN(field); i++)
		if (!str_next(&rest, ' ', &field[i])) return 0;
	if (!str_eq(field[3], "main")) return 0;
	Str release = field[1];
	/* "bookworm", and what belongs to it: "bookworm-updates", "bookworm-security" */
	if (str_starts(release, suite) && (release.n == n || release.p[n] == '-')) return add_source(s, field[0], release, a);
	if (!s->other && str_eq(field[2], "Debian") && !memchr(release.p, '-', release.n)) {
		s->other = arena_str(a, field[0]);
		return s->other ? 0 : -ENOMEM;
	}
	return 0;
}

/* What this machine's apt is configured for; nothing where there is no apt. */
static int find_sources(Sources *s, const char *suite, Arena *a, Err *e)
{
	static char *const args[] = { (char *)"apt-get",
				      (char *)"indextargets",
				      (char *)"--format",
				      (char *)"$(REPO_URI) $(RELEASE) $(LABEL) $(COMPONENT)",
				      (char *)"Identifier: Packages",
				      (char *)"Origin: Debian",
				      NULL };
	AUTO_BUF text = BUF_INIT(TARGETS_MAX);
	AUTO_FD int out = -1;
	pid_t pid = start("apt-get", args, environ, true, &out, e);
	if (pid < 0) return (int)pid;
	int r = fd_read_all(out, &text);
	out = fd_close(out);
	if (status_of(pid) != 0 || r < 0) return 0;
	Str rest = { buf_str(&text), text.n }, line;
	while (str_next(&rest, '\n', &line))
		if (take_target(s, line, suite, a) < 0) return err_sys(e, ENOMEM, "read apt's sources");
	return 0;
}

/* ---- times ---- */

/* What is released has one day for ever, so the same packages make the same image whenever it is made. */
static int64_t release_day(const char *suite)
{
	static const struct {
		const char *suite, *day;
	} days[] = {
		{ "buster", "2019-07-06T00:00:00Z" },
		{ "bullseye", "2021-08-14T00:00:00Z" },
		{ "bookworm", "2023-06-10T00:00:00Z" },
		{ "trixie", "2025-08-09T00:00:00Z" },
	};
	int64_t at = time_now();
	for (size_t i = 0; i < ARRAY_LEN(days); i++)
		if (streq(suite, days[i].suite) && time_parse(str_of(days[i].day), &at) < 0) break;
	return at / 1000000000 / DAY * DAY;
}

int bootstrap_epoch(int64_t fallback, int64_t *ret, Err *e)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	uint64_t seconds;
	*ret = fallback;
	if (!text || !*text) return 0;
	if (str_to_u64(str_of(text), &seconds) < 0 || seconds > INT64_C(9000000000))
		return err_set(e, ERR_CONFIG, EINVAL, "SOURCE_DATE_EPOCH=%.40s: expected seconds since 1970", text);
	*ret = (int64_t)seconds;
	return 0;
}

/* ---- mmdebstrap ---- */

typedef struct Build {
	char *args[ARGS_MAX + 1];
	size_t n_args;
	char **env;
} Build;

static void add_arg(Build *b, const char *arg)
{
	if (arg && b->n_args < ARGS_MAX) b->args[b->n_args++] = (char *)(uintptr_t)arg;
}

static int make_args(Build *b, const BootstrapOptions *o, Arena *a, Err *e)
{
	Sources s = { 0 };
	int r = o->mirror ? 0 : find_sources(&s, o->suite, a, e);
	if (r < 0) return r;
	const char *variant = arena_printf(a, "--variant=%s", o->variant);
	const char *include = o->include && *o->include ? arena_printf(a, "--include=%s", o->include) : NULL;
	if (!variant || (o->include && *o->include && !include)) return err_sys(e, ENOMEM, "mmdebstrap");
	add_arg(b, "mmdebstrap");
	add_arg(b, "--quiet");
	add_arg(b, "--format=tar");
	add_arg(b, variant);
	add_arg(b, include);
	add_arg(b, o->suite);
	add_arg(b, "-");
	add_arg(b, o->mirror ? o->mirror : s.n ? NULL : s.other);
	for (size_t i = 0; i < s.n; i++)
		add_arg(b, s.lines[i]);
	return 0;
}

/* Ours, with the time that everything gets. */
static int make_environment(Build *b, int64_t epoch, Arena *a, Err *e)
{
	size_t n = 0, at = 0;
	while (environ[n])
		n++;
	b->env = arena_array(a, n + 2, sizeof(char *));
	char *time = arena_printf(a, "SOURCE_DATE_EPOCH=%jd", (intmax_t)epoch);
	if (!b->env || !time) return err_sys(e, ENOMEM, "mmdebstrap");
	for (size_t i = 0; i < n; i++)
		if (!starts_with(environ[i], "SOURCE_DATE_EPOCH=")) b->env[at++] = environ[i];
	b->env[at] = time;
	return 0;
}

static int check_words(const BootstrapOptions *o, Err *e)
{
	const char *words[] = { o->suite, o->variant };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		for (const char *p = words[i]; *p || p == words[i]; p++)
			if (!isalnum((unsigned char)*p) && (p == words[i] || !strchr("-._", *p)))
				return err_set(e, ERR_USAGE, EINVAL, "bootstrap: \"%.60s\" is no name of a %s", words[i],
					       i ? "variant" : "suite");
	return 0;
}

/* Both ends may fail, one often because of the other: who was first is told by what had arrived. */
static int judge(int r, int status, uint64_t bytes, const char *suite, Err *e)
{
	if (status == 127) return err_set(e, ERR_NOT_FOUND, ENOENT, "bootstrap: mmdebstrap is not installed");
	if (status && (r >= 0 || !bytes))
		return err_set(e, ERR_IO, EIO, "bootstrap: mmdebstrap could not make %s (status %d); its messages are above", suite,
			       status);
	return r;
}

int bootstrap_debian(ImageStore *s, const BootstrapOptions *o, Arena *a, Image *ret, Err *e)
{
	static const char *const env[] = { environment_path, NULL }, *const cmd[] = { "bash", NULL };
	Build b = { 0 };
	char created[TIME_TEXT_MAX];
	int64_t epoch;
	int r = check_words(o, e);
	if (r < 0 || (r = bootstrap_epoch(release_day(o->suite), &epoch, e)) < 0) return r;
	if ((r = make_args(&b, o, a, e)) < 0 || (r = make_environment(&b, epoch, a, e)) < 0) return r;
	time_format(epoch * 1000000000, TIME_SECONDS, created);
	AUTO_FD int out = -1;
	pid_t pid = start("mmdebstrap", b.args, b.env, false, &out, e);
	if (pid < 0) return (int)pid;
	const TarImage t = { .input = out,
			     .name = o->name,
			     .config = { .created = created,
					 .platform = *platform_host(),
					 .config = { .env = { (const char **)(uintptr_t)env, 1 },
						     .cmd = { (const char **)(uintptr_t)cmd, 1 } } },
			     .step = { .created = created, .created_by = o->created_by } };
	uint64_t bytes;
	r = tar_image_add(s, &t, a, ret, &bytes, e);
	out = fd_close(out);
	return judge(r, status_of(pid), bytes, o->suite, e);
}
