/* access.c: see access.h. */
#include "registry/access.h"

#include "base/glob.h"

static const BindName action_names[] = {
	{ "pull", ACCESS_PULL }, { "push", ACCESS_PUSH }, { "delete", ACCESS_DELETE }, { "*", ACCESS_ALL }, { 0 }
};

BIND_TABLE(access_rule_table, "rule", AccessRule,
	   { .name = "repositories", .kind = BIND_STRINGS, .offset = offsetof(AccessRule, repositories), .flags = BIND_REQUIRED },
	   { .name = "users", .kind = BIND_STRINGS, .offset = offsetof(AccessRule, users), .flags = BIND_REQUIRED },
	   { .name = "actions", .kind = BIND_ENUMS, .offset = offsetof(AccessRule, actions), .flags = BIND_REQUIRED, .sub = action_names });

static bool matches(const char *pattern, const char *repository)
{
	return glob_match(str_of(pattern), str_of(repository), GLOB_STARSTAR) > 0;
}

int access_check_rules(const AccessRuleList *rules, const char *document, Err *e)
{
	for (size_t i = 0; i < rules->n; i++) {
		const AccessRule *rule = &rules->items[i];
		if (!rule->repositories.n || !rule->users.n || !rule->actions.n)
			return err_set(e, ERR_CONFIG, EINVAL, "%s: rule %zu: needs repositories, users and actions", document, i);
		for (size_t k = 0; k < rule->repositories.n; k++)
			if (glob_match(str_of(rule->repositories.items[k]), STR("a"), GLOB_STARSTAR) < 0)
				return err_set(e, ERR_CONFIG, EINVAL, "%s: rule %zu: \"%s\" is not a pattern: a class must be closed",
					       document, i, rule->repositories.items[k]);
	}
	return 0;
}

static bool rule_is_for(const AccessRule *rule, const char *user)
{
	for (size_t i = 0; i < rule->users.n; i++) {
		const char *name = rule->users.items[i];
		if (user ? streq(name, "*") || streq(name, user) : streq(name, "anonymous")) return true;
	}
	return false;
}

static bool rule_covers(const AccessRule *rule, const char *repository)
{
	for (size_t i = 0; i < rule->repositories.n; i++)
		if (matches(rule->repositories.items[i], repository)) return true;
	return false;
}

unsigned access_rights(const AccessRuleList *rules, const char *user, const char *repository)
{
	unsigned rights = 0;
	for (size_t i = 0; i < rules->n; i++) {
		const AccessRule *rule = &rules->items[i];
		if (!rule_is_for(rule, user) || !rule_covers(rule, repository)) continue;
		for (size_t k = 0; k < rule->actions.n; k++)
			rights |= (unsigned)rule->actions.items[k];
	}
	return rights;
}

unsigned access_action(Str name)
{
	for (const BindName *n = action_names; n->name; n++)
		if (str_eq(name, n->name)) return (unsigned)n->value;
	return 0;
}

int access_scope_parse(Str text, AccessScope *ret)
{
	Str type, rest, action;
	if (!str_cut(text, ':', &type, &rest) || !str_eq(type, "repository")) return -EINVAL;
	/* the name may hold a port's colon: the actions stand behind the last one */
	const char *colon = rest.n ? memrchr(rest.p, ':', rest.n) : NULL;
	if (!colon) return -EINVAL;
	size_t n = (size_t)(colon - rest.p);
	AccessScope scope = { .name = { rest.p, n } };
	Str actions = { colon + 1, rest.n - n - 1 };
	while (str_next(&actions, ',', &action))
		scope.actions |= access_action(action);
	*ret = scope;
	return 0;
}

const char *access_format(unsigned actions, char text[static ACCESS_TEXT_MAX])
{
	snprintf(text, ACCESS_TEXT_MAX, "%s%s%s", actions & ACCESS_PULL ? ",pull" : "", actions & ACCESS_PUSH ? ",push" : "",
		 actions & ACCESS_DELETE ? ",delete" : "");
	if (text[0]) memmove(text, text + 1, strlen(text));
	return text;
}
