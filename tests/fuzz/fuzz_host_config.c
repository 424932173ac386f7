/* fuzz_host_config.c: Config and HostConfig of a container, separated by a newline. Whatever is accepted becomes a specification that can be written,
 * read again and written the same, and that asks for no capability the machine has not. */
#include "fuzz.h"

#include "engine/config_check.h"
#include "engine/spec.h"

enum { OUT_MAX = 16 << 20 };

static int decode(const BindTable *t, Str text, void *to, Arena *a, Err *e)
{
	char *copy = arena_str(a, text);
	JsonValue v;
	assert(copy);
	int r = json_parse(copy, text.n, a, &v, e);
	return r < 0 ? r : bind_decode(t, &v, to, "document", a, e);
}

static void check(const OciSpec *s, Arena *a)
{
	AUTO_BUF first = BUF_INIT(OUT_MAX), second = BUF_INIT(OUT_MAX);
	OciSpec again;
	Err e = ERR_INIT;
	bind_encode(&oci_spec_table, s, &JSON_WRITER(&first));
	assert(!buf_failed(&first));
	char *text = arena_strdup(a, buf_str(&first));
	assert(text && oci_spec_parse(text, first.n, a, &again, &e) == 0);
	bind_encode(&oci_spec_table, &again, &JSON_WRITER(&second));
	assert(streq(buf_str(&first), buf_str(&second)));
	const StrList *bounding = &s->process->capabilities->bounding;
	for (size_t i = 0; i < bounding->n; i++)
		assert(!streq(bounding->items[i], "CAP_SYS_MODULE") && !streq(bounding->items[i], "CAP_SYS_RESOURCE"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_FREE char *text = fuzz_copy(data, n);
	Str config_text, host_text;
	ContainerConfig config;
	HostConfig host;
	StrList warnings;
	OciSpec spec;
	Err e = ERR_INIT;
	Machine m = { .arena = &a, .known = ~UINT64_C(0), .cpus = 4, .kernel_major = 6, .cpu_list = "0-3", .memory_list = "0" };
	str_cut((Str){ text, n }, '\n', &config_text, &host_text);
	if (decode(&container_config_table, config_text, &config, &a, &e) < 0 || decode(&host_config_table, host_text, &host, &a, &e) < 0)
		return 0;
	/* all but SYS_MODULE (16) and SYS_RESOURCE (24) */
	m.capabilities = ((UINT64_C(1) << 41) - 1) & ~(UINT64_C(1) << 16 | UINT64_C(1) << 24);
	m.has = ((UINT64_C(1) << MACHINE_FEATURES) - 1) & ~(UINT64_C(1) << MACHINE_SELINUX);
	if (config_check(&config, &host, &m, &a, &warnings, &e) < 0) {
		assert(*e.msg);
		return 0;
	}
	host.privileged = false; /* the devices of this machine are not the input's */
	host.devices.n = 0;
	SpecInput in = { .id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			 .config = &config,
			 .host = &host,
			 .machine = &m,
			 .root = -1,
			 .dir = "/d",
			 .init_program = "/i",
			 .network_ns = "/n",
			 .ipc_ns = "/i",
			 .pid_ns = "/p" };
	if (spec_make(&in, &a, &spec, &e) < 0)
		assert(*e.msg);
	else
		check(&spec, &a);
	return 0;
}
