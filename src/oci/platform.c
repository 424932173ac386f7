/* platform.c: see platform.h. */
#include "oci/platform.h"

#if defined(__x86_64__)
#define HOST_ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define HOST_ARCHITECTURE "arm64"
#elif defined(__i386__)
#define HOST_ARCHITECTURE "386"
#elif defined(__arm__)
#define HOST_ARCHITECTURE "arm"
#elif defined(__riscv) && __riscv_xlen == 64
#define HOST_ARCHITECTURE "riscv64"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define HOST_ARCHITECTURE "ppc64le"
#elif defined(__s390x__)
#define HOST_ARCHITECTURE "s390x"
#elif defined(__loongarch64)
#define HOST_ARCHITECTURE "loong64"
#else
#error "a word for this processor is missing here"
#endif

/* A 64-bit processor also runs its 32-bit programs: behind all variants of its own. */
enum { RANK_OTHER_WIDTH = 100, RANK_UNKNOWN = 1000 };

const Platform *platform_host(void)
{
#if defined(__arm__)
	static const Platform host = { .architecture = "arm", .os = "linux", .variant = "v7" };
#else
	static const Platform host = { .architecture = HOST_ARCHITECTURE, .os = "linux" };
#endif
	return &host;
}

/* ---- normal form ---- */

static const char *lower(const char *s, Arena *a)
{
	char *p = arena_strdup(a, s ? s : "");
	for (char *c = p; c && *c; c++)
		if (*c >= 'A' && *c <= 'Z') *c |= 0x20;
	return p;
}

/* Other spellings. variant: "" no variant whatever stood there, NULL as it stood. */
static const struct {
	const char *name, *architecture, *variant;
} aliases[] = {
	{ "i386", "386", "" },        { "x86_64", "amd64", NULL }, { "x86-64", "amd64", NULL },
	{ "aarch64", "arm64", NULL }, { "armhf", "arm", "v7" },    { "armel", "arm", "v6" },
};

/* Variants that are written otherwise in normal form. */
static const struct {
	const char *architecture, *variant, *normal;
} variants[] = {
	{ "amd64", "v1", "" }, { "arm64", "8", "" }, { "arm64", "v8", "" }, { "arm", "", "v7" },
	{ "arm", "7", "v7" },  { "arm", "5", "v5" }, { "arm", "6", "v6" },  { "arm", "8", "v8" },
};

int platform_normalize(const Platform *p, Arena *a, Platform *ret)
{
	const char *os = lower(p->os, a), *architecture = lower(p->architecture, a), *variant = lower(p->variant, a);
	if (!os || !architecture || !variant) return -ENOMEM;
	if (streq(os, "")) os = "linux";
	if (streq(os, "macos")) os = "darwin";
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
		if (!streq(architecture, aliases[i].name)) continue;
		architecture = aliases[i].architecture;
		if (aliases[i].variant) variant = aliases[i].variant;
	}
	for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
		if (!streq(architecture, variants[i].architecture) || !streq(variant, variants[i].variant)) continue;
		variant = variants[i].normal;
		break;
	}
	*ret = *p;
	ret->os = os;
	ret->architecture = architecture;
	ret->variant = *variant ? variant : NULL;
	return 0;
}

/* ---- texts ---- */

static bool is_word(Str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
		if (!good) return false;
	}
	return s.n > 0;
}

static bool is_one_of(const char *word, const char *words)
{
	size_t n = strlen(word);
	for (const char *at = words; n && (at = strstr(at, word)); at += n)
		if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n])) return true;
	return false;
}

static const char known_systems[] =
	"aix android darwin dragonfly freebsd hurd illumos ios js linux macos nacl netbsd openbsd plan9 solaris "
	"windows zos";
static const char known_processors[] =
	"386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 "
	"mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm";

static int invalid(Str s, const char *why, Err *e)
{
	return err_set(e, ERR_CONFIG, EINVAL, "invalid platform \"%.*s\": %s", (int)(s.n < 100 ? s.n : 100), s.p, why);
}

/* "linux" or "windows(10.0.17763)". */
static bool cut_version(Str part, Str *os, Str *version)
{
	*os = part;
	*version = (Str){ part.p, 0 };
	if (!part.n || part.p[part.n - 1] != ')') return is_word(part);
	Str inner = { part.p, part.n - 1 };
	return str_cut(inner, '(', os, version) && is_word(*os) && is_word(*version);
}

static int resolve_single(Str s, Platform *p, Arena *a, Err *e)
{
	Platform processor = { .architecture = p->os, .os = "linux" }, system;
	if (platform_normalize(&processor, a, &processor) < 0 || platform_normalize(p, a, &system) < 0)
		return err_sys(e, ENOMEM, "parse platform");
	if (is_one_of(system.os, known_systems)) {
		const Platform *host = platform_host();
		p->architecture = host->architecture;
		p->variant = host->variant;
		return 0;
	}
	if (p->os_version || !is_one_of(processor.architecture, known_processors))
		return invalid(s, "unknown operating system or architecture", e);
	*p = processor;
	return 0;
}

int platform_parse(Str s, Arena *a, Platform *ret, Err *e)
{
	Str rest = s, parts[3] = { { 0 } }, version, piece;
	size_t n = 0;
	while (str_next(&rest, '/', &piece)) {
		if (n == ARRAY_LEN(parts)) return invalid(s, "expected os/architecture/variant", e);
		parts[n++] = piece;
	}
	if (!n || !cut_version(parts[0], &parts[0], &version)) return invalid(s, "expected os/architecture/variant", e);
	for (size_t i = 1; i < n; i++)
		if (!is_word(parts[i])) return invalid(s, "expected os/architecture/variant of letters, digits, '_', '-' and '.'", e);
	Platform p = { .os = arena_str(a, parts[0]) };
	if (version.n) p.os_version = arena_str(a, version);
	if (n > 1) p.architecture = arena_str(a, parts[1]);
	if (n > 2) p.variant = arena_str(a, parts[2]);
	if (!p.os || (version.n && !p.os_version) || (n > 1 && !p.architecture) || (n > 2 && !p.variant))
		return err_sys(e, ENOMEM, "parse platform");
	int r = n == 1 ? resolve_single(s, &p, a, e) : 0;
	if (r < 0) return r;
	return platform_normalize(&p, a, ret) < 0 ? err_sys(e, ENOMEM, "parse platform") : 0;
}

const char *platform_format(const Platform *p, Arena *a)
{
	if (!p->os || !*p->os) return arena_strdup(a, "unknown");
	const char *architecture = p->architecture ? p->architecture : "", *variant = p->variant ? p->variant : "";
	return arena_printf(a, "%s%s%s%s%s", p->os, *architecture ? "/" : "", architecture, *variant ? "/" : "", variant);
}

/* ---- choosing ---- */

/* The variant as a number, 0 when it is none; lowest: what none written means. */
static int variant_number(const char *variant, int lowest)
{
	uint32_t v;
	if (!variant) return lowest;
	if (variant[0] != 'v' || str_to_u32(str_of(variant + 1), &v) < 0 || v > 99) return 0;
	return (int)v;
}

static int rank_variant(int wanted, int offered, int lowest)
{
	if (!wanted || offered < lowest || offered > wanted) return -1;
	return wanted - offered;
}

static bool same(const char *a, const char *b)
{
	return streq(a ? a : "", b ? b : "");
}

int platform_rank(const Platform *wanted, const Platform *offered)
{
	const char *w = wanted->architecture ? wanted->architecture : "", *o = offered->architecture ? offered->architecture : "";
	if (!same(wanted->os, offered->os)) return -1;
	if (streq(w, o) && same(wanted->variant, offered->variant)) return 0;
	if (streq(w, "amd64") && streq(o, "386")) return offered->variant ? -1 : RANK_OTHER_WIDTH;
	if (streq(w, "arm64") && streq(o, "arm")) {
		int r = rank_variant(variant_number(wanted->variant, 8), variant_number(offered->variant, 7), 5);
		return r < 0 ? r : RANK_OTHER_WIDTH + r;
	}
	if (!streq(w, o)) return -1;
	int lowest = streq(w, "amd64") ? 1 : streq(w, "arm") ? 5 : streq(w, "arm64") ? 8 : 0;
	return lowest ? rank_variant(variant_number(wanted->variant, lowest), variant_number(offered->variant, lowest), lowest) : -1;
}

static bool is_attestation(const Descriptor *d)
{
	const char *type = str_map_get(&d->annotations, "vnd.docker.reference.type");
	return type && streq(type, "attestation-manifest");
}

static int rank_entry(const Descriptor *d, const Platform *wanted, Arena *a, Err *e)
{
	Platform p;
	if (is_attestation(d) || (!media_type_is(d->media_type, MEDIA_MANIFEST) && !media_type_is(d->media_type, MEDIA_INDEX))) return -1;
	if (!d->platform) return RANK_UNKNOWN;
	if (platform_normalize(d->platform, a, &p) < 0) return err_sys(e, ENOMEM, "choose a platform");
	return platform_rank(wanted, &p);
}

static int nothing_fits(const Index *i, const Platform *wanted, Arena *a, Err *e)
{
	AUTO_BUF offered = BUF_INIT(400);
	for (size_t k = 0; k < i->manifests.n; k++) {
		const Descriptor *d = &i->manifests.items[k];
		const char *name = d->platform && !is_attestation(d) ? platform_format(d->platform, a) : NULL;
		if (!name || strstr(buf_str(&offered), name)) continue;
		if (offered.n + strlen(name) > 300) {
			buf_puts(&offered, ", …");
			break;
		}
		buf_printf(&offered, "%s%s", offered.n ? ", " : "", name);
	}
	const char *name = platform_format(wanted, a);
	return err_set(e, ERR_NOT_FOUND, ENOENT, "no matching manifest for %s in the manifest list entries%s%s", name ? name : "?",
		       offered.n ? "; there are " : "", buf_str(&offered));
}

int index_choose(const Index *i, const Platform *wanted, Arena *a, size_t *ret, Err *e)
{
	int best = -1;
	for (size_t k = 0; k < i->manifests.n; k++) {
		int rank = rank_entry(&i->manifests.items[k], wanted, a, e);
		if (rank == -ENOMEM) return rank;
		if (rank < 0 || (best >= 0 && rank >= best)) continue;
		best = rank;
		*ret = k;
	}
	return best < 0 ? nothing_fits(i, wanted, a, e) : 0;
}
