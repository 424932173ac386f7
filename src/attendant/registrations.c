/* registrations.c: who is registered: by id and by number. */
#include <unistd.h>

#include "attendant/attendant_impl.h"
#include "sys/fd.h"

enum { SLOTS_STEP = 64 };

static unsigned hex(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Ids are random: two digits of one are a hash. */
static Registration **bucket_of(Attendant *t, const char *id)
{
	return &t->buckets[(hex(id[0]) << 4 | hex(id[1])) % BUCKETS];
}

Registration *registration_find(const Attendant *t, const char *id)
{
	for (Registration *r = t->buckets[(hex(id[0]) << 4 | hex(id[1])) % BUCKETS]; r; r = r->next)
		if (r->owner && streq(r->id, id)) return r;
	return NULL;
}

static int take_slot(Attendant *t, Registration *r)
{
	size_t at = t->registrations_n < t->slots_n ? 0 : t->slots_n;
	while (at < t->slots_n && t->slots[at])
		at++;
	if (at >= NAMES_MEMBERS_MAX) return -E2BIG;
	if (at >= t->slots_n) {
		Registration **slots = reallocarray(t->slots, t->slots_n + SLOTS_STEP, sizeof *slots);
		if (!slots) return -ENOMEM;
		memset(slots + t->slots_n, 0, SLOTS_STEP * sizeof *slots);
		t->slots = slots;
		t->slots_n += SLOTS_STEP;
	}
	t->slots[at] = r;
	r->slot = (uint32_t)at;
	t->registrations_n++;
	return 0;
}

/* The addresses of others are in the names of those that have links. */
static void tell_linked(Attendant *t)
{
	for (size_t i = 0; i < t->slots_n; i++)
		if (t->slots[i] && t->slots[i]->has_links && t->slots[i]->owner) helper_tell(t->slots[i]);
}

int registration_add(Attendant *t, Connection *c, const char *id, int *sockets, Err *e)
{
	Registration *old = registration_find(t, id), *r = calloc(1, sizeof *r);
	if (!r) return err_sys(e, ENOMEM, "register container %.12s", id);
	int failed = take_slot(t, r);
	if (failed < 0) {
		free(r);
		return err_sys(e, -failed, "register container %.12s: %zu are", id, t->registrations_n);
	}
	if (old) registration_end(old);
	r->t = t;
	r->owner = c;
	memcpy(r->id, id, ATTENDANCE_ID);
	for (size_t i = 0; i < ATTENDANCE_SOCKETS; i++)
		r->sockets[i] = take_fd(sockets[i]);
	Registration **at = bucket_of(t, id);
	r->next = *at;
	if (r->next) r->next->prev = r;
	*at = r;
	if (c->registration) registration_end(c->registration);
	c->registration = r;
	if (t->helper.waits) helper_wait(t);
	helper_tell(r);
	tell_linked(t);
	return 0;
}

void registration_end(Registration *r)
{
	r->owner->registration = NULL;
	r->owner = NULL;
	helper_tell(r);
	if (!r->has_links) tell_linked(r->t);
}

void registration_free(Registration *r)
{
	Attendant *t = r->t;
	if (r->prev)
		r->prev->next = r->next;
	else
		*bucket_of(t, r->id) = r->next;
	if (r->next) r->next->prev = r->prev;
	t->slots[r->slot] = NULL;
	t->registrations_n--;
	for (size_t i = 0; i < ATTENDANCE_SOCKETS; i++)
		fd_close(r->sockets[i]);
	free(r);
}

void registrations_tell(Attendant *t, const char *id)
{
	Registration *one = id ? registration_find(t, id) : NULL;
	if (one) helper_tell(one);
	for (size_t i = 0; !id && i < t->slots_n; i++)
		if (t->slots[i] && t->slots[i]->owner) helper_tell(t->slots[i]);
	if (id) tell_linked(t);
}
