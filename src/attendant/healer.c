/* healer.c: our rules, when somebody else takes them away: `nft flush ruleset`, a firewall's reload.
 *
 * The kernel tells of every change. What goes from our table by the hand of another program is put back: the whole table is made anew from the database. Where others
 * make chains or take rules away, the one rule that ours need among theirs may be missing (link/host_firewall.h): that is looked at. Commands and
 * monitors of ours (programs named skep…) add and take away what is theirs all the time; only a whole table that they make anew is looked at, too: another
 * version of this program knows what it had itself, and not what others had.
 */
#include <sys/prctl.h>

#include "attendant/attendant_impl.h"
#include "base/duration.h"
#include "base/time.h"
#include "engine/network_rules.h"
#include "link/host_firewall.h"
#include "sys/fd.h"

/* A reload is many transactions: what is pending waits for quiet, but not for ever. Where healing follows healing, somebody fights us: ever slower then. */
#define QUIET (10 * DURATION_MILLISECOND)
#define LONGEST (80 * DURATION_MILLISECOND)
#define CALM (2 * DURATION_SECOND)
#define WAIT_MAX (5 * DURATION_SECOND)
#define HOSTS_WAIT_MAX \
	(320 * DURATION_MILLISECOND) /* a reload of a firewall is many of these, and no fight: what is lost behind it is soon back */
#define NAME "skep-attendant"        /* that transactions of ours are told by */
enum { RULES_ARENA = 256 << 20 };

static void heal(void *arg);

static void set_timer(Attendant *t)
{
	Healer *h = &t->healer;
	const int64_t now = time_monotonic(), quiet = now + h->wait, latest = h->since + (h->wait > LONGEST ? h->wait : LONGEST);
	loop_timer_set(&t->loop, &h->timer, quiet < latest ? quiet : latest, heal, t);
}

static void need(Attendant *t, HealerNeed what)
{
	Healer *h = &t->healer;
	const int64_t now = time_monotonic();
	if (h->need == HEALER_NOTHING) {
		h->since = now;
		if (!h->wait || now - h->last > CALM + h->wait) h->wait = QUIET;
	}
	if (what > h->need) h->need = what;
	set_timer(t);
}

void healer_now(Attendant *t)
{
	if (t->healer.watch < 0) return;
	need(t, HEALER_ALL);
}

static int heal_all(Attendant *t, bool anew, Arena *a, Err *e)
{
	Engine *g;
	int r = attendant_engine(t, &g, e);
	return r < 0 ? r : networking_heal(g, anew, a, &t->healer.own, e);
}

static int heal_hosts(Attendant *t, Arena *a, Err *e)
{
	Engine *g;
	AUTO_FD int sock = nft_open(e);
	int r = sock < 0 ? sock : host_firewall_open(sock, a, e);
	if (r < 0 || (r = attendant_engine(t, &g, e)) < 0) return r;
	return networking_close(g, sock, a, e);
}

static void heal(void *arg)
{
	Attendant *t = arg;
	Healer *h = &t->healer;
	AUTO_ARENA a = ARENA_INIT(RULES_ARENA);
	Err e = ERR_INIT;
	const HealerNeed what = h->need;
	h->need = HEALER_NOTHING;
	int r = what == HEALER_HOSTS ? heal_hosts(t, &a, &e) : heal_all(t, what == HEALER_ANEW, &a, &e);
	h->last = time_monotonic();
	const int64_t most = what == HEALER_HOSTS ? HOSTS_WAIT_MAX : WAIT_MAX;
	if (h->wait < most) h->wait = 2 * h->wait > most ? most : 2 * h->wait;
	if (r < 0) need(t, what); /* the database is busy, somebody changes rules all the time: later */
}

static bool is_ours(const NftEvent *ev)
{
	return ev->family == NFT_INET && streq(ev->table, RULES_TABLE);
}

/* The events of a transaction come before the one that ends it and says whose it was. */
static void judge(Attendant *t, const NftEvent *ev)
{
	Healer *h = &t->healer;
	const bool own = starts_with(ev->program, "skep");
	if (h->table_gone && ev->generation != h->own)
		need(t, HEALER_ALL);
	else if (h->part_gone && !own)
		need(t, HEALER_ANEW);
	else if (h->hosts_changed && !own)
		need(t, HEALER_HOSTS);
	h->table_gone = h->part_gone = h->hosts_changed = false;
}

static int take_event(const NftEvent *ev, void *data)
{
	Attendant *t = data;
	Healer *h = &t->healer;
	switch (ev->kind) {
	case NFT_TABLE_GONE:
		h->table_gone |= is_ours(ev);
		break;
	case NFT_CHAIN_NEW:
		h->hosts_changed |= !is_ours(ev);
		break;
	case NFT_RULE_GONE:
		h->hosts_changed |= !is_ours(ev);
		h->part_gone |= is_ours(ev);
		break;
	case NFT_CHAIN_GONE:
	case NFT_SET_GONE:
	case NFT_ELEMENTS_GONE:
		h->part_gone |= is_ours(ev);
		break;
	case NFT_GENERATION:
		judge(t, ev);
		break;
	default:
		break;
	}
	return 0;
}

static void readable(void *arg, uint32_t events)
{
	Attendant *t = arg;
	(void)events;
	if (nft_watch_read(t->healer.watch, take_event, t) < 0) healer_now(t); /* something was lost */
}

void healer_init(Attendant *t)
{
	Err ignored = ERR_INIT; /* a kernel without nf_tables has no rules of ours */
	Healer *h = &t->healer;
	prctl(PR_SET_NAME, NAME);
	h->watch = nft_watch_open(&ignored);
	if (h->watch >= 0 && loop_fd_add(&t->loop, &h->readable, h->watch, EPOLLIN, readable, t) < 0) h->watch = fd_close(h->watch);
}

void healer_done(Attendant *t)
{
	loop_timer_cancel(&t->healer.timer);
	loop_fd_remove(&t->healer.readable);
	t->healer.watch = fd_close(t->healer.watch);
}
