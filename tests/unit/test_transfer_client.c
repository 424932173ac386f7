/* test_transfer_client.c: the client with the real worker, offline; and with workers that die or talk nonsense. */
#include "image/transfer_client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "sys/fd.h"

static int file_with(const char *data, size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd > 0);
	assert_int_equal(fd_write_all(fd, data, n), 0);
	return fd;
}

static TransferClient *start(const char *program)
{
	TransferClient *c = NULL;
	Err e = ERR_INIT;
	if (transfer_start(&(TransferOptions){ .program = program, .offline = true }, &c, &e) < 0) fail_msg("%s", e.msg);
	return c;
}

static char empty_tar[1024];

static void a_layer_is_imported(void **state)
{
	(void)state;
	AUTO_TRANSFER TransferClient *c = start(TRANSFER_PROGRAM);
	AUTO_FD int input = file_with(empty_tar, sizeof empty_tar);
	AUTO_FD int tar = file_with("", 0);
	AUTO_FD int index = file_with("", 0);
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	TransferRequest req = { .op = TRANSFER_LAYER_IMPORT };
	TransferEvent ev;
	struct stat st;
	Err e = ERR_INIT;
	if (transfer_call(c, &req, &(TransferFds){ .input = input, .tar = tar, .index = index }, NULL, NULL, &a, &ev, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(ev.diff_id, "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
	assert_int_equal(ev.tar_size, sizeof empty_tar);
	assert_int_equal(fstat(tar, &st), 0);
	assert_int_equal(st.st_size, sizeof empty_tar);
	assert_int_equal(transfer_pending(c), 0);
}

typedef struct Seen {
	int done, failed;
	char message[600];
} Seen;

static void on_event(void *arg, const TransferEvent *ev)
{
	Seen *s = arg;
	s->done += ev->kind == TRANSFER_DONE;
	s->failed += ev->kind == TRANSFER_FAILED;
	if (ev->kind == TRANSFER_FAILED) snprintf(s->message, sizeof s->message, "%s", ev->message);
}

static void many_are_under_way(void **state)
{
	(void)state;
	AUTO_TRANSFER TransferClient *c = start(TRANSFER_PROGRAM);
	Seen seen = { 0 };
	Err e = ERR_INIT;
	for (int i = 0; i < 200; i++) {
		AUTO_FD int input = file_with(empty_tar, sizeof empty_tar);
		AUTO_FD int tar = file_with("", 0);
		TransferRequest req = { .op = TRANSFER_LAYER_IMPORT, .digest = i % 2 ? NULL : "sha256:00" };
		assert_int_equal(transfer_send(c, &req, &(TransferFds){ .input = input, .tar = tar }, on_event, &seen, NULL, &e), 0);
	}
	while (transfer_pending(c))
		assert_true(transfer_dispatch(c, 10000, &e) > 0);
	assert_int_equal(seen.done, 100);
	assert_int_equal(seen.failed, 100);
	assert_non_null(strstr(seen.message, "not a digest"));
}

static void the_network_is_refused_offline(void **state)
{
	(void)state;
	AUTO_TRANSFER TransferClient *c = start(TRANSFER_PROGRAM);
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	TransferEndpoint to = { .url = "http://127.0.0.1:1" };
	TransferRequest req = { .op = TRANSFER_PING, .endpoints = { &to, 1 } };
	Err e = ERR_INIT;
	assert_int_equal(transfer_call(c, &req, NULL, NULL, NULL, &a, NULL, &e), -ENETUNREACH);
}

static void what_a_cancelled_request_says(void **state)
{
	(void)state;
	AUTO_TRANSFER TransferClient *c = start(TRANSFER_PROGRAM);
	int pipe_fds[2];
	Seen seen = { 0 };
	uint64_t id = 0;
	Err e = ERR_INIT;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	AUTO_FD int input = pipe_fds[0];
	AUTO_FD int feed = pipe_fds[1];
	TransferRequest req = { .op = TRANSFER_LAYER_IMPORT };
	assert_int_equal(transfer_send(c, &req, &(TransferFds){ .input = input }, on_event, &seen, &id, &e), 0);
	assert_int_equal(transfer_cancel(c, id), 0);
	assert_int_equal(fd_write_all(feed, "x", 1), 0);
	feed = fd_close(feed);
	while (!seen.failed && !seen.done)
		assert_true(transfer_dispatch(c, 10000, &e) >= 0);
	if (seen.failed) assert_non_null(strstr(seen.message, "cancelled")); /* it may have been done before */
}

/* This program in place of the worker: what it does is in the request's repository. */
static int bad_worker(void)
{
	static char text[TRANSFER_MESSAGE_MAX];
	static const char nonsense[] = "{\"id\":1,\"kind\":\"wat\"}";
	size_t n_fds = 0;
	ssize_t n = fd_recv(3, text, sizeof text - 1, NULL, 0, &n_fds);
	if (n > 0 && strstr(text, "dies")) raise(SIGKILL);
	if (n > 0 && strstr(text, "ends")) return 5;
	if (n > 0 && fd_send(3, nonsense, sizeof nonsense - 1, NULL, 0) < 0) return 1;
	return fd_recv(3, text, sizeof text, NULL, 0, &n_fds) < 0;
}

static void lost(const char *what, const char *message)
{
	char want[300];
	AUTO_TRANSFER TransferClient *c = start("/proc/self/exe");
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_FD int input = file_with("x", 1);
	TransferRequest req = { .op = TRANSFER_LAYER_IMPORT, .repository = what, .digest = "sha256:ab" };
	Err e = ERR_INIT;
	snprintf(want, sizeof want, "layer-import %s sha256:ab: skep-transfer %s", what, message);
	assert_int_equal(transfer_call(c, &req, &(TransferFds){ .input = input }, NULL, NULL, &a, NULL, &e), -EPIPE);
	assert_string_equal(e.msg, want);
	assert_int_equal(transfer_pending(c), 0);
	assert_int_equal(transfer_call(c, &req, NULL, NULL, NULL, &a, NULL, &e), -EPIPE);
	assert_non_null(strstr(e.msg, "start it again"));
}

static void a_dead_worker_names_what_is_lost(void **state)
{
	(void)state;
	lost("dies", "was killed by SIGKILL");
	lost("ends", "ended with status 5");
	lost("babbles", "event: kind: unknown value \"wat\" (byte 15); allowed: \"progress\", \"location\", \"done\", \"failed\"");
}

static void a_program_that_is_not_there(void **state)
{
	(void)state;
	TransferClient *c = NULL;
	Err e = ERR_INIT;
	assert_int_equal(transfer_start(&(TransferOptions){ .program = "/no/such/program" }, &c, &e), -ENOENT);
	assert_string_equal(e.msg, "open /no/such/program: no such file or directory");
}

int main(int argc, char **argv)
{
	if (argc > 1) return bad_worker();
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_layer_is_imported),
		cmocka_unit_test(many_are_under_way),
		cmocka_unit_test(the_network_is_refused_offline),
		cmocka_unit_test(what_a_cancelled_request_says),
		cmocka_unit_test(a_dead_worker_names_what_is_lost),
		cmocka_unit_test(a_program_that_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
