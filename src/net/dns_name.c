/* dns_name.c: names on the wire, as text, and as the question for an address. */
#include "net/dns.h"

#include <assert.h>

/* Each pointer leads to before the piece that holds it, so that what is left of the message shrinks with each: it ends. */
int dns_name_read(const uint8_t *p, size_t n, size_t *at, uint8_t to[static DNS_NAME_MAX])
{
	size_t i = *at, end = 0, out = 0;
	for (size_t piece = i;;) {
		if (i >= n) return -EBADMSG;
		const size_t label = p[i];
		if (label >= 0xc0) {
			if (i + 1 >= n) return -EBADMSG;
			const size_t target = (label & 0x3f) << 8 | p[i + 1];
			if (target >= piece || target < DNS_HEADER) return -EBADMSG;
			if (!end) end = i + 2;
			i = piece = target;
			continue;
		}
		if (label > DNS_LABEL_MAX || i + 1 + label > n || out + 1 + label > DNS_NAME_MAX) return -EBADMSG;
		memcpy(to + out, p + i, 1 + label);
		out += 1 + label;
		i += 1 + label;
		if (!label) break;
	}
	*at = end ? end : i;
	return (int)out;
}

int dns_name_text(const uint8_t *name, size_t n, char to[static DNS_TEXT_MAX])
{
	size_t out = 0;
	assert(n && n <= DNS_NAME_MAX);
	for (size_t i = 0; i < n && name[i];) {
		const size_t label = name[i++];
		if (out) to[out++] = '.';
		for (const size_t end = i + label; i < end; i++) {
			const uint8_t c = name[i];
			if (c <= ' ' || c >= 0x7f || c == '.') return -EINVAL;
			to[out++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
		}
	}
	to[out] = 0;
	return (int)out;
}

int dns_name_wire(Str text, uint8_t to[static DNS_NAME_MAX])
{
	size_t out = 0;
	Str label;
	if (text.n && text.p[text.n - 1] == '.') text.n--;
	for (bool more = text.n > 0; more;) {
		more = str_cut(text, '.', &label, &text);
		if (!label.n || label.n > DNS_LABEL_MAX || out + 1 + label.n + 1 > DNS_NAME_MAX) return -EINVAL;
		to[out++] = (uint8_t)label.n;
		memcpy(to + out, label.p, label.n);
		out += label.n;
	}
	to[out++] = 0;
	return (int)out;
}

static bool cut_end(Str *s, const char *end)
{
	const size_t n = strlen(end);
	if (s->n < n || memcmp(s->p + s->n - n, end, n) != 0) return false;
	s->n -= n;
	return true;
}

static int reverse_v4(Str text, uint8_t to[static 16])
{
	for (int i = 3; i >= 0; i--) {
		Str part;
		uint32_t value;
		if (str_cut(text, '.', &part, &text) != (i > 0)) return -EINVAL;
		if (part.n > 3 || (part.n > 1 && part.p[0] == '0') || str_to_u32(part, &value) < 0 || value > 255) return -EINVAL;
		to[i] = (uint8_t)value;
	}
	return 4;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int reverse_v6(Str text, uint8_t to[static 16])
{
	if (text.n != 63) return -EINVAL;
	for (size_t i = 0; i < 16; i++) {
		const char *at = text.p + (15 - i) * 4;
		const int low = nibble(at[0]), high = nibble(at[2]);
		if (low < 0 || high < 0 || at[1] != '.' || (i > 0 && at[3] != '.')) return -EINVAL;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return 16;
}

int dns_reverse_parse(Str text, uint8_t to[static 16])
{
	if (cut_end(&text, ".in-addr.arpa")) return reverse_v4(text, to);
	return cut_end(&text, ".ip6.arpa") ? reverse_v6(text, to) : -EINVAL;
}

void dns_reverse_text(const uint8_t *address, size_t n, char to[static DNS_TEXT_MAX])
{
	static const char hex[] = "0123456789abcdef";
	assert(n == 4 || n == 16);
	if (n == 4) {
		snprintf(to, DNS_TEXT_MAX, "%u.%u.%u.%u.in-addr.arpa", address[3], address[2], address[1], address[0]);
		return;
	}
	for (size_t i = 0; i < 16; i++) {
		char *at = to + i * 4;
		at[0] = hex[address[15 - i] & 15];
		at[2] = hex[address[15 - i] >> 4];
		at[1] = at[3] = '.';
	}
	snprintf(to + 64, DNS_TEXT_MAX - 64, "ip6.arpa");
}
