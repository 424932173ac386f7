/* test_library.c: libskepruntime as its user sees it: this file knows the public header alone. The containers need root. */
#include <skep-runtime.h>

#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* Scene: a folder with a bundle and the state of the containers made of it. */
typedef struct Scene {
	char dir[64], bundle[128], root[128], cgroup[64], last[256];
	skep_runtime *runtime;
	skep_error *error;
	int messages;
} Scene;

static void take_message(void *data, int level, const char *message)
{
	Scene *s = data;
	assert_true(level >= SKEP_LOG_DEBUG && level <= SKEP_LOG_ERROR);
	assert_null(strchr(message, '\n'));
	snprintf(s->last, sizeof s->last, "%s", message);
	s->messages++;
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void copy_program(const char *from, const char *to)
{
	char chunk[65536];
	size_t n;
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	assert_true(in && out);
	while ((n = fread(chunk, 1, sizeof chunk, in)) > 0)
		assert_int_equal(fwrite(chunk, 1, n, out), n);
	assert_int_equal(fclose(in) | fclose(out), 0);
	assert_int_equal(chmod(to, 0755), 0);
}

static void make_dir(const char *dir, const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

/* A configuration whose program has these arguments (JSON strings). */
static void configure(const Scene *s, const char *args)
{
	char text[4096];
	snprintf(text, sizeof text,
		 "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"},\"hostname\":\"library\","
		 "\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\",\"args\":[%s],\"env\":[\"PATH=/\",\"A=own\"]},"
		 "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
		 "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}],"
		 "\"linux\":{\"cgroupsPath\":\"%s\",\"resources\":{\"pids\":{\"limit\":32}},"
		 "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}]}}",
		 args, s->cgroup);
	write_file(s->bundle, "config.json", text);
}

static void open_runtime(Scene *s)
{
	skep_runtime_options o;
	SKEP_OPTIONS_INIT(&o);
	o.root = s->root;
	o.log = take_message;
	o.log_data = s;
	o.log_level = SKEP_LOG_DEBUG;
	assert_int_equal(skep_runtime_open(&o, &s->runtime, s->error), 0);
}

static int set_up(void **state)
{
	Scene *s = calloc(1, sizeof *s);
	char path[256];
	assert_non_null(s);
	*state = s;
	snprintf(s->dir, sizeof s->dir, "/tmp/skep-library-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->bundle, sizeof s->bundle, "%s/bundle", s->dir);
	snprintf(s->root, sizeof s->root, "%s/state", s->dir);
	snprintf(s->cgroup, sizeof s->cgroup, "/%s", s->dir + strlen("/tmp/"));
	make_dir(s->dir, "bundle");
	make_dir(s->bundle, "rootfs");
	make_dir(s->bundle, "rootfs/proc");
	snprintf(path, sizeof path, "%s/rootfs/guest", s->bundle);
	copy_program(GUEST, path);
	s->error = skep_error_new();
	assert_non_null(s->error);
	open_runtime(s);
	return 0;
}

static void remove_all(const char *dir, const char *const *names)
{
	char path[256];
	for (; *names; names++) {
		snprintf(path, sizeof path, "%s/%s", dir, *names);
		if (remove(path) < 0 && errno != ENOENT) fprintf(stderr, "left behind: %s: %s\n", path, strerror(errno));
	}
}

static int tear_down(void **state)
{
	static const char *const names[] = { "bundle/rootfs/guest",
					     "bundle/rootfs/proc",
					     "bundle/rootfs/dev",
					     "bundle/rootfs",
					     "bundle/config.json",
					     "bundle",
					     "pid",
					     "state",

					     NULL };
	Scene *s = *state;
	if (geteuid() == 0) skep_container_delete(s->runtime, "c", SKEP_DELETE_FORCE, NULL);
	skep_runtime_free(s->runtime);
	skep_error_free(s->error);
	remove_all(s->dir, names);
	rmdir(s->dir);
	free(s);
	return 0;
}

static bool needs_root(void)
{
	if (geteuid() == 0 && !root_is_no_mount()) return false;
	print_message("SKIP: containers are made by root here, whose / is a mount\n");
	skip();
	return true;
}

static void ok_at(Scene *s, int r, int line)
{
	if (r < 0) fail_msg("line %d: %d: %s", line, r, skep_error_get_message(s->error));
	assert_string_equal(skep_error_get_message(s->error), "");
	assert_int_equal(skep_error_get_code(s->error), SKEP_ERROR_NONE);
	assert_int_equal(skep_error_get_errno(s->error), 0);
}
#define OK(s, call) ok_at((s), (call), __LINE__)

/* The call fails with that code, and the message says this. */
static void refused(Scene *s, int r, int code, const char *part)
{
	const char *message = skep_error_get_message(s->error);
	if (r >= 0) fail_msg("not refused; expected \"%s\"", part);
	if (skep_error_get_code(s->error) != code) fail_msg("%s: \"%s\"", skep_error_code_name(skep_error_get_code(s->error)), message);
	assert_int_equal(-r, skep_error_get_errno(s->error));
	if (!strstr(message, part)) fail_msg("\"%s\" does not say \"%s\"", message, part);
	assert_null(strchr(message, '\n'));
}

static void assert_status(Scene *s, const char *status)
{
	char want[64], *text = NULL;
	OK(s, skep_container_state(s->runtime, "c", &text, s->error));
	snprintf(want, sizeof want, "\"status\":\"%s\"", status);
	if (!strstr(text, want)) fail_msg("expected %s in %s", want, text);
	skep_free(text);
}

static pid_t pid_of_init(Scene *s)
{
	char *text = NULL;
	long pid = 0;
	OK(s, skep_container_state(s->runtime, "c", &text, s->error));
	const char *at = strstr(text, "\"pid\":");
	assert_non_null(at);
	pid = strtol(at + strlen("\"pid\":"), NULL, 10);
	skep_free(text);
	assert_true(pid > 1);
	return (pid_t)pid;
}

static int create(Scene *s, unsigned flags)
{
	skep_create_options o;
	SKEP_OPTIONS_INIT(&o);
	o.id = "c";
	o.bundle = s->bundle;
	o.flags = flags;
	return skep_container_create(s->runtime, &o, s->error);
}

static int run(Scene *s, unsigned flags)
{
	skep_create_options o;
	SKEP_OPTIONS_INIT(&o);
	o.id = "c";
	o.bundle = s->bundle;
	o.flags = flags;
	return skep_container_run(s->runtime, &o, s->error);
}

static skep_exec_options exec_of(const char *const *args)
{
	skep_exec_options o;
	SKEP_OPTIONS_INIT(&o);
	o.args = args;
	return o;
}

static int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static bool is_empty_dir(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;
	if (!d) return errno == ENOENT;
	while (readdir(d))
		n++;
	closedir(d);
	return n == 2;
}

/* ---- without containers ---- */

static void documents_are_written(void **state)
{
	Scene *s = *state;
	char *text = NULL;
	assert_true(*skep_version() && *skep_spec_version());
	OK(s, skep_features(&text, s->error));
	assert_non_null(strstr(text, skep_spec_version()));
	skep_free(text);
	for (int rootless = 0; rootless <= 1; rootless++) {
		OK(s, skep_spec_default(rootless, 1000, 1000, &text, s->error));
		OK(s, skep_spec_check(text, strlen(text), s->error));
		refused(s, skep_spec_check(text, strlen(text) / 2, s->error), SKEP_ERROR_CONFIG, "config.json: invalid JSON at byte ");
		skep_free(text);
	}
	skep_free(NULL);
	OK(s, skep_container_list(s->runtime, &text, s->error));
	assert_string_equal(text, "[]");
	skep_free(text);
}

static void options_know_their_size(void **state)
{
	Scene *s = *state;
	struct {
		skep_runtime_options known;
		char newer[16];
	} later;
	skep_runtime *rt = NULL;
	memset(&later, 0, sizeof later);
	refused(s, skep_runtime_open(&later.known, &rt, s->error), SKEP_ERROR_USAGE, "size");
	later.known.size = sizeof later;
	OK(s, skep_runtime_open(&later.known, &rt, s->error));
	skep_runtime_free(rt);
	later.newer[3] = 1;
	assert_int_equal(skep_runtime_open(&later.known, &rt, s->error), -E2BIG);
	later.known.size = sizeof later.known.size; /* a caller older than every member */
	later.known.root = "not looked at";
	OK(s, skep_runtime_open(&later.known, &rt, s->error));
	skep_runtime_free(rt);
	OK(s, skep_runtime_open(NULL, &rt, s->error));
	skep_runtime_free(rt);
	skep_runtime_free(NULL);
}

static void wrong_arguments_are_told(void **state)
{
	Scene *s = *state;
	skep_runtime_options o;
	skep_runtime *rt = NULL;
	char *text = (char *)"untouched";
	SKEP_OPTIONS_INIT(&o);
	o.root = "relative";
	refused(s, skep_runtime_open(&o, &rt, s->error), SKEP_ERROR_USAGE, "root: must be an absolute path");
	o.root = NULL;
	o.cgroup_manager = 3;
	refused(s, skep_runtime_open(&o, &rt, s->error), SKEP_ERROR_USAGE, "cgroup_manager: 3");
	assert_null(rt);
	refused(s, skep_container_state(s->runtime, "nobody", &text, s->error), SKEP_ERROR_NOT_FOUND, "\"nobody\" does not exist");
	refused(s, skep_container_state(s->runtime, "../x", &text, s->error), SKEP_ERROR_NOT_FOUND, "does not exist");
	refused(s, skep_container_state(s->runtime, NULL, &text, s->error), SKEP_ERROR_USAGE, "id");
	refused(s, skep_container_state(NULL, "x", &text, s->error), SKEP_ERROR_USAGE, "runtime");
	refused(s, skep_container_kill(s->runtime, "nobody", 15, 0, s->error), SKEP_ERROR_NOT_FOUND, "nobody");
	refused(s, skep_container_delete(s->runtime, "nobody", 0, s->error), SKEP_ERROR_NOT_FOUND, "nobody");
	refused(s, skep_container_delete(s->runtime, "nobody", 8, s->error), SKEP_ERROR_USAGE, "flags: 0x8");
	refused(s, skep_container_create(s->runtime, NULL, s->error), SKEP_ERROR_USAGE, "options");
	assert_string_equal(text, "untouched");
	assert_int_equal(skep_container_state(s->runtime, "nobody", &text, NULL), -ENOENT); /* nobody needs to ask why */
	assert_string_equal(skep_error_code_name(SKEP_ERROR_NOT_FOUND), "NOT_FOUND");
	assert_string_equal(skep_error_code_name(99), "?");
}

static void *second_thread(void *data)
{
	pthread_mutex_lock(data);
	pthread_mutex_unlock(data);
	return NULL;
}

static void threads_are_refused_where_they_do_not_fit(void **state)
{
	Scene *s = *state;
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;
	char *text = NULL;
	configure(s, "\"/guest\",\"exit\",\"0\"");
	pthread_mutex_lock(&mutex);
	assert_int_equal(pthread_create(&thread, NULL, second_thread, &mutex), 0);
	int r = create(s, 0);
	assert_int_equal(r, -EBUSY);
	refused(s, r, SKEP_ERROR_USAGE, "2 threads");
	OK(s, skep_container_list(s->runtime, &text, s->error));
	skep_free(text);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
}

static void bad_configurations_leave_nothing(void **state)
{
	Scene *s = *state;
	refused(s, create(s, 0), SKEP_ERROR_NOT_FOUND, "config.json not found");
	write_file(s->bundle, "config.json", "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":7}}");
	refused(s, create(s, 0), SKEP_ERROR_CONFIG, "config.json: root.path: expected a string, got");
	refused(s, create(s, SKEP_RUN_DETACH), SKEP_ERROR_USAGE, "flags: 0x4");
	skep_create_options o;
	SKEP_OPTIONS_INIT(&o);
	o.id = "c";
	o.bundle = s->bundle;
	o.preserve_fds = 1000;
	configure(s, "\"/guest\",\"wait\"");
	refused(s, skep_container_create(s->runtime, &o, s->error), SKEP_ERROR_USAGE, "is not open");
	assert_true(is_empty_dir(s->root));
}

/* ---- with them ---- */

/* Creates with a pipe as the container's standard output; returns the end to read. */
static int create_piped(Scene *s, const skep_create_options *o)
{
	int p[2], own = fcntl(1, F_DUPFD_CLOEXEC, 3);
	assert_true(own >= 0 && pipe2(p, O_CLOEXEC) == 0 && dup2(p[1], 1) == 1);
	int r = skep_container_create(s->runtime, o, s->error);
	assert_int_equal(dup2(own, 1), 1);
	close(own);
	close(p[1]);
	OK(s, r);
	return p[0];
}

/* The program has said that it waits for SIGTERM: sent earlier, the kernel would drop it, as for any init. */
static void await_ready(int fd)
{
	char text[7] = "";
	assert_int_equal(read(fd, text, 6), 6);
	assert_string_equal(text, "ready\n");
	close(fd);
}

static void a_container_lives(void **state)
{
	static const char *const exit_5[] = { "/guest", "exit", "5", NULL };
	static const char *const no_such[] = { "/none", NULL };
	Scene *s = *state;
	char *text = NULL, before[4096], after[4096], pid_file[128];
	int status = 0, descriptors = count_descriptors();
	if (needs_root()) return;
	assert_non_null(getcwd(before, sizeof before));
	configure(s, "\"/guest\",\"wait\"");
	snprintf(pid_file, sizeof pid_file, "%s/pid", s->dir);
	skep_create_options o;
	SKEP_OPTIONS_INIT(&o);
	o.id = "c";
	o.bundle = s->bundle;
	o.pid_file = pid_file;
	int out = create_piped(s, &o);
	assert_non_null(getcwd(after, sizeof after));
	assert_string_equal(before, after);
	assert_status(s, "created");
	assert_int_equal(access(pid_file, R_OK), 0);
	assert_true(s->messages > 0); /* at the level "debug" something is said of every creation */
	refused(s, skep_container_create(s->runtime, &o, s->error), SKEP_ERROR_EXISTS, "already exists");
	refused(s, skep_container_resume(s->runtime, "c", s->error), SKEP_ERROR_STATE, "not paused");
	OK(s, skep_container_start(s->runtime, "c", s->error));
	await_ready(out);
	assert_status(s, "running");
	refused(s, skep_container_start(s->runtime, "c", s->error), SKEP_ERROR_STATE, "already running");

	skep_exec_options x = exec_of(exit_5);
	int r = skep_container_exec(s->runtime, "c", &x, s->error);
	OK(s, r);
	assert_int_equal(r, 5);
	x = exec_of(no_such);
	refused(s, skep_container_exec(s->runtime, "c", &x, s->error), SKEP_ERROR_NO_COMMAND, "/none");

	OK(s, skep_container_list(s->runtime, &text, s->error));
	assert_non_null(strstr(text, "[{\"ociVersion\""));
	assert_non_null(strstr(text, "\"id\":\"c\""));
	skep_free(text);
	pid_t pid = pid_of_init(s);
	refused(s, skep_container_delete(s->runtime, "c", 0, s->error), SKEP_ERROR_STATE, "not stopped");
	OK(s, skep_container_kill(s->runtime, "c", SIGTERM, 0, s->error));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_status(s, "stopped");
	refused(s, skep_container_kill(s->runtime, "c", SIGTERM, 0, s->error), SKEP_ERROR_STATE, "not running");
	refused(s, skep_container_stats(s->runtime, "c", &text, s->error), SKEP_ERROR_STATE, "not running");
	OK(s, skep_container_delete(s->runtime, "c", 0, s->error));
	refused(s, skep_container_state(s->runtime, "c", &text, s->error), SKEP_ERROR_NOT_FOUND, "does not exist");
	assert_true(is_empty_dir(s->root));
	assert_int_equal(count_descriptors(), descriptors);
}

static void run_detached(Scene *s)
{
	configure(s, "\"/guest\",\"wait\"");
	int r = run(s, SKEP_RUN_DETACH);
	OK(s, r);
	assert_int_equal(r, 0);
}

static void delete_with_force(Scene *s)
{
	int status = 0;
	pid_t pid = pid_of_init(s);
	OK(s, skep_container_delete(s->runtime, "c", SKEP_DELETE_FORCE, s->error));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	OK(s, skep_container_delete(s->runtime, "c", SKEP_DELETE_FORCE, s->error)); /* gone already: fine */
	assert_true(is_empty_dir(s->root));
}

static void processes_enter_as_asked(void **state)
{
	static const char *const env_more[] = { "/guest", "env", "B", "more", NULL }, *const env_own[] = { "/guest", "env", "A", "own",
													   NULL };
	static const char *const more[] = { "B=more", NULL };
	static const char *const cwd[] = { "/guest", "cwd", "/proc", NULL }, *const ids[] = { "/guest", "ids", "12", "34", NULL };
	Scene *s = *state;
	if (needs_root()) return;
	run_detached(s);
	skep_exec_options x = exec_of(env_more);
	x.env = more;
	assert_int_equal(skep_container_exec(s->runtime, "c", &x, s->error), 0);
	x.args = env_own;
	assert_int_equal(skep_container_exec(s->runtime, "c", &x, s->error), 0);
	x = exec_of(cwd);
	x.cwd = "/proc";
	assert_int_equal(skep_container_exec(s->runtime, "c", &x, s->error), 0);
	x = exec_of(ids);
	x.uid = 12;
	x.gid = 34;
	assert_int_equal(skep_container_exec(s->runtime, "c", &x, s->error), 1); /* without the flag they do not count */
	x.flags = SKEP_EXEC_USER;
	assert_int_equal(skep_container_exec(s->runtime, "c", &x, s->error), 0);
	x = exec_of(NULL);
	refused(s, skep_container_exec(s->runtime, "c", &x, s->error), SKEP_ERROR_USAGE, "args");
	x.process_json = "{\"cwd\":\"/\",\"args\":[\"/guest\",\"exit\",\"6\"],\"user\":{\"uid\":0,\"gid\":0}}";
	assert_int_equal(skep_container_exec(s->runtime, "c", &x, s->error), 6);
	x.process_json = "{\"cwd\":\"relative\",\"args\":[\"/guest\"]}";
	refused(s, skep_container_exec(s->runtime, "c", &x, s->error), SKEP_ERROR_CONFIG, "process.cwd");
	x.cwd = "/";
	refused(s, skep_container_exec(s->runtime, "c", &x, s->error), SKEP_ERROR_USAGE, "process_json");
	delete_with_force(s);
}

static void limits_and_pauses(void **state)
{
	static const char *const exit_5[] = { "/guest", "exit", "5", NULL };
	Scene *s = *state;
	char *text = NULL, want[32];
	if (needs_root()) return;
	run_detached(s);
	OK(s, skep_container_processes(s->runtime, "c", &text, s->error));
	snprintf(want, sizeof want, "[%d]", (int)pid_of_init(s));
	assert_string_equal(text, want);
	skep_free(text);
	OK(s, skep_container_stats(s->runtime, "c", &text, s->error));
	assert_non_null(strstr(text, "\"limit\":32"));
	skep_free(text);
	OK(s, skep_container_update(s->runtime, "c", "{\"pids\":{\"limit\":17}}", s->error));
	OK(s, skep_container_stats(s->runtime, "c", &text, s->error));
	assert_non_null(strstr(text, "\"limit\":17"));
	skep_free(text);
	refused(s, skep_container_update(s->runtime, "c", "{\"pids\":{\"limit\":\"x\"}}", s->error), SKEP_ERROR_CONFIG, "pids.limit");
	OK(s, skep_container_pause(s->runtime, "c", s->error));
	assert_status(s, "paused");
	skep_exec_options x = exec_of(exit_5);
	refused(s, skep_container_exec(s->runtime, "c", &x, s->error), SKEP_ERROR_STATE, "paused");
	OK(s, skep_container_resume(s->runtime, "c", s->error));
	assert_status(s, "running");
	refused(s, skep_container_kill(s->runtime, "c", 65, 0, s->error), SKEP_ERROR_USAGE, "signal");
	delete_with_force(s);
}

static void run_tells_the_exit_status(void **state)
{
	Scene *s = *state;
	if (needs_root()) return;
	configure(s, "\"/guest\",\"exit\",\"7\"");
	int r = run(s, 0);
	OK(s, r);
	assert_int_equal(r, 7);
	assert_true(is_empty_dir(s->root));
	configure(s, "\"/none\"");
	refused(s, run(s, 0), SKEP_ERROR_NO_COMMAND, "/none");
	assert_true(is_empty_dir(s->root));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left to reap */
}

/* The program again, as a child: seals itself, which executes it once more, and looks at its own file. */
static int seal_and_look(char **argv)
{
	struct statvfs fs;
	skep_error *error = skep_error_new();
	if (!error || skep_seal_self(argv, environ, error) < 0) return 2;
	skep_error_free(error);
	if (statvfs("/proc/self/exe", &fs) < 0) return 3;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), seals = fcntl(fd, F_GET_SEALS);
	return fs.f_flag & ST_RDONLY || (seals >= 0 && seals & F_SEAL_WRITE) ? 0 : 4;
}

static void a_program_seals_itself(void **state)
{
	char *const argv[] = { (char *)"test_library", (char *)"seal", NULL };
	int status = 0;
	(void)state;
	if (needs_root()) return;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("LD_LIBRARY_PATH", LIBRARY_DIR, 1); /* the copy has no place that a path relative to it could begin at */
		execv("/proc/self/exe", argv);
		_exit(9);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "seal") == 0) return seal_and_look(argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(documents_are_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(options_know_their_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wrong_arguments_are_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(threads_are_refused_where_they_do_not_fit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_configurations_leave_nothing, set_up, tear_down),
		cmocka_unit_test(a_program_seals_itself),
		cmocka_unit_test_setup_teardown(a_container_lives, set_up, tear_down),
		cmocka_unit_test_setup_teardown(processes_enter_as_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(limits_and_pauses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(run_tells_the_exit_status, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
