/* spec_sample.h: a machine, a container and its specification, for the tests of src/engine/spec.h. */
#pragma once

#include "check.h"

#include <fcntl.h>

#include "engine/spec.h"

enum { SAMPLE_MAX = 64 << 20 };

#define SAMPLE_ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Sample: one translation, from the documents of the API to the specification. */
typedef struct Sample {
	Arena arena;
	Err e;
	int r;
	Machine machine;
	ContainerConfig config;
	HostConfig host;
	MountPointList mounts;
	SpecInput in;
	OciSpec spec;
} Sample;

static inline void sample_done(Sample *s)
{
	arena_done(&s->arena);
}
#define AUTO_SAMPLE AUTO(sample_done) Sample

/* A machine that has everything, and on which nothing has to be looked up. */
static inline void sample_machine(Machine *m, Arena *a)
{
	*m = (Machine){ .arena = a,
			.known = ~UINT64_C(0),
			.cpus = 2,
			.kernel_major = 6,
			.kernel_minor = 12,
			.capabilities = (UINT64_C(1) << 41) - 1,
			.cpu_list = "0-1",
			.memory_list = "0" };
	for (int f = 0; f < MACHINE_FEATURES; f++)
		m->has |= UINT64_C(1) << f;
	m->has &= ~(UINT64_C(1) << MACHINE_APPARMOR | UINT64_C(1) << MACHINE_SELINUX | UINT64_C(1) << MACHINE_USER_NAMESPACE |
		    UINT64_C(1) << MACHINE_CGROUP2 | UINT64_C(1) << MACHINE_THROTTLE);
}

/* Documents here are written with ' for ". */
static inline void sample_parse(Sample *s, const BindTable *t, const char *quoted, void *to)
{
	char *text = arena_strdup(&s->arena, quoted);
	assert_non_null(text);
	for (char *p = text; *p; p++)
		if (*p == '\'') *p = '"';
	JsonValue v;
	if (json_parse(text, strlen(text), &s->arena, &v, &s->e) < 0 || bind_decode(t, &v, to, "document", &s->arena, &s->e) < 0)
		fail_msg("%s: %s", quoted, s->e.msg);
}

static inline void sample_init(Sample *s, const char *config, const char *host)
{
	*s = (Sample){ .arena = ARENA_INIT(SAMPLE_MAX), .e = ERR_INIT };
	sample_machine(&s->machine, &s->arena);
	sample_parse(s, &container_config_table, config, &s->config);
	sample_parse(s, &host_config_table, host, &s->host);
	s->in = (SpecInput){
		.id = SAMPLE_ID, .config = &s->config, .host = &s->host, .machine = &s->machine, .mounts = &s->mounts, .root = -1
	};
}

static inline void sample_make(Sample *s)
{
	s->r = spec_make(&s->in, &s->arena, &s->spec, &s->e);
}

/* What is written is read again as it was. */
static inline void sample_round_trip(Sample *s)
{
	AUTO_BUF first = BUF_INIT(SAMPLE_MAX), second = BUF_INIT(SAMPLE_MAX);
	OciSpec again;
	bind_encode(&oci_spec_table, &s->spec, &JSON_WRITER(&first));
	assert_false(buf_failed(&first));
	char *text = arena_strdup(&s->arena, buf_str(&first));
	assert_non_null(text);
	if (oci_spec_parse(text, first.n, &s->arena, &again, &s->e) < 0) fail_msg("%s", s->e.msg);
	bind_encode(&oci_spec_table, &again, &JSON_WRITER(&second));
	assert_string_equal(buf_str(&first), buf_str(&second));
}

/* A translation that must succeed. */
static inline void sample_accept(Sample *s)
{
	sample_make(s);
	if (s->r < 0) fail_msg("refused: %s", s->e.msg);
	assert_string_equal(s->e.msg, "");
	sample_round_trip(s);
}
