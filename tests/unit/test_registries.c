/* test_registries.c: registries.conf: where an image is asked for; certificates; short names. */
#include "check.h"
#include "image/registries.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char conf[] =
	"unqualified-search-registries = [\"docker.io\", \"quay.io\"]\n"
	"[[registry]]\nprefix = \"example.com/foo\"\nlocation = \"internal.example.com/bar\"\n"
	"[[registry.mirror]]\nlocation = \"m1.example.com/cache\"\npull-from-mirror = \"digest-only\"\n"
	"[[registry.mirror]]\nlocation = \"m2.example.com\"\ninsecure = true\n"
	"[[registry]]\nlocation = \"example.com\"\nblocked = true\n"
	"[[registry]]\nprefix = \"*.wild.org\"\ninsecure = true\n"
	"[[registry]]\nlocation = \"docker.io\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"mirror.gcr.io\"\n"
	"[aliases]\ndebian = \"docker.io/library/debian\"\n";

static void put_endpoints(const EndpointList *l, Buf *b)
{
	for (size_t i = 0; i < l->n; i++)
		buf_printf(b, "%s%s://%s/%s%s%s", i ? " " : "", l->items[i].scheme, l->items[i].host, l->items[i].path,
			   l->items[i].insecure ? "!" : "", l->items[i].mirror ? "~" : "");
}

static void assert_endpoints(const char *text, const char *domain, const char *path, bool by_digest, const char *want)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_BUF b = BUF_INIT(8192);
	Registries r;
	EndpointList l;
	Err e = ERR_INIT;
	registries_init(&r);
	if (registries_read(&r, str_of(text), "registries.conf", &a, &e) < 0) fail_msg("%s", e.msg);
	int x = registries_endpoints(&r, domain, path, by_digest, &a, &l, &e);
	if (x >= 0) put_endpoints(&l, &b);
	assert_string_equal(x < 0 ? e.msg : buf_str(&b), want);
}

static void the_longest_prefix_says_where_to_ask(void **state)
{
	(void)state;
	assert_endpoints("", "docker.io", "library/debian", false, "https://registry-1.docker.io/library/debian");
	assert_endpoints("", "quay.io:8443", "a/b", false, "https://quay.io:8443/a/b");
	assert_endpoints("", "localhost:5000", "a", false, "https://localhost:5000/a! http://localhost:5000/a!");
	assert_endpoints("", "localhost", "a", false, "https://localhost/a! http://localhost/a!");
	assert_endpoints("", "127.example.com", "a", false, "https://127.example.com/a");
	assert_endpoints("", "localhost.example.com", "a", false, "https://localhost.example.com/a");
	assert_endpoints("", "127.0.0.1:5000", "a", false, "https://127.0.0.1:5000/a! http://127.0.0.1:5000/a!");
	assert_endpoints(conf, "example.com", "foo/img", false,
			 "https://m2.example.com/img!~ http://m2.example.com/img!~ https://internal.example.com/bar/img");
	assert_endpoints(
		conf, "example.com", "foo/img", true,
		"https://m1.example.com/cache/img~ https://m2.example.com/img!~ http://m2.example.com/img!~ https://internal.example.com/bar/img");
	assert_endpoints(conf, "example.com", "foobar/img", true, "registry example.com is blocked in registries.conf");
	assert_endpoints(conf, "a.wild.org", "x", true, "https://a.wild.org/x! http://a.wild.org/x!");
	assert_endpoints(conf, "wild.org", "x", true, "https://wild.org/x");
	assert_endpoints(conf, "docker.io", "library/debian", false, "https://registry-1.docker.io/library/debian");
	assert_endpoints(conf, "docker.io", "library/debian", true,
			 "https://mirror.gcr.io/library/debian~ https://registry-1.docker.io/library/debian");
}

static void assert_refused(const char *text, const char *want)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Registries r;
	Err e = ERR_INIT;
	registries_init(&r);
	assert_true(registries_read(&r, str_of(text), "f", &a, &e) < 0);
	assert_string_equal(e.msg, want);
}

static void wrong_files_are_refused(void **state)
{
	(void)state;
	assert_refused("x = ", "f: line 1: a value is missing");
	assert_refused("[registries.search]\nregistries = []", "f: [registries.…] is version 1 of the format: use [[registry]]");
	assert_refused("[[registry]]\nblocked = true", "f: registry: neither prefix nor location");
	assert_refused("[[registry]]\nlocation = \"https://x\"",
		       "f: registry: prefix \"https://x\": expected host[:port][/path] without a scheme");
	assert_refused("[[registry]]\nlocation = \"x/\"", "f: registry: prefix \"x/\": expected host[:port][/path] without a scheme");
	assert_refused(
		"[[registry]]\nlocation = \"x\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"y\"\npull-from-mirror = \"all\"",
		"f: registry \"x\": pull-from-mirror and mirror-by-digest-only exclude each other");
	assert_refused("unqualified-search-registries = [\"a b\"]", "f: unqualified-search-registries: \"a b\" is no registry");
}

static void assert_names(Registries *r, const char *name, const char *want)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_BUF b = BUF_INIT(8192);
	StrList l;
	Err e = ERR_INIT;
	int x = registries_short_name(r, name, &a, &l, &e);
	for (size_t i = 0; x >= 0 && i < l.n; i++)
		buf_printf(&b, "%s%s", i ? " " : "", l.items[i]);
	assert_string_equal(x < 0 ? e.msg : buf_str(&b), want);
}

static void short_names_stand_for_several(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Registries r;
	Err e = ERR_INIT;
	registries_init(&r);
	assert_names(&r, "busybox", "docker.io/library/busybox");
	assert_names(&r, "user/app", "docker.io/user/app");
	assert_int_equal(registries_read(&r, str_of(conf), "f", &a, &e), 0);
	assert_names(&r, "debian", "docker.io/library/debian");
	assert_names(&r, "busybox", "docker.io/library/busybox quay.io/busybox");
	assert_int_equal(
		registries_read(&r, STR("short-name-mode = \"enforcing\"\n[aliases]\nbb = \"quay.io/bb\"\ndebian = \"\""), "g", &a, &e), 0);
	assert_names(&r, "bb", "quay.io/bb");
	assert_names(&r, "busybox",
		     "short name \"busybox\" may be any of docker.io/library/busybox, quay.io/busybox: give the registry or an alias");
	assert_int_equal(registries_read(&r, STR("unqualified-search-registries = []"), "h", &a, &e), 0);
	assert_names(&r, "debian", "short name \"debian\": no alias, and unqualified-search-registries is empty");
}

static void write_to(const char *dir, const char *name, const char *text)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void files_and_certificates_are_found(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	char top[] = "/tmp/test_registries.XXXXXX", path[600];
	Registries r;
	Certs one;
	Err e = ERR_INIT;
	assert_non_null(mkdtemp(top));
	static const char *const dirs[] = {
		"containers",     "containers/registries.conf.d", "containers/certs.d", "containers/certs.d/quay.io:443", "docker",
		"docker/certs.d", "docker/certs.d/127.0.0.1:5000"
	};
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(path, sizeof path, "%s/%s", top, dirs[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	setenv("XDG_CONFIG_HOME", top, 1);
	unsetenv("CONTAINERS_REGISTRIES_CONF");
	write_to(top, "containers/registries.conf",
		 "[[registry]]\nlocation = \"a.com\"\n[[registry]]\nlocation = \"zz.com\"\ninsecure = true");
	write_to(top, "containers/registries.conf.d/20.conf", "[[registry]]\nlocation = \"a.com\"\nblocked = true");
	write_to(top, "containers/registries.conf.d/10.conf", "[[registry]]\nlocation = \"a.com\"\ninsecure = true");
	write_to(top, "containers/registries.conf.d/30.txt", "not read");
	assert_int_equal(registries_load(&r, &a, &e), 0);
	EndpointList l;
	assert_int_equal(registries_endpoints(&r, "a.com", "x", false, &a, &l, &e), -EACCES);
	write_to(top, "containers/certs.d/quay.io:443/ca.crt", "");
	write_to(top, "containers/certs.d/quay.io:443/client.cert", "");
	assert_true(certs_find("quay.io:443", &a, &one, &e) < 0);
	assert_non_null(strstr(e.msg, "client.key for client certificate"));
	write_to(top, "containers/certs.d/quay.io:443/client.key", "");
	assert_int_equal(certs_find("quay.io:443", &a, &one, &e), 0);
	assert_int_equal(one.ca.n, 1);
	assert_true(ends_with(one.cert, "/client.cert") && ends_with(one.key, "/client.key"));
	write_to(top, "containers/certs.d/quay.io:443/other.key", "");
	e = (Err)ERR_INIT;
	assert_int_equal(certs_find("quay.io:443", &a, &one, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "missing client certificate"));
	assert_non_null(strstr(e.msg, "other.cert for key"));
	assert_true(certs_find("../..", &a, &one, &e) < 0);
	/* this machine may be asked without TLS, unless it has an authority */
	assert_int_equal(registries_endpoints(&r, "127.0.0.1:5000", "x", false, &a, &l, &e), 0);
	assert_int_equal(l.n, 2);
	assert_true(l.items[0].insecure);
	write_to(top, "docker/certs.d/127.0.0.1:5000/ca.crt", "");
	assert_int_equal(registries_endpoints(&r, "127.0.0.1:5000", "x", false, &a, &l, &e), 0);
	assert_int_equal(l.n, 1);
	assert_false(l.items[0].insecure);
	assert_string_equal(l.items[0].scheme, "https");
	snprintf(path, sizeof path, "%s/containers/registries.conf.d/20.conf", top);
	setenv("CONTAINERS_REGISTRIES_CONF", path, 1);
	assert_int_equal(registries_load(&r, &a, &e), 0);
	assert_int_equal(r.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_prefix_says_where_to_ask),
		cmocka_unit_test(wrong_files_are_refused),
		cmocka_unit_test(short_names_stand_for_several),
		cmocka_unit_test(files_and_certificates_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
