/* tar_rule.c: refusals, see tar_rules.def. */
#include "oci/tar_impl.h"

static const struct {
	ErrCode code;
	int errnum;
	const char *text;
} rules[TAR_RULES] = {
#define RULE(name, code, errnum, text) [TAR_##name] = { ERR_##code, errnum, text },
#include "oci/tar_rules.def"
#undef RULE
};

int tar_refuse_at(Err *e, TarRule rule, uint64_t at)
{
	return err_set(e, rules[rule].code, rules[rule].errnum, "tar: byte %llu: %s", (unsigned long long)at, rules[rule].text);
}

int tar_refuse_name(Err *e, TarRule rule, Str name)
{
	int n = name.n < 256 ? (int)name.n : 256;
	return err_set(e, rules[rule].code, rules[rule].errnum, "tar: \"%.*s%s\": %s", n, name.p, name.n > 256 ? "…" : "",
		       rules[rule].text);
}

int tar_refuse_record(Err *e, TarRule rule, uint64_t at, const char *key)
{
	return err_set(e, rules[rule].code, rules[rule].errnum, "tar: byte %llu: extended header: \"%.100s\": %s", (unsigned long long)at,
		       key, rules[rule].text);
}
