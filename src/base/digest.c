/* digest.c: see digest.h. */
#include "base/digest.h"

static const struct {
	const char *name;
	size_t size;
} algorithms[] = {
	[DIGEST_SHA256] = { "sha256", 32 },
	[DIGEST_SHA512] = { "sha512", 64 },
};

const char *digest_algorithm_name(uint8_t algorithm)
{
	return algorithm < ARRAY_LEN(algorithms) ? algorithms[algorithm].name : NULL;
}

size_t digest_size(uint8_t algorithm)
{
	return algorithm < ARRAY_LEN(algorithms) ? algorithms[algorithm].size : 0;
}

uint8_t digest_algorithm_value(Str name)
{
	for (unsigned i = DIGEST_NONE + 1; i < ARRAY_LEN(algorithms); i++)
		if (str_eq(name, algorithms[i].name)) return (uint8_t)i;
	return DIGEST_NONE;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	return -1;
}

int digest_parse_hex(uint8_t algorithm, Str hex, Digest *ret)
{
	size_t size = digest_size(algorithm);
	Digest d = { .algorithm = algorithm };
	if (!size || hex.n != 2 * size) return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		int high = nibble(hex.p[2 * i]), low = nibble(hex.p[2 * i + 1]);
		if (high < 0 || low < 0) return -EINVAL;
		d.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret = d;
	return 0;
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The grammar of the specification, for algorithms that are not known: component (separator component)*. */
static bool is_algorithm(Str s)
{
	bool after_separator = true;
	for (size_t i = 0; i < s.n; i++) {
		bool separator = s.p[i] && strchr("+._-", s.p[i]);
		if (separator ? after_separator : !is_lower_or_digit(s.p[i])) return false;
		after_separator = separator;
	}
	return !after_separator;
}

static bool is_encoded(Str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!is_lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '=' && c != '_' && c != '-') return false;
	}
	return s.n > 0;
}

int digest_parse(Str s, Digest *ret)
{
	Str name, encoded;
	if (!str_cut(s, ':', &name, &encoded)) return -EINVAL;
	uint8_t algorithm = digest_algorithm_value(name);
	if (algorithm) return digest_parse_hex(algorithm, encoded, ret);
	return is_algorithm(name) && is_encoded(encoded) ? -ENOTSUP : -EINVAL;
}

const char *digest_hex(const Digest *d, char text[static DIGEST_HEX_MAX])
{
	static const char digits[] = "0123456789abcdef";
	size_t size = digest_size(d->algorithm);
	for (size_t i = 0; i < size; i++) {
		text[2 * i] = digits[d->bytes[i] >> 4];
		text[2 * i + 1] = digits[d->bytes[i] & 15];
	}
	text[2 * size] = 0;
	return text;
}

const char *digest_format(const Digest *d, char text[static DIGEST_TEXT_MAX])
{
	const char *name = digest_algorithm_name(d->algorithm);
	char hex[DIGEST_HEX_MAX];
	if (name)
		snprintf(text, DIGEST_TEXT_MAX, "%s:%s", name, digest_hex(d, hex));
	else
		text[0] = 0;
	return text;
}

bool digest_equal(const Digest *a, const Digest *b)
{
	return a->algorithm == b->algorithm && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
