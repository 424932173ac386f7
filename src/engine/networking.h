/* networking.h: what a container has of networks while it runs.
 *
 * A start reserves addresses and ports (network/ipam.h, publish.h), makes what of the networks is not there, and the container's namespace with its devices in it: that is handed
 * to the monitor, which gives it to the container. At its end nothing is to be removed but rows and elements of ports: the devices go with the namespace.
 */
#pragma once

#include "engine/attachment.h"
#include "engine/publish.h"
#include "engine/record.h"

typedef struct Networking {
	int netns;         /* -1: the container makes its own, or has another's */
	int names[2];      /* sockets in it, UDP and TCP, that are asked for names; -1: none */
	StrList addresses; /* of the container, as text */
	StrList gateways;  /* those of its default routes */
	U32List devices;   /* the host\'s ends of its devices: indexes */
	Publishing ports;
	struct RulesPort *rules; /* of the ports */
	const char *ended;       /* the directory where its monitor tells that it has ended; NULL: it has nothing to give back */
	bool held;               /* rows, until they are the monitor's to give back */
	int lock;                /* networking_lock */
} Networking;
#define NETWORKING_NONE ((Networking){ .netns = -1, .names = { -1, -1 }, .lock = -1 })

/* networking_is_own: does that mode name a network, with addresses: not none, host, container:… or ns:…? */
bool networking_is_own(const char *mode);
/* networking_start: dir: the container's directory. userns: the user namespace of the container, which owns what it gets; -1: none. -ENOENT "failed to set up container networking: network x not found", and what making it
 * gave. The caller calls networking_done, and while .held is true networking_release. Single-threaded callers only. */
int networking_start(Engine *g, const Record *c, int dir, int userns, Arena *a, Networking *ret, Err *e) MUST_USE;
void networking_done(Networking *n);
/* networking_release: of a container that runs no more without having told it (it has lost its monitor, or was not started): what it had is free. */
void networking_release(Engine *g, const char *container);
/* networking_lock: whoever changes what networks a container has, or gives it devices: a start until the container runs, a connect, a disconnect. dir: the container's. -EBUSY after ten
 * seconds. Closing it lets go. */
int networking_lock(int dir, const char *name, Err *e) MUST_USE;
/* networking_forget: rules of ports that rows say it has, of one whose start was killed: before these rows go. What has ended well has left none. */
void networking_forget(Engine *g, const char *container);
/* networking_networks: for calls of network/; the engine is borrowed. */
Networks networking_networks(Engine *g);

#define NETWORKING_FORWARDS "forwards%d" /* in the run root: this family is passed on for containers' sake alone */

/* ---- between networking.c and network_connect.c ---- */

/* networking_join: the container's device in one network, the bridge of which is made where it is not there. sock: rtnl_open. networking_forward: the host passes on what the networks need.
 * networking_has_names: is there one among them where names are answered? */
int networking_join(int sock, int netns, const Attachment *p, Arena *a, int *ret_index, Err *e) MUST_USE;
/* networking_is_going: its monitor is taking its rules away, or has. */
bool networking_is_going(const Engine *g, const char *id);
int networking_forward(const AttachmentList *l, Err *e) MUST_USE;
/* networking_note_forwards: before that: a family that the host does not pass on so far is from now on for containers' sake alone (link/rules.h, rules_close). */
int networking_note_forwards(const Engine *g, const AttachmentList *l, Err *e) MUST_USE;
bool networking_forwards_for_containers(const Engine *g, int family);
bool networking_has_names(const AttachmentList *l);
