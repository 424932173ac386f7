/* webhook.h: events for others: rows in the transaction of what they tell, delivered later, until they are.
 *
 * The body is docker's notification envelope ({"events":[…]}). A delivery that fails is tried again, later each time, and holds back those
 * behind it: a receiver sees events in their order. After WEBHOOK_ATTEMPTS it is dropped and logged. Receivers are reached
 * by skep-transfer (worker.h), through the proxies of the environment; the certificates of https are checked.
 */
#pragma once

#include "registry/committer.h"

typedef struct Registry Registry;

enum { WEBHOOK_PULLS_MAX = 10000 /* events that wait: beyond it pulls are not told any more */ };
enum { WEBHOOK_ATTEMPTS = 12, WEBHOOK_FIRST_DELAY = 1 /* seconds; doubled up to an hour */, WEBHOOK_TIMEOUT = 10 };

typedef struct Delivery Delivery;

typedef struct Webhooks {
	LoopTimer timer;
	Delivery *current; /* one at a time */
	bool settling;     /* the outcome of the last one is being committed */
	uint64_t sent, failed;
} Webhooks;

/* webhook_check_url: http:// or https:// and a host. -EINVAL. */
int webhook_check_url(const char *text, Err *e) MUST_USE;
/* webhook_wants: some hook wants the event. */
bool webhook_wants(const Registry *reg, const char *action, const char *repository);
/* webhook_enqueue: within a commit: a row for each hook that wants the event. target: tag or digest; digest NULL: as target. */
int webhook_enqueue(Registry *reg, Db *db, const char *action, const char *repository, const char *target, const char *digest,
		    uint64_t size, Err *e) MUST_USE;
/* webhook_kick: there may be something to deliver. Nothing without hooks. */
void webhook_kick(Registry *reg);
void webhook_done(Registry *reg);
