/* http_url.c: URLs, see http.h. */
#include "base/str.h"
#include "transfer/http_impl.h"

char *http_origin(const char *url)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *text = NULL;
	CURLU *u = curl_url();
	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK && (streq(scheme, "http") || streq(scheme, "https"))) {
		if (asprintf(&text, "%s://%s:%s", scheme, host, port) < 0) text = NULL;
		for (char *c = text; c && *c; c++)
			if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + ('a' - 'A'));
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return text;
}

bool http_same_origin(const char *a, const char *b)
{
	AUTO_FREE char *x = http_origin(a);
	AUTO_FREE char *y = http_origin(b);
	return x && y && streq(x, y);
}

const char *http_resolve(Arena *a, const char *base, const char *reference)
{
	char *text = NULL;
	const char *absolute = NULL;
	CURLU *u = curl_url();
	if (u && curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK && curl_url_set(u, CURLUPART_URL, reference, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK &&
	    (str_starts(str_of(text), "http://") || str_starts(str_of(text), "https://")))
		absolute = arena_strdup(a, text);
	curl_free(text);
	curl_url_cleanup(u);
	return absolute;
}

const char *http_query(Arena *a, const char *url, const char *name, const char *value)
{
	char *quoted = curl_easy_escape(NULL, value, 0);
	const char *text = quoted ? arena_printf(a, "%s%c%s=%s", url, strchr(url, '?') ? '&' : '?', name, quoted) : NULL;
	curl_free(quoted);
	return text;
}
