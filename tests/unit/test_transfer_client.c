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

/* A shell script in place of the worker. */
static const char *script(char *path, size_t size, const char *text)
{
	snprintf(path, size, "/tmp/test-transfer-%d-XXXXXX", (int)getpid());
	AUTO_FD int fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, 0755), 0);
	return path;
}

static void lost(const char *text, const char *message)
{
	char path[64];
	const char *program = script(path, sizeof path, text);
	AUTO_TRANSFER TransferClient *c = start(program);
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_FD int input = file_with("x", 1);
	TransferRequest req = { .op = TRANSFER_LAYER_IMPORT, .repository = "some/where", .digest = "sha256:ab" };
	Err e = ERR_INIT;
	int r = transfer_call(c, &req, &(TransferFds){ .input = input }, NULL, NULL, &a, NULL, &e);
	unlink(path);
	assert_int_equal(r, -EPIPE);
	assert_string_equal(e.msg, message);
	assert_int_equal(transfer_pending(c), 0);
	assert_int_equal(transfer_call(c, &req, NULL, NULL, NULL, &a, NULL, &e), -EPIPE);
	assert_non_null(strstr(e.msg, "start it again"));
}

static void a_dead_worker_names_what_is_lost(void **state)
{
	(void)state;
	/* reads the request first, so that sending it cannot fail */
	lost("#!/usr/bin/python3\nimport socket,os,signal\nsocket.socket(fileno=3).recv(99999)\nos.kill(os.getpid(), signal.SIGKILL)\n",
	     "layer-import some/where sha256:ab: skep-transfer was killed by SIGKILL");
	lost("#!/usr/bin/python3\nimport socket\nsocket.socket(fileno=3).recv(99999)\nraise SystemExit(5)\n",
	     "layer-import some/where sha256:ab: skep-transfer ended with status 5");
	lost("#!/usr/bin/python3\nimport socket,time\ns=socket.socket(fileno=3)\ns.recv(99999)\ns.send(b'{\"id\":1,\"kind\":\"wat\"}')\ns.recv(1)\n",
	     "layer-import some/where sha256:ab: skep-transfer event: kind: unknown value \"wat\" (byte 15); allowed: \"progress\", \"location\", "
	     "\"done\", \"failed\"");
}

static void a_program_that_is_not_there(void **state)
{
	(void)state;
	TransferClient *c = NULL;
	Err e = ERR_INIT;
	assert_int_equal(transfer_start(&(TransferOptions){ .program = "/no/such/program" }, &c, &e), -ENOENT);
	assert_string_equal(e.msg, "open /no/such/program: no such file or directory");
}

int main(void)
{
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
