/* http.c: see http.h. */
#include "net/http.h"

#include <stdio.h>
#include <time.h>

int http_fields_add(HttpFields *f, Arena *a, Str name, Str value)
{
	if (f->n >= f->max) return -E2BIG;
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 16;
		if (cap > f->max) cap = f->max;
		HttpField *items = arena_array(a, cap, sizeof *items);
		if (!items) return -ENOMEM;
		if (f->n) memcpy(items, f->items, f->n * sizeof *items);
		f->items = items;
		f->cap = cap;
	}
	f->items[f->n++] = (HttpField){ name, value };
	return 0;
}

const HttpField *http_fields_find(const HttpFields *f, Str name, size_t *at)
{
	while (*at < f->n) {
		const HttpField *field = &f->items[(*at)++];
		if (http_same(field->name, name)) return field;
	}
	return NULL;
}

int http_fields_get(const HttpFields *f, Str name, const char *separator, Arena *a, const char **ret)
{
	size_t at = 0, total = 0, count = 0;
	const HttpField *first = NULL, *field;
	while ((field = http_fields_find(f, name, &at))) {
		if (!first) first = field;
		total += field->value.n;
		count++;
	}
	if (!first) return -ENOENT;
	size_t gap = strlen(separator);
	char *p = arena_alloc(a, total + (count - 1) * gap + 1), *to = p;
	if (!p) return -ENOMEM;
	at = 0;
	while ((field = http_fields_find(f, name, &at))) {
		if (to != p) {
			memcpy(to, separator, gap);
			to += gap;
		}
		if (field->value.n) memcpy(to, field->value.p, field->value.n);
		to += field->value.n;
	}
	*ret = p;
	return 0;
}

/* One bit per ASCII character of tchar: ! # $ % & ' * + - . ^ _ ` | ~ digits letters. */
static bool is_tchar(unsigned char c)
{
	static const uint32_t bits[4] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff };
	return c < 128 && (bits[c / 32] >> (c % 32) & 1);
}

bool http_is_token(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_tchar((unsigned char)s.p[i])) return false;
	return s.n > 0;
}

bool http_is_value(Str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < ' ' && c != '\t') || c == 127) return false;
	}
	return true;
}

static bool is_host_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("-._~%!$&'()*+,;=", c));
}

bool http_is_host(Str s)
{
	size_t i = 0;
	if (s.n && s.p[0] == '[') {
		for (i = 1; i < s.n && s.p[i] != ']'; i++)
			if (!is_host_char((unsigned char)s.p[i]) && s.p[i] != ':') return false;
		if (i == s.n || i == 1) return false;
		i++;
	} else {
		while (i < s.n && is_host_char((unsigned char)s.p[i]))
			i++;
	}
	if (i == s.n) return true;
	if (s.p[i++] != ':' || s.n - i > 5) return false;
	for (; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9') return false;
	return true;
}

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

bool http_same(Str a, Str b)
{
	if (a.n != b.n) return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i])) return false;
	return true;
}

Str http_trim(Str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = (Str){ s.p + 1, s.n - 1 };
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

bool http_list_has(Str list, const char *member)
{
	Str piece;
	while (str_next(&list, ',', &piece))
		if (http_same(http_trim(piece), str_of(member))) return true;
	return false;
}

typedef struct StatusText {
	int status;
	const char *text;
} StatusText;

static const StatusText status_texts[] = {
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 203, "Non-Authoritative Information" },
	{ 204, "No Content" },
	{ 205, "Reset Content" },
	{ 206, "Partial Content" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

const char *http_status_text(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(status_texts); i++)
		if (status_texts[i].status == status) return status_texts[i].text;
	return "";
}

bool http_status_has_body(int status)
{
	return status >= 200 && status != 204 && status != 304;
}

void http_date(int64_t seconds, char text[static HTTP_DATE_LEN + 1])
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	char year[8] = "1970";
	time_t t = (time_t)seconds;
	struct tm tm = { 0 };
	gmtime_r(&t, &tm);
	strftime(year, sizeof year, "%Y", &tm);
	snprintf(text, HTTP_DATE_LEN + 1, "%s, %02u %s %.4s %02u:%02u:%02u GMT", days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 100,
		 months[tm.tm_mon % 12], year, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}
