/* test_cli.c: the grammar of docker over a table of our own. What the docker CLI (28.2) says stands here as its users see it. */
#include "check.h"
#include "cli/command.h"

const char skep_version[] = "1", skep_commit[] = "c";

static int nothing_run(Invocation *in, Err *e)
{
	(void)in;
	(void)e;
	return 0;
}

static int no_spaces(const char *text, Err *e)
{
	return strchr(text, ' ') ? err_set(e, ERR_USAGE, EINVAL, "bad format: %s", text) : 0;
}

static const Option program_options[] = {
	VALUE("config", 0, NULL, "Location of client config files"),
	SWITCH("debug", 'D', "Enable debug mode"),
	OPTION(ENUM, "log-level", 'l', NULL, "Set the logging level", .choices = CHOICES("debug", "info"), .fallback = "info"),
	SWITCH("version", 'v', "Print version information and quit"),
	{ 0 },
};

static const Command commands[] = {
	{ .name = "image", .arguments = NULL, .summary = "Manage images" },
	{ .name = "image ls",
	  .aliases = "image list,images",
	  .arguments = "[REPOSITORY[:TAG]]",
	  .summary = "List images",
	  .max_args = 1,
	  .common = true,
	  .options = OPTIONS(SWITCH("all", 'a', "Show all images (default hides intermediate images)"),
			     SWITCH("quiet", 'q', "Only show image IDs"),
			     LIST("filter", 'f', "filter", "Filter output based on conditions provided")),
	  .run = nothing_run },
	{ .name = "image tag",
	  .aliases = "tag",
	  .arguments = "SOURCE TARGET",
	  .summary = "Tag",
	  .min_args = 2,
	  .max_args = 2,
	  .run = nothing_run },
	{ .name = "run",
	  .arguments = "IMAGE [COMMAND] [ARG...]",
	  .summary = "Create and run a new container from an image",
	  .min_args = 1,
	  .max_args = -1,
	  .passes_arguments = true,
	  .options = OPTIONS(
		  SWITCH("interactive", 'i', "Keep STDIN open even if not attached"), SWITCH("tty", 't', "Allocate a pseudo-TTY"),
		  SWITCH("sig-proxy", 0, "Proxy received signals to the process", .fallback = "true"),
		  LIST("publish", 'p', NULL, "Publish a container's port(s) to the host"),
		  VALUE("name", 0, NULL, "Assign a name to the container"), OPTION(BYTES, "memory", 'm', NULL, "Memory limit"),
		  OPTION(DECIMAL, "cpus", 0, NULL, "Number of CPUs"),
		  OPTION(DURATION, "health-interval", 0, NULL, "Time between running the check"),
		  OPTION(UINT, "blkio-weight", 0, "uint16", "Block IO (relative weight)", .max = 65535),
		  OPTION(INT, "cpu-shares", 'c', NULL, "CPU shares (relative weight)"), OPTION(MAP, "label", 'l', NULL, "Set meta data"),
		  OPTION(STRINGS, "platform", 0, NULL, "Platforms"), VALUE("hostname", 'h', NULL, "Container host name"),
		  OPTION(ENUM, "pull", 0, NULL, "Pull image before running", .choices = CHOICES("always", "missing", "never"),
			 .fallback = "missing"),
		  VALUE("init", 0, NULL, "Init", .bare = "default"), LIST("device-read-bps", 0, NULL, "Rate", .check = no_spaces),
		  LIST("rate", 0, NULL, "Rate", .same = "device-read-bps", .hidden = true),
		  OPTION(BYTES, "memory-swap", 0, NULL, "Swap limit", .min = -1)),
	  .run = nothing_run },
	{ .name = "port",
	  .arguments = "CONTAINER [PORT]",
	  .summary = "Ports",
	  .min_args = 1,
	  .max_args = 2,
	  .hidden = true,
	  .run = nothing_run },
	{ .name = "secret-thing", .summary = "Hidden", .hidden = true, .run = nothing_run },
};

static const Program program = {
	.name = "skep",
	.summary = "Containers",
	.options = program_options,
	.commands = commands,
	.n_commands = ARRAY_LEN(commands),
	.parse = parse_docker,
	.help = help_docker,
	.manual = { .section = 1, .name = "n", .synopsis = "s", .description = "d", .after = "" },
};

typedef struct Line {
	Arena arena;
	Invocation in;
	Err e;
	bool help;
	int r;
} Line;

static void line_done(Line *l)
{
	arena_done(&l->arena);
}

/* Parses words, which are separated by '|'. */
static void parse(Line *l, const char *words)
{
	char *argv[64];
	int argc = 0;
	*l = (Line){ .arena = ARENA_INIT(1 << 20), .e = ERR_INIT };
	l->in = (Invocation){ .program = &program, .name = "skep", .arena = &l->arena };
	Str rest = str_of(words), word;
	argv[argc++] = arena_strdup(&l->arena, "skep");
	while (words && str_next(&rest, '|', &word))
		argv[argc++] = arena_str(&l->arena, word);
	argv[argc] = NULL;
	l->r = program.parse(&l->in, argc, argv, &l->help, &l->e);
}

#define PARSE(l, words) \
	AUTO(line_done) Line l; \
	parse(&(l), words)

static void assert_list(const StrList *list, const char *want)
{
	AUTO_BUF b = BUF_INIT(1000);
	for (size_t i = 0; i < list->n; i++)
		buf_printf(&b, "%s%s", i ? "|" : "", list->items[i]);
	assert_string_equal(buf_str(&b), want);
	if (list->n) assert_null(list->items[list->n]);
}

static void letters_can_be_bundled(void **state)
{
	(void)state;
	PARSE(l, "run|-itp80:80|-p|81:81|-p=82:82|--publish=83:83|--name|web|image|-i|--foo");
	assert_int_equal(l.r, 0);
	assert_true(option_switch(&l.in, "interactive") && option_switch(&l.in, "tty"));
	assert_list(option_list(&l.in, "publish"), "80:80|81:81|82:82|83:83");
	assert_string_equal(option_value(&l.in, "name"), "web");
	assert_list(&l.in.args, "image|-i|--foo");
}

static void options_and_arguments_mix(void **state)
{
	(void)state;
	PARSE(l, "-D|--log-level=debug|images|debian|-q|--filter|a=b|-fc=d");
	assert_int_equal(l.r, 0);
	assert_string_equal(l.in.command->name, "image ls");
	assert_string_equal(l.in.path, "images");
	assert_true(option_switch(&l.in, "quiet") && !option_switch(&l.in, "all") && global_switch(&l.in, "debug"));
	assert_string_equal(global_value(&l.in, "log-level"), "debug");
	assert_list(option_list(&l.in, "filter"), "a=b|c=d");
	assert_list(&l.in.args, "debian");
	PARSE(dashes, "image|list|--|-q");
	assert_int_equal(dashes.r, 0);
	assert_list(&dashes.in.args, "-q");
	assert_string_equal(dashes.in.path, "image list");
	PARSE(dash, "image|ls|-");
	assert_list(&dash.in.args, "-");
}

static void switches_take_a_value_behind_an_equals_sign_only(void **state)
{
	(void)state;
	PARSE(l, "run|--tty=false|-i=0|--sig-proxy=f|--init|x|true");
	assert_false(option_switch(&l.in, "tty") || option_switch(&l.in, "interactive") || option_switch(&l.in, "sig-proxy"));
	assert_true(option_is_set(&l.in, "tty"));
	assert_string_equal(option_value(&l.in, "init"), "default");
	assert_list(&l.in.args, "x|true");
	PARSE(d, "run|--init=tini|x");
	assert_true(option_switch(&d.in, "sig-proxy") && !option_is_set(&d.in, "sig-proxy"));
	assert_string_equal(option_value(&d.in, "init"), "tini");
	assert_string_equal(option_value(&d.in, "pull"), "missing");
	assert_null(option_value(&d.in, "name"));
}

static void values_have_types(void **state)
{
	(void)state;
	PARSE(l,
	      "run|-m|1.5g|--cpus|.3|--health-interval=1m30s|--blkio-weight|0x10|-c-5|--label|a=b|--label|c|-la=d=e|--platform|linux/amd64,linux/arm64|"
	      "-h|box|image");
	StrMap labels;
	assert_int_equal(l.r, 0);
	assert_true(option_number(&l.in, "memory") == 1610612736);
	assert_true(option_number(&l.in, "cpus") == 300000000);
	assert_true(option_number(&l.in, "health-interval") == INT64_C(90000000000));
	assert_true(option_number(&l.in, "blkio-weight") == 16);
	assert_true(option_number(&l.in, "cpu-shares") == -5);
	assert_string_equal(option_value(&l.in, "hostname"), "box");
	assert_list(option_list(&l.in, "platform"), "linux/amd64|linux/arm64");
	assert_int_equal(option_map(&l.in, "label", &labels), 0);
	assert_int_equal(labels.n, 2);
	assert_string_equal(str_map_get(&labels, "a"), "d=e");
	assert_string_equal(str_map_get(&labels, "c"), "");
}

/* Each wrong line, what docker 28.2 says to it (with its name), and its exit status. */
static const struct {
	const char *line, *message;
	int status;
} wrong[] = {
	{ "--foo", "unknown flag: --foo", 125 },
	{ "image|ls|--foo", "unknown flag: --foo", 125 },
	{ "run|-z", "unknown shorthand flag: 'z' in -z", 125 },
	{ "run|-itz", "unknown shorthand flag: 'z' in -z", 125 },
	{ "run|-zit", "unknown shorthand flag: 'z' in -zit", 125 },
	{ "image|-q|ls", "unknown shorthand flag: 'q' in -q", 125 },
	{ "run|--name", "flag needs an argument: --name", 125 },
	{ "run|-p", "flag needs an argument: 'p' in -p", 125 },
	{ "run|-itp", "flag needs an argument: 'p' in -p", 125 },
	{ "images|--=x", "bad flag syntax: --=x", 125 },
	{ "images|---x", "bad flag syntax: ---x", 125 },
	{ "run|--cpus|x|a", "invalid argument \"x\" for \"--cpus\" flag: failed to parse x as a rational number", 125 },
	{ "run|--cpus|1.2.3|a", "invalid argument \"1.2.3\" for \"--cpus\" flag: failed to parse 1.2.3 as a rational number", 125 },
	{ "run|--cpus|0.0000000001|a", "invalid argument \"0.0000000001\" for \"--cpus\" flag: value is too precise", 125 },
	{ "run|-m|x|a", "invalid argument \"x\" for \"-m, --memory\" flag: invalid size: 'x'", 125 },
	{ "run|--memory=1zz|a", "invalid argument \"1zz\" for \"-m, --memory\" flag: invalid suffix: 'zz'", 125 },
	{ "images|-q=x", "invalid argument \"x\" for \"-q, --quiet\" flag: strconv.ParseBool: parsing \"x\": invalid syntax", 125 },
	{ "run|-c|x|a", "invalid argument \"x\" for \"-c, --cpu-shares\" flag: strconv.ParseInt: parsing \"x\": invalid syntax", 125 },
	{ "run|-c|9223372036854775808|a",
	  "invalid argument \"9223372036854775808\" for \"-c, --cpu-shares\" flag: strconv.ParseInt: parsing \"9223372036854775808\": value out of range",
	  125 },
	{ "run|--blkio-weight|70000|a",
	  "invalid argument \"70000\" for \"--blkio-weight\" flag: strconv.ParseUint: parsing \"70000\": value out of range", 125 },
	{ "run|--blkio-weight|-1|a",
	  "invalid argument \"-1\" for \"--blkio-weight\" flag: strconv.ParseUint: parsing \"-1\": invalid syntax", 125 },
	{ "run|--health-interval|1x|a",
	  "invalid argument \"1x\" for \"--health-interval\" flag: time: unknown unit \"x\" in duration \"1x\"", 125 },
	{ "run|--pull|x|a", "invalid argument \"x\" for \"--pull\" flag: must be one of \"always\", \"missing\", \"never\"", 125 },
	{ "run|-l|=x|a", "invalid argument \"=x\" for \"-l, --label\" flag: a name is missing before '='", 125 },
	{ "run|--device-read-bps|a\"b c|a", "invalid argument \"a\\\"b c\" for \"--device-read-bps\" flag: bad format: a\"b c", 125 },
	{ "run|--rate|a b|a", "invalid argument \"a b\" for \"--rate\" flag: bad format: a b", 125 },
	{ "run|--memory-swap|-2|a", "invalid argument \"-2\" for \"--memory-swap\" flag: invalid size: '-2'", 125 },
	{ "run|-m|-1|a", "invalid argument \"-1\" for \"-m, --memory\" flag: invalid size: '-1'", 125 },
	{ "port", "skep: 'skep port' requires at least 1 and at most 2 arguments", 1 },
	{ "port|a|b|c", "skep: 'skep port' requires at least 1 and at most 2 arguments", 1 },
	{ "run|--device-read-bps|a b|a", "invalid argument \"a b\" for \"--device-read-bps\" flag: bad format: a b", 125 },
	{ "run", "skep: 'skep run' requires at least 1 argument", 1 },
	{ "tag|a", "skep: 'skep tag' requires 2 arguments", 1 },
	{ "image|tag|a|b|c", "skep: 'skep image tag' requires 2 arguments", 1 },
	{ "image|ls|a|b", "skep: 'skep image ls' requires at most 1 argument", 1 },
	{ "imagse", "skep: unknown command: skep imagse", 1 },
	{ "image|lss", "skep: unknown command: skep image lss", 1 },
	{ "image ls", "skep: unknown command: skep image ls", 1 },
	{ "image|help|ls", "skep: unknown command: skep image help", 1 },
};

static void what_is_wrong_is_said_in_dockers_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		PARSE(l, wrong[i].line);
		assert_true(l.r < 0);
		assert_string_equal(l.e.msg, wrong[i].message);
		if (l.in.usage.status != wrong[i].status) fail_msg("%s: status %d", wrong[i].line, l.in.usage.status);
	}
	PARSE(l, "help|foo");
	assert_string_equal(l.e.msg, "unknown help topic: foo");
}

static void decimals_are_exact(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t billionths;
	} rows[] = { { "0.3", 300000000 },
		     { ".5", 500000000 },
		     { "2.", 2000000000 },
		     { "+1", 1000000000 },
		     { "-1.5", -1500000000 },
		     { "1e-1", 100000000 },
		     { "1.5E+1", 15000000000 },
		     { "3/4", 750000000 },
		     { "-2/2", -1000000000 },
		     { "0", 0 },
		     { "0e99", 0 },
		     { "0.100000000000", 100000000 },
		     { "9223372036.854775807", INT64_MAX } };
	static const char *const wrong_ones[] = { "",
						  ".",
						  "1e",
						  "1e+",
						  "e1",
						  "1/0",
						  "1/",
						  "/1",
						  "1/2/3",
						  "1.5/2",
						  "--1",
						  "+-1",
						  "0x1",
						  "1e1000",
						  "1/3",
						  "0.0000000001",
						  "1e-11",
						  "1e11",
						  "9223372036.854775808" };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF line = BUF_INIT(200);
		buf_printf(&line, "run|--cpus|%s|image", rows[i].text);
		PARSE(l, buf_str(&line));
		if (l.r < 0 || option_number(&l.in, "cpus") != rows[i].billionths) fail_msg("%s: %s", rows[i].text, l.e.msg);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong_ones); i++) {
		AUTO_BUF line = BUF_INIT(200);
		buf_printf(&line, "run|--cpus=%s|image", wrong_ones[i]);
		PARSE(l, buf_str(&line));
		if (l.r >= 0) fail_msg("%s was taken", wrong_ones[i]);
	}
}

static void an_option_may_have_two_names(void **state)
{
	(void)state;
	PARSE(l, "run|--rate|a|--device-read-bps|b|--rate=c|--memory-swap|-1|image");
	assert_int_equal(l.r, 0);
	assert_list(option_list(&l.in, "device-read-bps"), "a|b|c");
	assert_true(option_is_set(&l.in, "device-read-bps") && !option_is_set(&l.in, "rate"));
	assert_int_equal(option_number(&l.in, "memory-swap"), -1);
}

static void a_command_may_fail_like_a_wrong_option(void **state)
{
	(void)state;
	PARSE(l, "run|image");
	AUTO_BUF b = BUF_INIT(65536);
	(void)!err_set(&l.e, ERR_NOT_FOUND, ENOENT, "no such thing");
	assert_int_equal(usage_failure(&l.in, 127, &l.e), -ENOENT);
	help_docker_usage(&l.in, &b);
	assert_string_equal(l.e.msg, "skep: no such thing");
	assert_int_equal(l.in.usage.status, 127);
	assert_string_equal(buf_str(&b), "\nRun 'skep run --help' for more information\n");
}

static void assert_usage(const char *line, const char *want)
{
	PARSE(l, line);
	AUTO_BUF b = BUF_INIT(65536);
	assert_true(l.r < 0);
	help_docker_usage(&l.in, &b);
	assert_string_equal(buf_str(&b), want);
}

static void the_way_out_is_said_below(void **state)
{
	(void)state;
	assert_usage("images|--foo",
		     "\nUsage:  skep images [OPTIONS] [REPOSITORY[:TAG]]\n\nRun 'skep images --help' for more information\n");
	assert_usage("--foo", "\nUsage:  skep [OPTIONS] COMMAND [ARG...]\n\nRun 'skep --help' for more information\n");
	assert_usage("imagse", "\nDid you mean this?\n\timage\n\timages\n\nRun 'skep --help' for more information\n");
	assert_usage("image|lst",
		     "\nDid you mean this?\n\tls\n\tlist\n\nUsage:  skep image\n\nRun 'skep image --help' for more information\n");
	assert_usage("run", "\nUsage:  skep run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nSee 'skep run --help' for more information\n");
	assert_usage("zzzzzz", "\nRun 'skep --help' for more information\n");
}

static void assert_help(const char *line, const char *want)
{
	PARSE(l, line);
	AUTO_BUF b = BUF_INIT(65536);
	assert_int_equal(l.r, 0);
	assert_true(l.help);
	program.help(&l.in, l.in.command, &b);
	assert_string_equal(buf_str(&b), want);
}

static const char images_help[] = "Usage:  skep images [OPTIONS] [REPOSITORY[:TAG]]\n\nList images\n\nAliases:\n"
				  "  skep image ls, skep image list, skep images\n\nOptions:\n"
				  "  -a, --all             Show all images (default hides intermediate images)\n"
				  "  -q, --quiet           Only show image IDs\n"
				  "  -f, --filter filter   Filter output based on conditions provided\n";

static void help_is_laid_out_as_dockers(void **state)
{
	(void)state;
	assert_help("images|--help", images_help);
	assert_help("images|x|y|-h|--foo", images_help);
	assert_help("help|images", images_help);
	static const char image[] =
		"Usage:  skep image COMMAND\n\nManage images\n\nCommands:\n  ls          List images\n  tag         Tag\n\n"
		"Run 'skep image COMMAND --help' for more information on a command.\n";
	assert_help("image", image);
	assert_help("image|--help", image);
	static const char whole[] = "Usage:  skep [OPTIONS] COMMAND\n\nContainers\n\nCommon Commands:\n  images      List images\n\n"
				    "Management Commands:\n  image       Manage images\n\n"
				    "Commands:\n  run         Create and run a new container from an image\n  tag         Tag\n\n"
				    "Global Options:\n      --config string      Location of client config files\n"
				    "  -D, --debug              Enable debug mode\n"
				    "  -l, --log-level string   Set the logging level (\"debug\", \"info\") (default\n"
				    "                           \"info\")\n"
				    "  -v, --version            Print version information and quit\n\n"
				    "Run 'skep COMMAND --help' for more information on a command.\n";
	assert_help("--help", whole);
	assert_help(NULL, whole);
}

static void completions_know_groups(void **state)
{
	(void)state;
	AUTO_BUF bash = BUF_INIT(65536), zsh = BUF_INIT(65536), fish = BUF_INIT(65536);
	generate_bash(&program, &bash);
	generate_zsh(&program, &zsh);
	generate_fish(&program, &fish);
	assert_non_null(strstr(buf_str(&bash), "'image'|'image ls'|'image list'|'images'"));
	assert_non_null(strstr(buf_str(&bash), "'run:--pull') COMPREPLY=($(compgen -W 'always missing never "));
	assert_null(strstr(buf_str(&bash), "secret-thing"));
	assert_non_null(strstr(buf_str(&zsh), "'image ls'|'image list'|'images')\n\t\t_arguments -s"));
	assert_non_null(
		strstr(buf_str(&fish), "-n '__fish_seen_subcommand_from image; and __fish_seen_subcommand_from ls' -l all -s a -d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_can_be_bundled),
		cmocka_unit_test(options_and_arguments_mix),
		cmocka_unit_test(switches_take_a_value_behind_an_equals_sign_only),
		cmocka_unit_test(values_have_types),
		cmocka_unit_test(what_is_wrong_is_said_in_dockers_words),
		cmocka_unit_test(decimals_are_exact),
		cmocka_unit_test(an_option_may_have_two_names),
		cmocka_unit_test(a_command_may_fail_like_a_wrong_option),
		cmocka_unit_test(the_way_out_is_said_below),
		cmocka_unit_test(help_is_laid_out_as_dockers),
		cmocka_unit_test(completions_know_groups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
