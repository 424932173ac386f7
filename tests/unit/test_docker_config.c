/* test_docker_config.c: config.json, podman's auth.json, credential helpers. */
#include "check.h"
#include "image/docker_config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[] = "/tmp/test_docker_config.XXXXXX";

static void write_file(const char *name, const char *text, mode_t mode)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", top, name);
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int set_up(void **state)
{
	char path[600];
	(void)state;
	if (!mkdtemp(top)) return -1;
	setenv("HOME", top, 1);
	snprintf(path, sizeof path, "%s:/usr/bin:/bin", top);
	setenv("PATH", path, 1);
	unsetenv("DOCKER_CONFIG");
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("REGISTRY_AUTH_FILE");
	/* a helper that keeps one credential in a file */
	write_file(
		"docker-credential-file",
		"#!/bin/sh\ncd \"$HOME\"\ncase $1 in\nget) read -r s; [ -f kept ] || { echo 'credentials not found in native keychain'; exit 1; }; cat kept ;;\n"
		"store) cat >kept ;;\nerase) rm -f kept ;;\nesac\n",
		0700);
	write_file("docker-credential-slow", "#!/bin/sh\nexec sleep 1000\n", 0700);
	write_file("docker-credential-bad", "#!/bin/sh\ncat >/dev/null\necho 'the keyring is locked'\nexit 1\n", 0700);
	return 0;
}

static void load(DockerConfig *c, const char *text, Arena *a)
{
	Err e = ERR_INIT;
	if (text) write_file("config.json", text, 0600);
	if (docker_config_load(top, a, c, &e) < 0) fail_msg("%s", e.msg);
}

static void assert_credential(const DockerConfig *c, const char *registry, const char *repository, const char *want)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Credential got;
	char text[2048];
	Err e = ERR_INIT;
	if (docker_config_credential(c, registry, repository, &a, &got, &e) < 0)
		snprintf(text, sizeof text, "%s", e.msg);
	else
		snprintf(text, sizeof text, "%s:%s:%s", got.username ? got.username : "-", got.password ? got.password : "-",
			 got.identity_token ? got.identity_token : "-");
	assert_string_equal(text, want);
}

static void credentials_stand_in_the_file(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	DockerConfig c;
	load(&c,
	     "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dXNlcjpwYXNz\"},\"https://quay.io/v2/\":{\"auth\":\"YTpiOmM=\"},"
	     "\"t.io\":{\"auth\":\"eDo=\",\"identitytoken\":\"tok\"},\"bad.io\":{\"auth\":\"!\"}},"
	     "\"HttpHeaders\":{\"X\":\"y\"},\"proxies\":{\"default\":{\"httpProxy\":\"http://p\"},\"tcp://h\":{\"noProxy\":\"n\"}}}",
	     &a);
	assert_credential(&c, "docker.io", NULL, "user:pass:-");
	assert_credential(&c, "quay.io", "x/y", "a:b:c:-");
	assert_credential(&c, "t.io", NULL, "x:-:tok");
	assert_credential(&c, "other.io", NULL, "-:-:-");
	assert_credential(&c, "bad.io", NULL,
			  arena_printf(&a, "%s: invalid auth configuration file: auth is not base64 of user:password", c.path));
	assert_string_equal(str_map_get(&c.headers, "X"), "y");
	Proxies p;
	docker_config_proxies(&c, "tcp://h", &p);
	assert_string_equal(p.no, "n");
	assert_null(p.http);
	docker_config_proxies(&c, NULL, &p);
	assert_string_equal(p.http, "http://p");
}

static void podmans_file_has_narrower_names(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	DockerConfig c;
	write_file("auth.json",
		   "{\"auths\":{\"quay.io\":{\"auth\":\"YTpi\"},\"quay.io/team\":{\"auth\":\"dDp1\"},\"docker.io\":{\"auth\":\"ZDpr\"}}}",
		   0600);
	setenv("REGISTRY_AUTH_FILE", arena_printf(&a, "%s/auth.json", top), 1);
	load(&c, "{}", &a);
	assert_credential(&c, "quay.io", "team/app", "t:u:-");
	assert_credential(&c, "quay.io", "teams/app", "a:b:-");
	assert_credential(&c, "docker.io", "library/x", "d:k:-");
	unsetenv("REGISTRY_AUTH_FILE");
}

static void login_and_logout_keep_the_rest(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	DockerConfig c;
	Err e = ERR_INIT;
	bool plain = false, known = false;
	struct stat st;
	load(&c, "{\"auths\":{\"a.io\":{\"auth\":\"YTpi\"}},\"psFormat\":\"table {{.ID}}\",\"n\":1}", &a);
	const Credential me = { .username = "me", .password = "s:x" };
	assert_int_equal(docker_config_login(&c, "docker.io", &me, &a, &plain, &e), 0);
	assert_true(plain);
	load(&c, NULL, &a);
	assert_credential(&c, "docker.io", NULL, "me:s:x:-");
	assert_credential(&c, "a.io", NULL, "a:b:-");
	assert_string_equal(json_get(c.root, "psFormat")->s, "table {{.ID}}");
	assert_int_equal(stat(c.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(docker_config_logout(&c, "docker.io", &a, &known, &e), 0);
	assert_true(known);
	assert_credential(&c, "docker.io", NULL, "-:-:-");
	assert_int_equal(docker_config_logout(&c, "docker.io", &a, &known, &e), 0);
	assert_false(known);
	const Credential wrong = { .username = "a:b", .password = "c" };
	assert_true(docker_config_login(&c, "x.io", &wrong, &a, &plain, &e) < 0);
}

static void helpers_keep_the_secret_out_of_the_file(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	DockerConfig c;
	Err e = ERR_INIT;
	bool plain = true, known;
	load(&c, "{\"credsStore\":\"file\",\"credHelpers\":{\"b.io\":\"bad\",\"s.io\":\"slow\",\"n.io\":\"none\",\"w.io\":\"../x\"}}", &a);
	assert_credential(&c, "x.io", NULL, "-:-:-");
	const Credential me = { .username = "me", .password = "secret" };
	assert_int_equal(docker_config_login(&c, "x.io", &me, &a, &plain, &e), 0);
	assert_false(plain);
	assert_credential(&c, "x.io", NULL, "me:secret:-");
	assert_int_equal(json_get(json_get(c.root, "auths"), "x.io")->n, 0);
	assert_int_equal(docker_config_logout(&c, "x.io", &a, &known, &e), 0);
	assert_credential(&c, "x.io", NULL, "-:-:-");
	assert_credential(&c, "b.io", NULL, "docker-credential-bad get: the keyring is locked");
	assert_credential(&c, "n.io", NULL, "credential helper docker-credential-none is not in PATH");
	assert_credential(&c, "w.io", NULL, "credential helper \"../x\": expected a bare word");
	c.helper_timeout_ms = 50;
	assert_credential(&c, "s.io", NULL, "docker-credential-slow get: no answer within 50 ms");
}

static void wrong_files_are_refused(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(4 << 20);
	DockerConfig c;
	Err e = ERR_INIT;
	write_file("config.json", "[1]", 0600);
	assert_true(docker_config_load(top, &a, &c, &e) < 0);
	assert_non_null(strstr(e.msg, "config.json: expected an object, got array"));
	write_file("config.json", "{\"credHelpers\":{\"a\":1}}", 0600);
	assert_true(docker_config_load(top, &a, &c, &e) < 0);
	assert_non_null(strstr(e.msg, "credHelpers.a: expected a string"));
	assert_int_equal(docker_config_load("/nowhere", &a, &c, &e), 0);
	assert_null(c.root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credentials_stand_in_the_file),  cmocka_unit_test(podmans_file_has_narrower_names),
		cmocka_unit_test(login_and_logout_keep_the_rest), cmocka_unit_test(helpers_keep_the_secret_out_of_the_file),
		cmocka_unit_test(wrong_files_are_refused),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
