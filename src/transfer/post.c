/* post.c: a document to any web server: what a registry has to tell. Once: who asks knows whether a second time would be one too many. */
#include "transfer/http.h"

static int post_to(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	const char *type = arena_printf(&j->arena, "Content-Type: %s", j->req.media_type);
	HttpRequest req = {
		.method = "POST",
		.url = endpoint->url,
		.endpoint = endpoint,
		.headers = { type },
		.has_body = true,
		.body_fd = j->input,
		.body_size = j->req.size,
	};
	if (!type) return err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	int r = http_send(j, &req, &res, e);
	j->result.status = res.status;
	if (r < 0) return r;
	return res.status >= 200 && res.status < 300 ? 0 : http_refusal(j, &res, endpoint->url, e);
}

int op_post(Job *j, Err *e)
{
	return job_endpoints(j, post_to, NULL, e);
}
