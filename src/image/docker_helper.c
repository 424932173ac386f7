/* docker_helper.c: credential helpers, see docker_config.h. */
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "image/docker_config.h"
#include "sys/fd.h"
#include "sys/fd_limit.h"

enum { ANSWER_MAX = 256 * 1024 };

static bool is_word(const char *s)
{
	size_t n = strlen(s);
	for (const char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-_.", *p)) return false;
	return n > 0 && n < 64 && s[0] != '.';
}

/* In the child: the socket becomes its standard input and output. */
static NORETURN void run_helper(const char *program, const char *action, int sock)
{
	char *const args[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)action, NULL };
	fd_limit_restore();
	if (dup2(sock, 0) == 0 && dup2(sock, 1) == 1) execvp(program, args);
	_exit(errno == ENOENT ? 127 : 126);
}

/* Everything until the end of the answer or the deadline. */
static int read_answer(int sock, int64_t deadline, Buf *answer)
{
	for (;;) {
		int64_t left = (deadline - time_monotonic()) / 1000000;
		struct pollfd p = { sock, POLLIN, 0 };
		int n = left <= 0 ? 0 : poll(&p, 1, (int)left);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0) return -errno;
		if (n == 0) return -ETIMEDOUT;
		char *to = buf_reserve(answer, 4096);
		if (!to) return -EFBIG;
		ssize_t got = read(sock, to, 4096);
		if (got < 0 && errno == EINTR) continue;
		if (got < 0) return errno == ECONNRESET ? 0 : -errno;
		if (got == 0) return 0;
		buf_advance(answer, (size_t)got);
	}
}

/* Sends the question; SIGPIPE cannot come, and a helper that reads nothing cannot hold us: it fits into the socket. */
static int ask(int sock, Str question, int timeout_ms, Buf *answer)
{
	int64_t deadline = time_monotonic() + (int64_t)timeout_ms * 1000000;
	size_t sent = 0;
	while (sent < question.n) {
		ssize_t n = send(sock, question.p + sent, question.n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0 && errno == EPIPE) break; /* it has ended already: its status tells why */
		if (n < 0) return -errno;
		sent += (size_t)n;
	}
	shutdown(sock, SHUT_WR);
	return read_answer(sock, deadline, answer);
}

/* A helper's own reason: the first line it printed. */
static int fail_helper(const char *program, const char *action, const Buf *answer, Err *e)
{
	Str line, rest;
	str_cut(str_trim((Str){ buf_str(answer), answer->n }), '\n', &line, &rest);
	return err_set(e, ERR_IO, EIO, "%s %s: %.*s", program, action, line.n ? (int)(line.n > 300 ? 300 : line.n) : 24,
		       line.n ? line.p : "failed without a message");
}

static int run(const char *name, const char *action, Str question, int timeout_ms, Buf *answer, Err *e)
{
	char program[96];
	int pair[2], status = 0;
	if (!is_word(name)) return err_set(e, ERR_CONFIG, EINVAL, "credential helper \"%.64s\": expected a bare word", name);
	snprintf(program, sizeof program, "docker-credential-%s", name);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return err_sys(e, errno, "%s", program);
	AUTO_FD int ours = pair[0];
	pid_t pid = fork();
	if (pid == 0) run_helper(program, action, pair[1]);
	int r = pid < 0 ? -errno : 0;
	fd_close(pair[1]);
	if (r < 0) return err_sys(e, r, "%s", program);
	r = ask(ours, question, timeout_ms, answer);
	if (r < 0) kill(pid, SIGKILL);
	if (retry_eintr(waitpid(pid, &status, 0)) < 0 && r >= 0) r = -errno;
	if (r == -ETIMEDOUT) return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "%s %s: no answer within %d ms", program, action, timeout_ms);
	if (r < 0) return err_sys(e, r, "%s %s", program, action);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && !answer->n)
		return err_set(e, ERR_NOT_FOUND, ENOENT, "credential helper %s is not in PATH", program);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : fail_helper(program, action, answer, e);
}

static const char *text_member(const JsonValue *v, const char *key)
{
	const JsonValue *m = json_get(v, key);
	return m && m->type == JSON_STRING ? m->s : "";
}

int helper_get(const char *name, const char *server, int timeout_ms, Arena *a, Credential *ret, Err *e)
{
	AUTO_BUF answer = BUF_INIT(ANSWER_MAX);
	JsonValue v;
	*ret = (Credential){ 0 };
	int r = run(name, "get", str_of(server), timeout_ms, &answer, e);
	/* the words that the protocol has for this; helpers say them on standard output and fail */
	if (r < 0 && (strstr(buf_str(&answer), "credentials not found in native keychain") ||
		      strstr(buf_str(&answer), "no credentials server URL"))) {
		*e = ERR_INIT;
		return 0;
	}
	if (r < 0) return r;
	char *text = arena_str(a, (Str){ buf_str(&answer), answer.n });
	if (!text) return err_sys(e, ENOMEM, "credential helper %s", name);
	r = json_parse(text, answer.n, a, &v, e);
	if (r < 0) return err_wrap(e, "answer of credential helper %s", name);
	const char *user = text_member(&v, "Username"), *secret = text_member(&v, "Secret");
	if (streq(user, "<token>"))
		ret->identity_token = secret;
	else
		*ret = (Credential){ .username = user, .password = secret };
	return 0;
}

int helper_store(const char *name, const char *server, const Credential *credential, int timeout_ms, Err *e)
{
	AUTO_BUF question = BUF_INIT(64 * 1024), answer = BUF_INIT(ANSWER_MAX);
	JsonWriter w = JSON_WRITER(&question);
	json_begin_object(&w);
	json_put_string(&w, "ServerURL", server);
	json_put_string(&w, "Username", credential->identity_token ? "<token>" : credential->username);
	json_put_string(&w, "Secret", credential->identity_token ? credential->identity_token : credential->password);
	json_end_object(&w);
	if (buf_failed(&question)) return err_set(e, ERR_USAGE, E2BIG, "the credential is too long");
	return run(name, "store", (Str){ buf_str(&question), question.n }, timeout_ms, &answer, e);
}

int helper_erase(const char *name, const char *server, int timeout_ms, Err *e)
{
	AUTO_BUF answer = BUF_INIT(ANSWER_MAX);
	return run(name, "erase", str_of(server), timeout_ms, &answer, e);
}
