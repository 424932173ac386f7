/* server.c: the registry as a program for tests: registry_server [--config FILE] [--root DIR] [--listen ADDRESS] [--worker FILE] [serve | gc | check]
 * It prints "port N" when it takes connections. */
#include "registry/registry.h"

#include <stdio.h>
#include <unistd.h>

static void ready(void *arg, int port)
{
	printf("port %d\n", port);
	fflush(stdout);
}

static void tell(void *arg, const char *problem)
{
	printf("problem: %s\n", problem);
}

static int collect(const RegistryOptions *o, Err *e)
{
	RegistryGcResult g;
	int r = registry_gc(o, &g, e);
	if (r >= 0)
		printf("tags %ju manifests %ju links %ju blobs %ju bytes %ju uploads %ju files %ju repositories %ju\n", (uintmax_t)g.tags,
		       (uintmax_t)g.manifests, (uintmax_t)g.links, (uintmax_t)g.blobs, (uintmax_t)g.bytes, (uintmax_t)g.uploads,
		       (uintmax_t)g.files, (uintmax_t)g.repositories);
	return r;
}

static int check(const RegistryOptions *o, bool repair, Err *e)
{
	RegistryCheckResult c;
	int r = registry_check(o, true, repair, tell, NULL, &c, e);
	if (r >= 0)
		printf("blobs %ju manifests %ju tags %ju problems %ju repaired %ju\n", (uintmax_t)c.blobs, (uintmax_t)c.manifests,
		       (uintmax_t)c.tags, (uintmax_t)c.problems, (uintmax_t)c.repaired);
	return r;
}

static int run(int argc, char **argv, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(8 << 20);
	RegistryOptions o = { 0 };
	Log log = { .fd = STDERR_FILENO, .level = LOG_INFO };
	const char *command = "serve", *listen[] = { NULL, NULL };
	int r = 0;
	/* the file first: flags stand over it, wherever they are */
	for (int i = 1; r >= 0 && i + 1 < argc; i++)
		if (streq(argv[i], "--config")) r = registry_options_load(argv[i + 1], &a, &o, e);
	for (int i = 1; r >= 0 && i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (argv[i][0] != '-')
			command = argv[i];
		else if (!value)
			return err_set(e, ERR_USAGE, EINVAL, "%s: needs a value", argv[i]);
		else if (streq(argv[i], "--config"))
			i++;
		else if (streq(argv[i], "--root"))
			o.root = argv[++i];
		else if (streq(argv[i], "--worker"))
			o.worker = argv[++i];
		else if (streq(argv[i], "--listen")) {
			listen[0] = argv[++i];
			o.listen = (StrList){ listen, 1 };
		} else
			return err_set(e, ERR_USAGE, EINVAL, "%s: unknown option", argv[i]);
	}
	if (r >= 0) r = registry_options_check(&o, &a, e);
	if (r < 0) return r;
	if (streq(command, "gc")) return collect(&o, e);
	if (streq(command, "check") || streq(command, "repair")) return check(&o, streq(command, "repair"), e);
	return registry_serve(&o, &log, ready, NULL, e);
}

int main(int argc, char **argv)
{
	Err e = ERR_INIT;
	if (run(argc, argv, &e) >= 0) return 0;
	fprintf(stderr, "registry_server: %s\n", e.msg);
	return 1;
}
