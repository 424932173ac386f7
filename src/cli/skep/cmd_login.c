/* cmd_login.c: login, logout. The dialogue, its texts and its order are docker's. */
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "cli/skep/endpoints.h"
#include "image/transfer_client.h"
#include "sys/fd.h"

enum { SECRET_MAX = 64 << 10, ANSWER_MAX = 1024 };

typedef struct Login {
	Invocation *in;
	const char *server; /* as config.json has it: a host, or DOCKER_HUB_KEY */
	const char *host;   /* as registries.conf has it */
	DockerConfig config;
	Credential who;
} Login;

static void say(const char *text)
{
	(void)!fd_write_all(2, text, strlen(text));
}

/* What users type for a registry: a host, or a URL of it. */
static int find_server(Login *l, Err *e)
{
	const char *text = l->in->args.n ? l->in->args.items[0] : DOCKER_HUB_KEY;
	Str s = str_of(text), host, rest;
	if (str_starts(s, "https://")) s = (Str){ s.p + 8, s.n - 8 };
	if (str_starts(s, "http://")) s = (Str){ s.p + 7, s.n - 7 };
	str_cut(s, '/', &host, &rest);
	bool hub = str_eq(host, "docker.io") || str_eq(host, "index.docker.io") || str_eq(host, "registry-1.docker.io");
	if (!reference_is_domain(host)) return err_set(e, ERR_USAGE, EINVAL, "\"%.200s\" is not the name of a registry", text);
	l->host = hub ? REFERENCE_DOMAIN : arena_str(l->in->arena, host);
	l->server = hub ? DOCKER_HUB_KEY : l->host;
	return l->host ? 0 : err_sys(e, ENOMEM, "login");
}

/* ---- the dialogue ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	interrupted = signal;
}

/* One line of standard input. */
static int read_answer(char answer[static ANSWER_MAX], Err *e)
{
	size_t n = 0;
	for (;;) {
		char c;
		ssize_t got = read(0, &c, 1);
		if (interrupted) return err_set(e, ERR_STATE, ECANCELED, "login: interrupted");
		if (got < 0 && errno == EINTR) continue;
		if (got < 0) return err_sys(e, errno, "read from the terminal");
		if (got == 0 || c == '\n') break;
		if (n + 1 == ANSWER_MAX) return err_set(e, ERR_USAGE, EMSGSIZE, "login: an answer of more than %d bytes", ANSWER_MAX - 1);
		answer[n++] = c;
	}
	if (n && answer[n - 1] == '\r') n--;
	answer[n] = 0;
	return 0;
}

/* A signal must not leave the terminal without echo: it ends the question, and the terminal is as before. */
static int ask(const char *question, bool secret, char answer[static ANSWER_MAX], Err *e)
{
	struct termios before, silent;
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction old[ARRAY_LEN(signals)];
	const struct sigaction catch = { .sa_handler = on_interrupt };
	interrupted = 0;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &catch, &old[i]);
	bool changed = secret && tcgetattr(0, &before) == 0;
	if (changed) {
		silent = before;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(0, TCSAFLUSH, &silent);
	}
	(void)!fd_write_all(1, question, strlen(question));
	int r = read_answer(answer, e);
	if (changed) tcsetattr(0, TCSAFLUSH, &before);
	if (changed || interrupted) (void)!fd_write_all(1, "\n", 1);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	return r;
}

static int ask_user(Login *l, Err *e)
{
	char answer[ANSWER_MAX];
	const char *question = streq(l->server, DOCKER_HUB_KEY)
				       ? "Log in with your Docker ID or email address to push and pull images from Docker Hub.\nUsername: "
				       : "Username: ";
	int r = ask(question, false, answer, e);
	if (r < 0) return r;
	Str name = str_trim(str_of(answer));
	if (!name.n) return err_set(e, ERR_USAGE, EINVAL, "Error: Non-null Username Required");
	l->who.username = arena_str(l->in->arena, name);
	return l->who.username ? 0 : err_sys(e, ENOMEM, "login");
}

static int ask_password(Login *l, Err *e)
{
	char answer[ANSWER_MAX];
	int r = ask("Password: ", true, answer, e);
	if (r >= 0 && !*answer) r = err_set(e, ERR_USAGE, EINVAL, "Error: Password Required");
	if (r >= 0 && !(l->who.password = arena_strdup(l->in->arena, answer))) r = err_sys(e, ENOMEM, "login");
	explicit_bzero(answer, sizeof answer);
	return r;
}

static int read_password(Login *l, Err *e)
{
	AUTO_BUF b = BUF_INIT(SECRET_MAX);
	int r = fd_read_all(0, &b);
	if (r < 0) return err_sys(e, r, "read the password from standard input");
	Str s = { buf_str(&b), b.n };
	if (s.n && s.p[s.n - 1] == '\n') s.n--;
	if (s.n && s.p[s.n - 1] == '\r') s.n--;
	if (memchr(s.p, 0, s.n)) return err_set(e, ERR_USAGE, EINVAL, "the password on standard input holds a NUL byte");
	l->who.password = arena_str(l->in->arena, s);
	if (b.p) explicit_bzero(b.p, b.n);
	return l->who.password ? 0 : err_sys(e, ENOMEM, "login");
}

static int read_options(Login *l, Err *e)
{
	const Invocation *in = l->in;
	const char *user = option_value(in, "username"), *password = option_value(in, "password");
	bool from_stdin = option_switch(in, "password-stdin");
	if (option_is_set(in, "password") && from_stdin)
		return err_set(e, ERR_USAGE, EINVAL, "conflicting options: cannot specify both --password and --password-stdin");
	if (option_is_set(in, "username") && !*user) return err_set(e, ERR_USAGE, EINVAL, "username is empty");
	if (option_is_set(in, "password") && !*password) return err_set(e, ERR_USAGE, EINVAL, "password is empty");
	if (from_stdin && !user) return err_set(e, ERR_USAGE, EINVAL, "the --password-stdin option requires --username to be set");
	if (password) say("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
	l->who = (Credential){ .username = user, .password = password };
	if (!from_stdin) return 0;
	int r = read_password(l, e);
	if (r >= 0 && !*l->who.password) return err_set(e, ERR_USAGE, EINVAL, "password is empty");
	return r;
}

/* ---- trying ---- */

/* Asks the registry; what is to be kept instead of the password, when its token server gives that, goes into *who. */
static int try_login(Login *l, Credential *who, Err *e)
{
	AUTO_TRANSFER TransferClient *worker = NULL;
	Endpoints at;
	TransferEvent done;
	int r = endpoints_of(l->in, l->host, who, &at, e);
	if (r < 0) return r;
	TransferRequest req = { .op = TRANSFER_PING, .endpoints = { (TransferEndpoint *)(uintptr_t)at.items, at.n }, .tuning.attempts = 2 };
	r = transfer_start(&(TransferOptions){ 0 }, &worker, e);
	if (r >= 0) r = transfer_call(worker, &req, NULL, NULL, NULL, l->in->arena, &done, e);
	if (r < 0) return err_wrap(e, "login attempt to %s failed%s", l->host, e->code == ERR_PERMISSION ? ": unauthorized" : "");
	if (done.identity_token && *done.identity_token) {
		who->identity_token = done.identity_token;
		who->password = NULL;
	}
	return 0;
}

static int succeed(Err *e)
{
	static const char text[] = "Login Succeeded\n";
	int r = fd_write_all(1, text, sizeof text - 1);
	return r < 0 ? err_sys(e, r, "write to standard output") : 0;
}

static int keep(Login *l, const Credential *who, Err *e)
{
	bool plain = false;
	int r = docker_config_login(&l->config, l->server, who, l->in->arena, &plain, e);
	if (r < 0) return err_wrap(e, "error saving credentials");
	if (plain) {
		AUTO_BUF b = BUF_INIT(8192);
		buf_printf(&b, "\n" DOCKER_CONFIG_WARNING "\nConfigure a credential helper to remove this warning.\n\n", l->config.path);
		say(buf_str(&b));
	}
	return succeed(e);
}

/* 1: the stored credential works. 0: there is none, or no longer. */
static int try_stored(Login *l, Err *e)
{
	AUTO_BUF b = BUF_INIT(8192);
	Credential stored;
	Err why = ERR_INIT;
	if (l->who.username || l->who.password) return 0;
	int r = docker_config_credential(&l->config, l->host, NULL, l->in->arena, &stored, e);
	if (r < 0 || !(stored.identity_token || (stored.username && stored.password))) return r < 0 ? r : 0;
	buf_puts(&b, "Authenticating with existing credentials...");
	if (stored.username && *stored.username) buf_printf(&b, " [Username: %s]", stored.username);
	buf_puts(&b, "\n\nTo login with a different account, run 'skep logout' followed by 'skep login'\n\n");
	say(buf_str(&b));
	const char *token = stored.identity_token;
	if (try_login(l, &stored, &why) >= 0) {
		r = stored.identity_token == token ? succeed(e) : keep(l, &stored, e);
		return r < 0 ? r : 1;
	}
	buf_reset(&b);
	if (why.code == ERR_PERMISSION)
		buf_puts(&b, "Stored credentials invalid or expired\n");
	else
		buf_printf(&b, "Login did not succeed, error: %s\n", why.msg);
	say(buf_str(&b));
	return 0;
}

int login_run(Invocation *in, Err *e)
{
	Login l = { .in = in };
	int r = find_server(&l, e);
	if (r < 0 || (r = read_options(&l, e)) < 0 || (r = docker_config_load(skep_of(in)->config, in->arena, &l.config, e)) < 0) return r;
	if ((r = try_stored(&l, e)) != 0) return r < 0 ? r : 0;
	if ((!l.who.password || !l.who.username) && !isatty(0))
		return err_set(e, ERR_USAGE, ENOTTY, "Error: Cannot perform an interactive login from a non TTY device");
	if (!l.who.username) r = ask_user(&l, e);
	if (r >= 0 && !l.who.password) r = ask_password(&l, e);
	if (r >= 0) r = try_login(&l, &l.who, e);
	return r < 0 ? r : keep(&l, &l.who, e);
}

int logout_run(Invocation *in, Err *e)
{
	Login l = { .in = in };
	bool known;
	AUTO_BUF b = BUF_INIT(8192);
	Err why = ERR_INIT;
	int r = find_server(&l, e);
	if (r < 0 || (r = docker_config_load(skep_of(in)->config, in->arena, &l.config, e)) < 0) return r;
	buf_printf(&b, "Removing login credentials for %s\n", l.server);
	if ((r = print_buf(&b, e)) < 0) return r;
	if (docker_config_logout(&l.config, l.server, in->arena, &known, &why) >= 0) return 0;
	buf_reset(&b);
	buf_printf(&b, "WARNING: could not erase credentials:\n%s\n", why.msg);
	say(buf_str(&b));
	return 0;
}
