/* example.c: what docs/library.md shows: runs the bundle in the working directory, once it has looked at what it uses. */
#include <skep-runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static void tell(void *data, int level, const char *message)
{
	(void)data;
	fprintf(stderr, "%s: %s\n", level >= SKEP_LOG_WARNING ? "warning" : "debug", message);
}

static int fail(const skep_error *error)
{
	fprintf(stderr, "%s (%s)\n", skep_error_get_message(error), skep_error_code_name(skep_error_get_code(error)));
	return 1;
}

static int run(skep_runtime *runtime, skep_error *error)
{
	const char *const args[] = { "/bin/true", NULL };
	skep_create_options create;
	skep_exec_options exec;
	char *stats;
	SKEP_OPTIONS_INIT(&create);
	create.id = "example";
	if (skep_container_create(runtime, &create, error) < 0) return fail(error);
	if (skep_container_start(runtime, "example", error) < 0) return fail(error);
	if (skep_container_stats(runtime, "example", &stats, error) < 0) return fail(error);
	puts(stats);
	skep_free(stats);
	SKEP_OPTIONS_INIT(&exec);
	exec.args = args;
	int status = skep_container_exec(runtime, "example", &exec, error);
	if (status < 0) return fail(error);
	wait(NULL); /* the container's init is our child */
	return status;
}

int main(int argc, char **argv)
{
	skep_error *error = skep_error_new();
	skep_runtime_options options;
	skep_runtime *runtime;
	(void)argc;
	if (!error || skep_seal_self(argv, environ, error) < 0) return error ? fail(error) : 1;
	SKEP_OPTIONS_INIT(&options);
	options.root = "/run/example";
	options.log = tell;
	options.log_level = SKEP_LOG_WARNING;
	if (skep_runtime_open(&options, &runtime, error) < 0) return fail(error);
	int status = run(runtime, error);
	if (skep_container_delete(runtime, "example", SKEP_DELETE_FORCE, error) < 0) fail(error);
	skep_runtime_free(runtime);
	skep_error_free(error);
	return status;
}
