/* log_json.c: see log_json.h. base/json.h is not for it: a line may hold "\u0000", which no C string can. */
#include "engine/log_json.h"

#include "base/time.h"

enum { DEPTH_MAX = 16 };

typedef struct Scan {
	char *p, *end;
} Scan;

static void skip_blanks(Scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
		s->p++;
}

static bool take_char(Scan *s, char c)
{
	skip_blanks(s);
	if (s->p == s->end || *s->p != c) return false;
	s->p++;
	return true;
}

/* ---- strings ---- */

static int hex4(const char *p, const char *end, uint32_t *ret)
{
	uint32_t v = 0;
	if (end - p < 4) return -EBADMSG;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
		if (digit < 0) return -EBADMSG;
		v = v << 4 | (uint32_t)digit;
	}
	*ret = v;
	return 0;
}

static char *put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* Behind "\u": what it stands for is never longer than it is. Half of a pair stands for U+FFFD, as with Go. */
static int take_unicode(Scan *s, char **to)
{
	uint32_t c, low;
	if (hex4(s->p, s->end, &c) < 0) return -EBADMSG;
	s->p += 4;
	bool high = c >= 0xd800 && c < 0xdc00;
	if (high && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u' && hex4(s->p + 2, s->end, &low) >= 0 && low >= 0xdc00 &&
	    low < 0xe000) {
		c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
		s->p += 6;
	} else if (c >= 0xd800 && c < 0xe000) {
		c = 0xfffd;
	}
	*to = put_utf8(*to, c);
	return 0;
}

static int take_escape(Scan *s, char **to)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	if (s->p == s->end) return -EBADMSG;
	char c = *s->p++;
	if (c == 'u') return take_unicode(s, to);
	const char *at = c ? strchr(from, c) : NULL;
	if (!at) return -EBADMSG;
	*(*to)++ = into[at - from];
	return 0;
}

/* With a NUL in place of its end. */
static int take_string(Scan *s, Str *ret)
{
	if (!take_char(s, '"')) return -EBADMSG;
	char *begin = s->p, *to = s->p;
	while (s->p < s->end && *s->p != '"') {
		if (*s->p == '\\') {
			s->p++;
			if (take_escape(s, &to) < 0) return -EBADMSG;
			continue;
		}
		size_t n = 1;
		while (s->p + n < s->end && s->p[n] != '"' && s->p[n] != '\\')
			n++;
		if (to != s->p) memmove(to, s->p, n);
		to += n;
		s->p += n;
	}
	if (s->p == s->end) return -EBADMSG;
	s->p++;
	*to = 0;
	*ret = (Str){ begin, (size_t)(to - begin) };
	return 0;
}

/* ---- values ---- */

/* Something we do not know. */
static int skip_value(Scan *s)
{
	int depth = 0;
	do {
		Str ignored;
		skip_blanks(s);
		if (s->p == s->end) return -EBADMSG;
		char c = *s->p;
		if (c == '"') {
			if (take_string(s, &ignored) < 0) return -EBADMSG;
			continue;
		}
		depth += (c == '{' || c == '[') - (c == '}' || c == ']');
		if (depth < 0 || depth > DEPTH_MAX) return -EBADMSG;
		s->p++;
		if (!depth && c != '}' && c != ']') /* a number or a word */
			while (s->p < s->end && *s->p != ',' && *s->p != '}' && *s->p != ']')
				s->p++;
	} while (depth);
	return 0;
}

/* Behind '{': one member after the other; take_member is called behind the colon. */
static int take_members(Scan *s, int (*take_member)(Scan *s, Str key, LogEntry *to), LogEntry *to)
{
	Str key;
	if (take_char(s, '}')) return 0;
	do {
		if (take_string(s, &key) < 0 || !take_char(s, ':') || take_member(s, key, to) < 0) return -EBADMSG;
	} while (take_char(s, ','));
	return take_char(s, '}') ? 0 : -EBADMSG;
}

static int take_field(Scan *s, Str key, LogEntry *to)
{
	Str value;
	if (take_string(s, &value) < 0) return -EBADMSG;
	if (to->fields.n < LOG_FIELDS_MAX) to->pairs[to->fields.n++] = (StrPair){ key.p, value.p };
	return 0;
}

static int take_member(Scan *s, Str key, LogEntry *to)
{
	Str value;
	if (str_eq(key, "attrs")) return take_char(s, '{') ? take_members(s, take_field, to) : skip_value(s);
	if (str_eq(key, "log")) return take_string(s, &to->line.text);
	if (str_eq(key, "stream")) {
		if (take_string(s, &value) < 0) return -EBADMSG;
		to->line.stream = str_eq(value, "stderr") ? LOG_STDERR : LOG_STDOUT;
		return 0;
	}
	if (!str_eq(key, "time")) return skip_value(s);
	return take_string(s, &value) < 0 || time_parse(value, &to->line.time) < 0 ? -EBADMSG : 0;
}

int log_json_decode(char *p, size_t n, LogEntry *ret)
{
	Scan s = { p, p + n };
	ret->line = (LogLine){ .stream = LOG_STDOUT, .time = INT64_MIN };
	ret->fields = (StrMap){ ret->pairs, 0 };
	if (!take_char(&s, '{') || take_members(&s, take_member, ret) < 0) return -EBADMSG;
	skip_blanks(&s);
	return s.p == s.end && ret->line.time != INT64_MIN ? 0 : -EBADMSG;
}
