/* test_template.c: templates against what Go's own engine made of them, and what is ours: hosts, limits. */
#include "base/template.h"
#include "check.h"
#include "template_cases.h"

typedef struct Run {
	Arena arena;
	Buf out;
	Err e;
	int r;
} Run;

static void run_done(Run *run)
{
	arena_done(&run->arena);
	buf_done(&run->out);
}

static void run(Run *to, const char *text, const char *data, const TemplateHost *host)
{
	*to = (Run){ .arena = ARENA_INIT(8 << 20), .out = BUF_INIT(1 << 20), .e = ERR_INIT };
	const Template *t;
	JsonValue v;
	char *copy = arena_strdup(&to->arena, data);
	assert_int_equal(json_parse(copy, strlen(copy), &to->arena, &v, &to->e), 0);
	to->r = template_parse(str_of(text), "", &to->arena, &t, &to->e);
	if (to->r >= 0) to->r = template_execute(t, &v, host, &to->arena, &to->out, &to->e);
}

#define RUN(name, text, data, host) \
	AUTO(run_done) Run name; \
	run(&(name), text, data, host)

static void templates_do_what_gos_do(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(template_cases); i++) {
		RUN(r, template_cases[i].text, template_data, NULL);
		const char *got = r.r < 0 ? r.e.msg : buf_str(&r.out);
		if ((r.r >= 0) != template_cases[i].ok || !streq(got, template_cases[i].want))
			fail_msg("%s\n  got  %s\n  want %s", template_cases[i].text, got, template_cases[i].want);
	}
}

static void assert_output(const char *text, const char *data, const TemplateHost *host, const char *want)
{
	RUN(r, text, data, host);
	if (r.r < 0) fail_msg("%s: %s", text, r.e.msg);
	assert_string_equal(buf_str(&r.out), want);
}

static void assert_failure(const char *text, const char *data, const TemplateHost *host, const char *part)
{
	RUN(r, text, data, host);
	assert_true(r.r < 0);
	if (!strstr(r.e.msg, part)) fail_msg("%s: \"%s\" without \"%s\"", text, r.e.msg, part);
}

/* .Label "x", .Size and a field that fails. */
static int host_field(void *arg, const JsonValue *of, const char *name, const JsonValue *args, size_t n, Arena *a, JsonValue *ret, Err *e)
{
	const JsonValue *labels = json_get(of, "Labels"), *label;
	if (streq(name, "Fails")) return err_set(e, ERR_IO, EIO, "no %s", (const char *)arg);
	if (streq(name, "Size")) {
		*ret = (JsonValue){ .type = JSON_STRING, .n = 3, .s = arena_strdup(a, "5MB") };
		return 1;
	}
	if (!streq(name, "Label") || n != 1 || !labels) return 0;
	label = json_get(labels, args[0].s);
	*ret = label ? *label : (JsonValue){ .type = JSON_STRING, .s = "" };
	return 1;
}

static void a_host_adds_fields_and_methods(void **state)
{
	(void)state;
	static char what[] = "luck";
	const TemplateHost host = { .field = host_field, .arg = what };
	static const char data[] = "{\"ID\":\"1\",\"Labels\":{\"a\":\"b\"}}";
	assert_output("{{.ID}} {{.Size}} {{.Label \"a\"}}{{.Label \"z\"}}|{{\"a\" | .Label}}", data, &host, "1 5MB b|b");
	assert_output("{{upper (.Label \"a\")}}{{with .Size}}{{.}}{{end}}", data, &host, "B5MB");
	assert_failure("{{.Nothing}}", data, &host, "template: :1:2: executing \"\" at <.Nothing>: map has no entry for key \"Nothing\"");
	assert_failure("{{.Fails}}", data, &host, "executing \"\" at <.Fails>: error calling Fails: no luck");
	assert_failure("{{.ID \"x\"}}", data, &host, "ID is not a method but has arguments");
}

static void missing_members_can_be_nothing(void **state)
{
	(void)state;
	const TemplateHost host = { .missing_is_null = true };
	assert_output("{{.A}}{{if .B}}x{{end}}", "{}", &host, "<no value>");
	assert_failure("{{.A.B}}", "{}", &host, "nil pointer evaluating");
}

static void a_header_goes_through_functions_unchanged(void **state)
{
	(void)state;
	const TemplateHost host = { .header = true };
	static const char data[] = "{\"ID\":\"IMAGE ID\",\"Name\":\"Names\"}";
	assert_output("{{.ID}}\t{{upper .Name}} {{truncate .ID 3}}{{json .Name}}{{join .Name \",\"}}", data, &host,
		      "IMAGE ID\tNames IMAGE IDNamesNames");
}

static void labels_that_are_missing_are_empty(void **state)
{
	(void)state;
	assert_output("[{{index .L \"z\"}}]", "{\"L\":{\"a\":\"b\"}}", NULL, "[]");
	assert_output("[{{index .L \"z\"}}]", "{\"L\":{\"a\":1}}", NULL, "[<no value>]");
}

static void numbers_keep_their_value(void **state)
{
	(void)state;
	static const char data[] = "{\"A\":-1,\"B\":18446744073709551615}";
	assert_output("{{.A}} {{.B}} {{gt .B .A}} {{eq .B .B}} {{lt .B 5}} {{printf \"%x\" .B}}", data, NULL,
		      "-1 18446744073709551615 true true false ffffffffffffffff");
}

/* What docker's structs print, and what Go's documents do not have of them. */
static void structs_are_printed_as_gos(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_BUF out = BUF_INIT(1 << 16);
	Err e = ERR_INIT;
	JsonMember policy[] = { { .key = "Name", .value = { .type = JSON_STRING, .n = 2, .s = "no" } },
				{ .key = "Wait", .value = { .type = JSON_INT, .i = 1500000000, .go = JSON_DURATION } },
				{ .key = "Args", .value = { .type = JSON_ARRAY, .go = JSON_NIL } },
				{ .key = "Map", .value = { .type = JSON_OBJECT, .go = JSON_NIL | JSON_ABSENT } },
				{ .key = "Init", .value = { .type = JSON_NULL, .go = JSON_NIL } },
				{ .key = "Id", .value = { .type = JSON_INT, .go = JSON_FOREIGN } },
				{ .key = "ID", .value = { .type = JSON_INT, .go = JSON_ABSENT | JSON_ALIAS } },
				{ .key = "Since",
				  .value = { .type = JSON_STRING, .n = 22, .s = "2026-01-02T03:04:05.6Z", .go = JSON_TIME } },
				{ .key = "Never", .value = { .type = JSON_STRING, .n = 4, .s = "soon", .go = JSON_TIME | JSON_ABSENT } } };
	JsonMember top = { .key = "P", .value = { .type = JSON_OBJECT, .n = ARRAY_LEN(policy), .members = policy, .go = JSON_STRUCT } };
	const JsonValue v = { .type = JSON_OBJECT, .n = 1, .members = &top };
	const Template *t;
	const char *text = "{{.P}} {{.P.Init}} {{len .P.Args}}{{.P.Map}} {{.P.ID}} {{.P.Since}} {{json .P}}";
	assert_int_equal(template_parse(str_of(text), "", &a, &t, &e), 0);
	assert_int_equal(template_execute(t, &v, NULL, &a, &out, &e), 0);
	assert_string_equal(
		buf_str(&out),
		"{no 1.5s [] map[] <nil> 0 2026-01-02 03:04:05.6 +0000 UTC soon} <nil> 0map[] 0 2026-01-02 03:04:05.6 +0000 UTC "
		"{\"Name\":\"no\",\"Wait\":1500000000,\"Args\":null,\"Init\":null,\"Id\":0,\"Since\":\"2026-01-02T03:04:05.6Z\"}");
	assert_int_equal(template_parse(STR("{{.P.Id}}"), "", &a, &t, &e), 0);
	assert_int_equal(template_execute(t, &v, NULL, &a, &out, &e), -EINVAL);
	assert_int_equal(e.code, ERR_CONFIG);
}

static void everything_has_a_limit(void **state)
{
	(void)state;
	AUTO_BUF deep = BUF_INIT(1 << 20);
	for (int i = 0; i < 100; i++)
		buf_puts(&deep, "{{if true}}");
	assert_failure(buf_str(&deep), "{}", NULL, "more than 64 levels of nesting");
	buf_reset(&deep);
	buf_puts(&deep, "{{");
	for (int i = 0; i < 100000 / 2; i++)
		buf_putc(&deep, '(');
	assert_failure(buf_str(&deep), "{}", NULL, "more than 64 levels of nesting");
	buf_reset(&deep);
	for (int i = 0; i < 70000; i++)
		buf_putc(&deep, 'x');
	assert_failure(buf_str(&deep), "{}", NULL, "longer than 65536 bytes");
	assert_failure("{{range 5000000}}{{end}}", "{}", NULL, "more than 4194304 steps");
	assert_failure("{{range 5000000}}xxxxxxxx{{end}}", "{}", NULL, "output is too long");
	assert_failure("{{range 1000000}}{{$x := print \"aaaaaaaaaaaaaaaa\"}}{{end}}", "{}", NULL, "out of memory");
	assert_failure("{{pad \"x\" 3 100000}}", "{}", NULL, "error calling pad: expected a number from 0 to 65536, got 100000");
	assert_output("{{printf \"%999999999s\" \"a\" | len}}", "{}", NULL, "10000");
	buf_reset(&deep);
	for (int i = 0; i < 200; i++)
		buf_printf(&deep, "{{$v%d := 1}}", i);
	assert_failure(buf_str(&deep), "{}", NULL, "more than 128 variables");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(templates_do_what_gos_do),          cmocka_unit_test(a_host_adds_fields_and_methods),
		cmocka_unit_test(missing_members_can_be_nothing),    cmocka_unit_test(a_header_goes_through_functions_unchanged),
		cmocka_unit_test(labels_that_are_missing_are_empty), cmocka_unit_test(numbers_keep_their_value),
		cmocka_unit_test(structs_are_printed_as_gos),        cmocka_unit_test(everything_has_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
