/* fuzz_seccomp.c: bytes as a seccomp profile: what compiles, the kernel would load, and it answers what the profile says
 * (seccomp_model.h) for the calls, architectures and values of the profile and their neighbours. */
#include "bpf.h"
#include "fuzz.h"
#include "seccomp_model.h"

enum { MAX_RULES = 40, MAX_NAMES = 6, MAX_ARGS = 7, MAX_VALUES = 64, MAX_ASKED = 4000 };

/* What is left of the input; zeros after its end. */
typedef struct Input {
	const uint8_t *p;
	size_t n;
} Input;

static uint64_t take_bytes(Input *in, size_t n)
{
	uint64_t v = 0;
	for (; n && in->n; n--, in->n--)
		v = v << 8 | *in->p++;
	return v;
}

static unsigned take_below(Input *in, unsigned limit)
{
	return (unsigned)take_bytes(in, limit > 256 ? 2 : 1) % limit;
}

typedef struct Values {
	uint64_t v[MAX_VALUES];
	size_t n;
} Values;

static uint64_t take_value(Input *in, Values *values)
{
	static const uint64_t usual[] = { 0, 1, 2, 3, 5, 40, UINT32_MAX, 1ull << 32, (1ull << 32) + 5, 1ull << 63, UINT64_MAX };
	unsigned how = take_below(in, 16);
	uint64_t v = how < ARRAY_LEN(usual) ? usual[how] : how < 14 ? take_bytes(in, 1) : take_bytes(in, 8);
	if (values->n + 3 <= MAX_VALUES) {
		values->v[values->n++] = v;
		values->v[values->n++] = v + 1;
		values->v[values->n++] = v ^ 1ull << 32;
	}
	return v;
}

static const char *take_name(Input *in)
{
	static const char *const meeting[] = { "read", "socket", "bind", "socketcall", "ipc", "shmat", "clone", "write" };
	unsigned how = take_below(in, 32);
	if (how < ARRAY_LEN(meeting)) return meeting[how];
	return how == 31 ? "no_such_call" : seccomp_syscall_name((int)take_below(in, (unsigned)seccomp_syscall_count()));
}

static OptUint take_errno(Input *in)
{
	unsigned how = take_below(in, 8);
	return how < 5 ? (OptUint){ 0 } : (OptUint){ true, how == 5 ? take_bytes(in, 4) : take_below(in, 200) };
}

static bool take_rule(Input *in, SeccompRule *r, Values *values, Arena *a)
{
	size_t names = take_below(in, MAX_NAMES), args = take_below(in, 2) ? take_below(in, MAX_ARGS) : 0;
	r->names.items = arena_array(a, names + 1, sizeof *r->names.items);
	r->args.items = arena_array(a, args + 1, sizeof *r->args.items);
	if (!r->names.items || !r->args.items) return false;
	while (r->names.n < names)
		r->names.items[r->names.n++] = take_name(in);
	for (; r->args.n < args; r->args.n++)
		r->args.items[r->args.n] =
			(SeccompArg){ .index = take_below(in, 32) ? take_below(in, 6) : take_below(in, 200),
				      .op = (int)take_below(in, 64) ? (int)take_below(in, 7) + 1 : (int)take_below(in, 10),
				      .value = take_value(in, values),
				      .value_two = take_value(in, values) };
	r->action = (int)take_below(in, 10);
	if (r->action == SECCOMP_ERRNO || r->action == SECCOMP_TRACE || take_below(in, 64) == 0) r->errno_ret = take_errno(in);
	return true;
}

static bool take_profile(Input *in, SeccompProfile *p, Values *values, Arena *a)
{
	p->default_action = (int)take_below(in, 10);
	if (p->default_action == SECCOMP_ERRNO) p->default_errno_ret = take_errno(in);
	p->listener_path = take_below(in, 16) ? "/run/agent" : NULL;
	size_t arches = take_below(in, 6), rules = take_below(in, MAX_RULES + 1), flags = take_below(in, 16) ? 0 : 1;
	p->architectures.items = arena_array(a, arches + 1, sizeof(int));
	p->flags.items = arena_array(a, flags + 1, sizeof(int));
	p->syscalls.items = arena_array(a, rules + 1, sizeof *p->syscalls.items);
	if (!p->architectures.items || !p->flags.items || !p->syscalls.items) return false;
	while (p->architectures.n < arches)
		p->architectures.items[p->architectures.n++] =
			(int)take_below(in, 64) ? (int)take_below(in, 23) + 1 : (int)take_below(in, 30);
	while (p->flags.n < flags)
		p->flags.items[p->flags.n++] = seccomp_flag_names[take_below(in, 4)].value;
	for (; p->syscalls.n < rules; p->syscalls.n++)
		if (!take_rule(in, &p->syscalls.items[p->syscalls.n], values, a)) return false;
	return true;
}

typedef struct Asked {
	const SeccompProfile *profile;
	const SeccompFilter *filter;
	const Values *values;
	uint64_t random;
	size_t n;
} Asked;

/* ask: some arguments for one number; the answer has to be what the profile says. */
static void ask(Asked *q, uint32_t audit, uint32_t nr)
{
	struct seccomp_data d = { .nr = (int)nr, .arch = audit };
	for (size_t round = 0; round < 4 && q->n < MAX_ASKED; round++, q->n++) {
		for (size_t i = 0; i < 6; i++) {
			q->random = q->random * 6364136223846793005u + 1442695040888963407u;
			d.args[i] = q->values->n ? q->values->v[(q->random >> 33) % q->values->n] : q->random >> 60;
		}
		assert(model_answer(q->profile, &d, bpf_run(q->filter->prog.filter, &d, NULL)));
	}
}

static void ask_everything(Asked *q)
{
	const SeccompProfile *p = q->profile;
	for (int v = 1; v <= SECCOMP_ARCH_MAX; v++) {
		const SeccompArch *arch = seccomp_arch(v);
		ask(q, arch->audit, 0);
		ask(q, arch->audit, UINT32_MAX);
		if (!model_has_arch(p, v)) continue;
		ask(q, arch->audit, (model_top(p, arch) | arch->bit) + 1);
		if (arch->muxed) ask(q, arch->audit, seccomp_mux_nr(arch, false));
		if (arch->muxed) ask(q, arch->audit, seccomp_mux_nr(arch, true));
		for (size_t i = 0; i < p->syscalls.n; i++)
			for (size_t k = 0; k < p->syscalls.items[i].names.n; k++) {
				int row = seccomp_syscall_find(p->syscalls.items[i].names.items[k]);
				uint32_t nr = row < 0 ? SECCOMP_NO_NR : seccomp_syscall_nr(arch, row);
				if (nr == SECCOMP_NO_NR) continue;
				ask(q, arch->audit, nr | arch->bit);
				ask(q, arch->audit, (nr + 1) | arch->bit);
			}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	Input in = { data, n };
	Values values = { .n = 0 };
	SeccompProfile p = { 0 };
	SeccompFilter f = { 0 };
	Err e = ERR_INIT;
	if (!take_profile(&in, &p, &values, &a)) return 0;
	int r = seccomp_compile(&p, &a, &f, &e);
	if (r < 0) {
		assert(e.code != ERR_NONE && strstr(e.msg, "linux.seccomp"));
		return 0;
	}
	assert(bpf_check(f.prog.filter, f.prog.len) == NULL);
	Asked q = { .profile = &p, .filter = &f, .values = &values, .random = n };
	ask_everything(&q);
	return 0;
}
