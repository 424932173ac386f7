/* test_container_options.c: the command lines of create, run, exec and update: what they ask for, and what is said of wrong ones. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "cli/skep/container/options_impl.h"
#include "container_option_cases.h"

const char skep_version[] = "1", skep_commit[] = "c";

static int nothing_run(Invocation *in, Err *e)
{
	(void)in;
	(void)e;
	return 0;
}

#define ROW(n, a, o) \
	{ \
		.name = "container " n, .aliases = n, .min_args = (a), .max_args = -1, .passes_arguments = true, .options = (o), \
		.run = nothing_run \
	}
static const Command commands[] = {
	{ .name = "container", .summary = "Containers" }, ROW("create", 1, container_create_options),
	ROW("exec", 2, container_exec_options),           ROW("run", 1, container_run_options),
	ROW("update", 1, container_update_options),
};

static const Option program_options[] = { SWITCH("version", 'v', "Version"), { 0 } };
static const Program program = { .name = "skep",
				 .options = program_options,
				 .commands = commands,
				 .n_commands = ARRAY_LEN(commands),
				 .parse = parse_docker,
				 .help = help_docker };

typedef struct Line {
	Arena arena;
	Invocation in;
	ContainerRequest request;
	Err e;
	int r;
} Line;

static void line_done(Line *l)
{
	arena_done(&l->arena);
}

/* A whole command line: command, then words, which are separated by '|'. */
static void read_line(Line *l, const char *command, const char *words)
{
	char *argv[64];
	int argc = 0;
	bool help;
	*l = (Line){ .arena = ARENA_INIT(64 << 20), .e = ERR_INIT };
	l->in = (Invocation){ .program = &program, .name = "skep", .arena = &l->arena, .log.fd = -1 };
	Str rest = str_of(words), word;
	argv[argc++] = arena_strdup(&l->arena, "skep");
	argv[argc++] = arena_strdup(&l->arena, command);
	while (*words && str_next(&rest, '|', &word))
		argv[argc++] = arena_str(&l->arena, word);
	argv[argc] = NULL;
	l->r = program.parse(&l->in, argc, argv, &help, &l->e);
}

static void parse_run(Line *l, const char *command, const char *words)
{
	read_line(l, command, words);
	if (l->r >= 0) l->r = container_options_parse(&l->in, &l->request, &l->e);
}

#define PARSE(l, command, words) \
	AUTO(line_done) Line l; \
	parse_run(&(l), command, words)

/* ---- what differs from the plainest container ---- */

static JsonValue encoded(const BindTable *t, const void *obj, Arena *a)
{
	AUTO_BUF b = BUF_INIT(16 << 20);
	JsonWriter w = JSON_WRITER(&b);
	JsonValue v;
	Err e = ERR_INIT;
	bind_encode(t, obj, &w);
	char *text = arena_strdup(a, buf_str(&b));
	assert_int_equal(json_parse(text, strlen(text), a, &v, &e), 0);
	return v;
}

static void put_value(Buf *b, const char *name, const JsonValue *v)
{
	JsonWriter w = JSON_WRITER(b);
	buf_printf(b, "%s%s=", b->n ? " " : "", name);
	json_value(&w, v);
}

static void put_text(Buf *b, const char *name, const char *value)
{
	if (value) buf_printf(b, "%s%s=%s", b->n ? " " : "", name, value);
}

static void put_word(Buf *b, const char *word, bool on)
{
	if (on) buf_printf(b, "%s%s", b->n ? " " : "", word);
}

static void put_differences(Buf *b, const BindTable *t, const void *obj, const void *plain, Arena *a)
{
	JsonValue have = encoded(t, obj, a), base = encoded(t, plain, a);
	for (uint32_t i = 0; i < have.n; i++) {
		AUTO_BUF x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20);
		const JsonValue *other = json_get(&base, have.members[i].key);
		put_value(&x, "", &have.members[i].value);
		if (other) put_value(&y, "", other);
		if (!streq(have.members[i].key, "Image") && !streq(buf_str(&x), buf_str(&y)))
			put_value(b, have.members[i].key, &have.members[i].value);
	}
}

static void put_networks(Buf *b, const EndpointRequestList *l)
{
	JsonWriter w = JSON_WRITER(b);
	if (!l->n) return;
	buf_printf(b, "%snetworks=", b->n ? " " : "");
	json_begin_object(&w);
	for (size_t i = 0; i < l->n; i++) {
		json_key(&w, l->items[i].network);
		bind_encode(&endpoint_request_table, &l->items[i], &w);
	}
	json_end_object(&w);
}

static void put_request(Buf *b, Line *l)
{
	const ContainerRequest *q = &l->request;
	PARSE(plain, "run", "i");
	put_differences(b, &container_config_table, &q->config, &plain.request.config, &l->arena);
	put_differences(b, &host_config_table, &q->host, &plain.request.host, &l->arena);
	put_networks(b, &q->endpoints);
	put_text(b, "name", q->name);
	put_text(b, "platform", q->platform);
	put_text(b, "pull", streq(q->pull, "missing") ? NULL : q->pull);
	put_text(b, "cid_file", q->cid_file);
	put_word(b, "quiet", q->quiet);
	put_word(b, "replace", q->replace);
	put_word(b, "detach", q->detach);
	put_word(b, "no-sig-proxy", !q->sig_proxy);
	put_text(b, "detach_keys", q->detach_keys);
	put_word(b, "entrypoint_set", q->config.entrypoint_set);
	put_word(b, "image=null", !q->config.image);
	for (size_t i = 0; i < q->warnings.n; i++)
		put_text(b, "warning", q->warnings.items[i]);
}

static void what_was_asked_for_comes_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good_lines); i++) {
		PARSE(l, "run", good_lines[i].line);
		AUTO_BUF b = BUF_INIT(1 << 20);
		if (l.r < 0) fail_msg("%s: %s", good_lines[i].line, l.e.msg);
		put_request(&b, &l);
		if (!streq(buf_str(&b), good_lines[i].want))
			fail_msg("%s:\n%s\nis wanted, not\n%s", good_lines[i].line, good_lines[i].want, buf_str(&b));
	}
}

/* ---- what is wrong ---- */

static void check_wrong(const char *command, const char *line, const char *message, Form form)
{
	PARSE(l, command, line);
	AUTO_BUF b = BUF_INIT(65536), want = BUF_INIT(2048);
	buf_printf(&want, "%s%s", form == BRIEF ? "skep: " : "", message);
	if (l.r >= 0) fail_msg("%s was taken", line);
	if (!streq(l.e.msg, buf_str(&want))) fail_msg("%s:\n%s\nis wanted, not\n%s", line, buf_str(&want), l.e.msg);
	assert_int_equal(l.in.usage.status, form == PLAIN ? 0 : 125);
	assert_int_equal(l.in.usage.brief, form == BRIEF);
	if (form != BRIEF) return;
	help_docker_usage(&l.in, &b);
	buf_reset(&want);
	buf_printf(&want, "\nRun 'skep %s --help' for more information\n", command);
	assert_string_equal(buf_str(&b), buf_str(&want));
}

static void what_is_wrong_is_said_in_dockers_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong_lines); i++)
		check_wrong("run", wrong_lines[i].line, wrong_lines[i].message, wrong_lines[i].form);
	check_wrong("create", "-d|i", "unknown shorthand flag: 'd' in -d", FLAG);
	check_wrong("create", "--pid|x|i", "--pid: invalid PID mode", BRIEF);
}

/* Nothing that docker's users may write is unknown. */
static void all_flags_are_known(void **state)
{
	(void)state;
	static const char flags[] =
		"add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile cpu-count "
		"cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems detach detach-keys "
		"device device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust dns "
		"dns-opt dns-option dns-search domainname entrypoint env env-file expose gpus group-add health-cmd health-interval "
		"health-retries health-start-interval health-start-period health-timeout hostname init interactive io-maxbandwidth "
		"io-maxiops ip ip6 ipc isolation kernel-memory label label-file link link-local-ip log-driver log-opt mac-address memory "
		"memory-reservation memory-swap memory-swappiness mount name net net-alias network network-alias no-healthcheck "
		"oom-kill-disable oom-score-adj pid pids-limit platform privileged publish publish-all pull quiet read-only restart rm "
		"runtime security-opt shm-size sig-proxy stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket user "
		"userns uts volume volume-driver volumes-from workdir";
	Str rest = str_of(flags), name;
	size_t n = 0;
	for (; str_next(&rest, ' ', &name); n++) {
		bool run_alone = str_eq(name, "detach") || str_eq(name, "detach-keys") || str_eq(name, "sig-proxy");
		if (!option_find(container_run_options, name)) fail_msg("run --%.*s", (int)name.n, name.p);
		if (!option_find(container_create_options, name) != run_alone) fail_msg("create --%.*s", (int)name.n, name.p);
	}
	assert_true(n >= 103);
	for (const Option *o = container_run_options; o[1].name; o++) {
		if (strcmp(o->name, o[1].name) >= 0) fail_msg("--%s stands before --%s", o->name, o[1].name);
		if (o->same) assert_non_null(option_find(container_run_options, str_of(o->same)));
	}
}

/* ---- files ---- */

static char folder[] = "/tmp/skep-options-XXXXXX";

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void check_differences(const char *command, const char *line, const char *want)
{
	PARSE(l, command, line);
	AUTO_BUF b = BUF_INIT(1 << 20);
	if (l.r < 0) fail_msg("%s: %s", line, l.e.msg);
	if (streq(command, "create")) l.request.sig_proxy = true;
	put_request(&b, &l);
	assert_string_equal(buf_str(&b), want);
}

static void files_of_variables_are_read(void **state)
{
	(void)state;
	write_file("env", "A=1\n# c\n\n  B=2 \nFOO\nUNSET\nE=\r\nF=x=y");
	write_file("bom", "\xef\xbb\xbf"
			  "A=1\n");
	write_file("labels", "a=b\nq\n x=y z\n");
	check_differences("run", "--env-file|env|-e|A=2|i", "Env=[\"A=1\",\"B=2 \",\"FOO=foo val\",\"E=\",\"F=x=y\",\"A=2\"]");
	check_differences("run", "--env-file|bom|i", "Env=[\"A=1\"]");
	check_differences("create", "--label-file|labels|-l|z|-l|a=c|i", "Labels={\"a\":\"c\",\"x\":\"y z\",\"z\":\"\"}");
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "A B=1\n", "invalid env file (bad): variable 'A B' contains whitespaces" },
		{ "\n=1\n", "invalid env file (bad): no variable name on line '=1'" },
		{ "A=1\nA=\xff\n", "invalid env file (bad): invalid utf8 bytes at line 2: [65 61 255]" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		write_file("bad", rows[i].text);
		check_wrong("run", "--env-file|bad|i", rows[i].message, BRIEF);
	}
	check_wrong("run", "--env-file|nosuch|i", "open nosuch: no such file or directory", BRIEF);
	check_wrong("run", "--label-file|.|i", "invalid env file (.): read .: is a directory", BRIEF);
}

static void seccomp_profiles_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text, *reason;
	} rows[] = {
		{ "", "unexpected end of JSON input" },
		{ "{\"a\":1,}", "invalid character '}' looking for beginning of object key string" },
		{ "{\"a\" 1}", "invalid character '1' after object key" },
		{ "{\"a\":1 2}", "invalid character '2' after object key:value pair" },
		{ "[1 2]", "invalid character '2' after array element" },
		{ "[1,]", "invalid character ']' looking for beginning of value" },
		{ "{} x", "invalid character 'x' after top-level value" },
		{ "truth", "invalid character 't' in literal true (expecting 'e')" },
		{ "nul", "invalid character ' ' in literal null (expecting 'l')" },
		{ "-x", "invalid character 'x' in numeric literal" },
		{ "1.", "invalid character ' ' after decimal point in numeric literal" },
		{ "1ex", "invalid character 'x' in exponent of numeric literal" },
		{ "01", "invalid character '1' after top-level value" },
		{ "\"a", "unexpected end of JSON input" },
		{ "\"\\x", "invalid character 'x' in string escape code" },
		{ "\"\\u12g", "invalid character 'g' in \\u hexadecimal character escape" },
		{ "'", "invalid character '\\'' looking for beginning of value" },
		{ "[[[", "unexpected end of JSON input" },
	};
	write_file("profile", " { \"a\" : [ 1 , 2.5e+3 , -0 , true , false , null , \"x y\\u00e9\\\"\\n\" , {} , [] ] }\n");
	check_differences("run", "--security-opt|seccomp=profile|i",
			  "SecurityOpt=[\"seccomp={\\\"a\\\":[1,2.5e+3,-0,true,false,null,\\\"x y\\\\u00e9\\\\\\\"\\\\n\\\",{},[]]}\"]");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF want = BUF_INIT(1000);
		write_file("profile", rows[i].text);
		buf_printf(&want, "compacting json for seccomp profile (profile) failed: %s", rows[i].reason);
		check_wrong("run", "--security-opt|seccomp:profile|i", buf_str(&want), BRIEF);
	}
}

static void paths_from_here_become_whole(void **state)
{
	(void)state;
	AUTO_BUF want = BUF_INIT(4096);
	buf_printf(&want, "Binds=[\"%s/x:/d:z\",\"/tmp/z:/e\",\"%s:/f\",\"~/g:/g\"]", folder, folder);
	check_differences("run", "-v|./x:/d:z|-v|../y/.././z:/e|-v|.:/f|-v|~/g:/g|-v|./x:/d:z|i", buf_str(&want));
	buf_reset(&want);
	buf_printf(&want, "Mounts=[{\"Type\":\"bind\",\"Source\":\"%s/a\",\"Target\":\"/b\"}]", folder);
	check_differences("run", "--mount|type=bind,src=./a,dst=/b|i", buf_str(&want));
	buf_reset(&want);
	buf_printf(&want, "Rootfs=\"%s/r\" image=null", folder);
	check_differences("run", "--rootfs|r", buf_str(&want));
}

static void dockers_configuration_counts(void **state)
{
	(void)state;
	write_file("config.json", "{\"detachKeys\":\"ctrl-x\",\"proxies\":{\"default\":{\"httpProxy\":\"http://p\",\"noProxy\":\"n\"}}}");
	check_differences("run", "-e|http_proxy=mine|i",
			  "Env=[\"http_proxy=mine\",\"HTTP_PROXY=http://p\",\"NO_PROXY=n\",\"no_proxy=n\"] detach_keys=ctrl-x");
	write_file("config.json", "{");
	PARSE(l, "run", "i");
	assert_int_equal(l.r, 0);
	assert_int_equal(l.request.warnings.n, 1);
	assert_true(starts_with(l.request.warnings.items[0], "Error loading config file: "));
	unlink("config.json");
}

/* ---- exec and update ---- */

static void exec_is_read(void **state)
{
	(void)state;
	ExecRequest q;
	AUTO(line_done) Line l;
	read_line(&l, "exec", "-itd|--privileged|-u|1:2|-w|/w|-e|A=1|-e|FOO|-e|NO|--detach-keys|a|box|sh|-c|-x");
	assert_int_equal(l.r, 0);
	assert_int_equal(exec_options_parse(&l.in, &q, &l.e), 0);
	assert_true(q.interactive && q.tty && q.detach && q.privileged);
	assert_string_equal(q.container, "box");
	assert_true(q.command.n == 3 && streq(q.command.items[2], "-x") && !q.command.items[3]);
	assert_true(q.env.n == 3 && streq(q.env.items[1], "FOO=foo val") && streq(q.env.items[2], "NO"));
	assert_string_equal(q.user, "1:2");
	assert_string_equal(q.working_dir, "/w");
	assert_string_equal(q.detach_keys, "a");
	AUTO(line_done) Line plain;
	read_line(&plain, "exec", "box|sh");
	assert_int_equal(exec_options_parse(&plain.in, &q, &plain.e), 0);
	assert_true(!q.interactive && !q.tty && !q.detach && !q.user && !q.working_dir && !q.detach_keys && !q.env.n);
	AUTO(line_done) Line wrong;
	read_line(&wrong, "exec", "--env-file|nosuch|box|sh");
	assert_int_equal(exec_options_parse(&wrong.in, &q, &wrong.e), -ENOENT);
	assert_string_equal(wrong.e.msg, "open nosuch: no such file or directory");
	assert_int_equal(wrong.in.usage.status, 0);
}

static void update_is_read(void **state)
{
	(void)state;
	HostConfig h, none = { 0 };
	AUTO(line_done) Line l;
	AUTO_BUF b = BUF_INIT(65536);
	read_line(
		&l, "update",
		"--blkio-weight|300|--cpu-period|1000|--cpu-quota|2000|--cpu-rt-period|3|--cpu-rt-runtime|2|-c|5|--cpus|.5|--cpuset-cpus|0|"
		"--cpuset-mems|0|-m|8m|--memory-reservation|7m|--memory-swap|-1|--pids-limit|5|--restart|on-failure:2|a|b");
	assert_int_equal(l.r, 0);
	assert_int_equal(update_options_parse(&l.in, &h, &l.e), 0);
	put_differences(&b, &host_config_table, &h, &none, &l.arena);
	assert_string_equal(buf_str(&b),
			    "RestartPolicy={\"Name\":\"on-failure\",\"MaximumRetryCount\":2} CpuShares=5 Memory=8388608 NanoCpus=500000000 "
			    "BlkioWeight=300 CpuPeriod=1000 CpuQuota=2000 CpuRealtimePeriod=3 CpuRealtimeRuntime=2 CpusetCpus=\"0\" "
			    "CpusetMems=\"0\" MemoryReservation=7340032 MemorySwap=-1 PidsLimit=5");
	assert_int_equal(l.in.args.n, 2);
	AUTO(line_done) Line empty;
	read_line(&empty, "update", "a");
	assert_int_equal(update_options_parse(&empty.in, &h, &empty.e), -EINVAL);
	assert_string_equal(empty.e.msg, "you must provide one or more flags when using this command");
	AUTO(line_done) Line wrong;
	read_line(&wrong, "update", "--restart|always:x|a");
	assert_int_equal(update_options_parse(&wrong.in, &h, &wrong.e), -EINVAL);
	assert_string_equal(wrong.e.msg, "invalid restart policy format: maximum retry count must be an integer");
	AUTO(line_done) Line other;
	read_line(&other, "update", "-m|8m|a");
	assert_int_equal(update_options_parse(&other.in, &h, &other.e), 0);
	assert_true(h.memory == 8 << 20 && !h.restart_policy.name && !h.pids_limit.set && !h.memory_swap);
}

/* As many ports as there are: in the order of their texts, quickly, within the arena. */
static void all_ports_can_be_published(void **state)
{
	(void)state;
	PARSE(l, "run", "-p|1-65535:1-65535|-p|1-65535:1-65535/udp|--expose|1-65535|i");
	assert_int_equal(l.r, 0);
	assert_int_equal(l.request.config.exposed_ports.n, 2 * 65535);
	assert_int_equal(l.request.host.port_bindings->n, 2 * 65535);
	assert_string_equal(l.request.config.exposed_ports.items[2], "10/tcp");
	assert_string_equal(l.request.host.port_bindings->members[2].key, "10/tcp");
}

static int enter_folder(void **state)
{
	(void)state;
	setenv("FOO", "foo val", 1);
	unsetenv("UNSET");
	unsetenv("NO");
	unsetenv("DOCKER_DEFAULT_PLATFORM");
	if (!mkdtemp(folder) || chdir(folder) < 0) return -1;
	return setenv("DOCKER_CONFIG", folder, 1);
}

static int leave_folder(void **state)
{
	(void)state;
	static const char *const files[] = { "env", "bom", "labels", "bad", "profile", "config.json" };
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlink(files[i]);
	return chdir("/") < 0 ? -1 : rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_asked_for_comes_out),
		cmocka_unit_test(what_is_wrong_is_said_in_dockers_words),
		cmocka_unit_test(all_flags_are_known),
		cmocka_unit_test(files_of_variables_are_read),
		cmocka_unit_test(seccomp_profiles_are_read),
		cmocka_unit_test(paths_from_here_become_whole),
		cmocka_unit_test(dockers_configuration_counts),
		cmocka_unit_test(exec_is_read),
		cmocka_unit_test(update_is_read),
		cmocka_unit_test(all_ports_can_be_published),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
