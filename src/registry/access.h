/* access.h: who may do what with which repository: rules, and the scopes of tokens that are cut from them. Pure. */
#pragma once

#include "base/bind.h"

enum {
	ACCESS_PULL = 1,
	ACCESS_PUSH = 2,
	ACCESS_DELETE = 4,
	ACCESS_ALL = 7,
};

/* One rule: whoever is in users may do actions in what repositories match. Patterns are base/glob.h with "**". In users,
 * "*" is everybody who has logged in, "anonymous" whoever has not. */
typedef struct AccessRule {
	StrList repositories, users;
	IntList actions; /* ACCESS_… */
} AccessRule;

typedef LIST_OF(AccessRule) AccessRuleList;

extern const BindTable access_rule_table;

/* access_check_rules: patterns are patterns, lists are not empty. -EINVAL. */
int access_check_rules(const AccessRuleList *rules, const char *document, Err *e) MUST_USE;

/* access_rights: what the rules together give; user NULL: anonymous. */
unsigned access_rights(const AccessRuleList *rules, const char *user, const char *repository);

/* A scope of a token: "repository:<name>:<action>,<action>" (the token specification of docker's registry). The views
 * point into the text. */
typedef struct AccessScope {
	Str name;
	unsigned actions;
} AccessScope;

/* access_scope_parse: -EINVAL: another type than repository, or not a scope. Unknown actions are left out; "*" is all. */
int access_scope_parse(Str text, AccessScope *ret) MUST_USE;

/* access_format: "pull,push" in a buffer of ACCESS_TEXT_MAX. Returns text. */
enum { ACCESS_TEXT_MAX = 32 };
const char *access_format(unsigned actions, char text[static ACCESS_TEXT_MAX]);

/* access_action: the bit of one action's name, 0 when unknown. */
unsigned access_action(Str name);
