/* connections.c: monitors and commands: what they ask, and when they are answered. */
#include <sys/socket.h>
#include <unistd.h>

#include "attendant/attendant_impl.h"
#include "sys/fd.h"

/* ---- who waits ---- */

static void unwait(Connection *c)
{
	Attendant *t = c->t;
	if (!c->waits) return;
	*(c->wait_prev ? &c->wait_prev->wait_next : &t->waiting) = c->wait_next;
	*(c->wait_next ? &c->wait_next->wait_prev : &t->waiting_last) = c->wait_prev;
	c->wait_prev = c->wait_next = NULL;
	c->waits = false;
}

static void drop(Connection *c)
{
	Attendant *t = c->t;
	unwait(c);
	if (c->registration) registration_end(c->registration);
	loop_fd_remove(&c->watch);
	fd_close(c->fd);
	free(c->failure);
	*(c->prev ? &c->prev->next : &t->connections) = c->next;
	if (c->next) c->next->prev = c->prev;
	free(c);
	attendant_idle(t);
}

/* One who does not read his answers has no use for further ones. */
static void answer(Connection *c, const Err *failure)
{
	const int r = failure ? attendance_send(c->fd, ATTENDANCE_ERROR, str_of(failure->msg), NULL, 0, failure)
			      : attendance_send(c->fd, ATTENDANCE_OK, (Str){ 0 }, NULL, 0, NULL);
	if (r < 0) drop(c);
}

/* Its registration did not come to be: it may say so again. */
static void answer_failure(Connection *c, const Err *failure)
{
	if (c->registration && !c->registration->told) registration_end(c->registration);
	answer(c, failure);
}

void connections_settle(Attendant *t)
{
	while (t->waiting && t->waiting->until <= t->helper.confirmed) {
		Connection *c = t->waiting;
		AUTO_FREE Err *failure = take(c->failure);
		unwait(c);
		if (failure)
			answer_failure(c, failure);
		else
			answer(c, NULL);
	}
}

void connections_fail(Attendant *t, uint64_t job, const Err *why)
{
	for (Connection *c = t->waiting; c; c = c->wait_next) {
		if (job < c->from || job > c->to || c->failure) continue;
		c->failure = malloc(sizeof *c->failure);
		if (c->failure) *c->failure = *why;
	}
}

void connections_restart(Attendant *t)
{
	for (Connection *c = t->waiting; c; c = c->wait_next) {
		c->from = c->registration ? c->registration->job : t->helper.confirmed + 1;
		c->to = c->registration ? c->registration->job : t->helper.last;
		c->until = t->helper.last;
	}
}

/* For all that is in the queue now. */
static void wait_for(Connection *c, uint64_t from, uint64_t to)
{
	Attendant *t = c->t;
	unwait(c);
	free(take(c->failure));
	c->waits = true;
	c->from = from;
	c->to = to;
	c->until = t->helper.last;
	c->wait_prev = t->waiting_last;
	*(c->wait_prev ? &c->wait_prev->wait_next : &t->waiting) = c;
	t->waiting_last = c;
	connections_settle(t);
}

/* ---- what is asked ---- */

static bool is_id(const AttendanceMessage *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (!(m->data[i] >= '0' && m->data[i] <= '9') && !(m->data[i] >= 'a' && m->data[i] <= 'f')) return false;
	return m->n == ATTENDANCE_ID;
}

static int take_registration(Connection *c, AttendanceMessage *m, Err *e)
{
	char id[ATTENDANCE_ID + 1] = "";
	int none[ATTENDANCE_SOCKETS] = { -1, -1 };
	if (!is_id(m)) return err_set(e, ERR_CONFIG, EINVAL, "register a container: its id is 64 hexadecimal digits");
	if (m->n_fds && m->n_fds != ATTENDANCE_SOCKETS)
		return err_set(e, ERR_CONFIG, EINVAL, "register a container: it has two sockets, or none");
	memcpy(id, m->data, ATTENDANCE_ID);
	int r = registration_add(c->t, c, id, m->n_fds ? m->fds : none, e);
	if (r >= 0) wait_for(c, c->registration->job, c->registration->job);
	return r;
}

static int take_change(Connection *c, const AttendanceMessage *m, Err *e)
{
	char id[ATTENDANCE_ID + 1] = "";
	const uint64_t from = c->t->helper.confirmed + 1;
	if (m->n && !is_id(m)) return err_set(e, ERR_CONFIG, EINVAL, "names have changed: a container's id is 64 hexadecimal digits");
	memcpy(id, m->data, m->n);
	registrations_tell(c->t, m->n ? id : NULL);
	const Registration *r = m->n ? registration_find(c->t, id) : NULL;
	wait_for(c, r ? r->job : from, r ? r->job : m->n ? 0 : c->t->helper.last);
	return 0;
}

static int take_message(Connection *c, AttendanceMessage *m, Err *e)
{
	if (m->head.kind == ATTENDANCE_REGISTER) return take_registration(c, m, e);
	if (m->head.kind == ATTENDANCE_CHANGED) return take_change(c, m, e);
	return err_set(e, ERR_CONFIG, EINVAL, "the attendant knows no request %u", m->head.kind);
}

static void hear(void *arg, uint32_t events)
{
	Connection *c = arg;
	AttendanceMessage m;
	Err e = ERR_INIT;
	(void)events;
	int r = attendance_receive(c->fd, &m);
	if (r == -EAGAIN || r == -EINTR) return;
	if (r <= 0) {
		drop(c);
		return;
	}
	const size_t n_fds = m.n_fds;
	r = take_message(c, &m, &e);
	for (size_t i = 0; i < n_fds; i++)
		fd_close(m.fds[i]);
	if (r < 0) answer(c, &e); /* else it may be gone: it was answered at once, and did not listen */
}

/* ---- connections ---- */

static int add(Attendant *t, int fd)
{
	Connection *c = calloc(1, sizeof *c);
	if (!c) return -ENOMEM;
	*c = (Connection){ .t = t, .fd = fd, .next = t->connections };
	int r = loop_fd_add(&t->loop, &c->watch, fd, EPOLLIN, hear, c);
	if (r < 0) {
		free(c);
		return r;
	}
	if (c->next) c->next->prev = c;
	t->connections = c;
	return 0;
}

void connection_accept_all(Attendant *t)
{
	for (;;) {
		AUTO_FD int fd = accept4(t->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) break;
		if (add(t, fd) >= 0) (void)take_fd(fd);
	}
	attendant_idle(t);
}

void connections_close(Attendant *t)
{
	while (t->connections)
		drop(t->connections);
}
