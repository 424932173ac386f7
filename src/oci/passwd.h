/* passwd.h: the users and groups of a container, as its own /etc/passwd and /etc/group have them.
 *
 *  - Both files are the container's: they are opened below a descriptor of its root (sys/path.h), without waiting for a FIFO, must be
 *    regular and at most PASSWD_MAX bytes. One that is not there is an empty one.
 *  - What is all digits is an id, never a name. Ids go to PASSWD_ID_MAX, as docker's do; a line whose numbers are none says nothing.
 *  - Where several lines fit, the first one counts.
 */
#pragma once

#include "base/bind.h"

enum { PASSWD_MAX = 1 << 20, PASSWD_ID_MAX = INT32_MAX };

typedef struct PasswdUser {
	uint32_t uid, gid;
	U32List groups;   /* supplementary, gid among them and first */
	const char *home; /* NULL: no line, or it names none */
} PasswdUser;

/* passwd_find_user: what "name|uid[:group|gid]" means ("" and NULL: root), with the groups of group_add (names or ids; may be NULL). The groups
 * that a user is a member of count only where no group is named. root: descriptor of the container's root, -1: neither file is there.
 * -EINVAL with docker's words ("unable to find user x: no matching entries in passwd file"), -EFBIG, or what opening gave. */
int passwd_find_user(int root, const char *user, const StrList *group_add, Arena *a, PasswdUser *ret, Err *e) MUST_USE;

/* passwd_find_user_in: the same, from the texts of both files. */
int passwd_find_user_in(Str passwd, Str group, const char *user, const StrList *group_add, Arena *a, PasswdUser *ret, Err *e) MUST_USE;

/* passwd_home: the home directory of uid, NULL when there is none or the file cannot be read. */
const char *passwd_home(int root, uint32_t uid, Arena *a) MUST_USE;

/* passwd_text: the file itself; empty when there is none or it cannot be read. */
Str passwd_text(int root, Arena *a) MUST_USE;

/* passwd_highest_id: the highest id of a user or group in the files, nobody and nogroup aside; 0 when there are none. */
uint32_t passwd_highest_id(int root) MUST_USE;
