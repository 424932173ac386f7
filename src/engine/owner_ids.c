/* owner_ids.c: see owner_ids.h. */
#include "engine/owner_ids.h"

#include <sys/fsuid.h>

#include "sys/cap.h"

uint32_t owner_inside(const IdMappings *l, uint32_t id)
{
	uint32_t inside;
	if (!l->n) return id;
	return idmap_to_container(l, id, &inside) < 0 ? OWNER_NOBODY : inside;
}

int owner_outside(const IdMappings *l, uint32_t id, uint32_t *ret)
{
	*ret = id;
	return !l->n || idmap_to_host(l, id, ret) >= 0 ? 0 : -EOVERFLOW;
}

int owner_of_root(const IdMaps *m, uint32_t *ret_uid, uint32_t *ret_gid)
{
	int r = owner_outside(&m->uids, 0, ret_uid);
	return r < 0 ? r : owner_outside(&m->gids, 0, ret_gid);
}

/* The kernel takes away the effective capabilities over files with the id 0; they stay permitted. */
static int set_owner(uint32_t uid, uint32_t gid)
{
	CapSets before;
	int r = cap_get(&before);
	if (r < 0) return r;
	setfsgid(gid);
	setfsuid(uid);
	if ((uint32_t)setfsuid((uid_t)-1) != uid || (uint32_t)setfsgid((gid_t)-1) != gid) return -EPERM;
	return cap_set(&before);
}

int fs_owner_take(const IdMaps *m, FsOwner *ret, Err *e)
{
	uint32_t uid, gid;
	*ret = (FsOwner){ 0 };
	if (!m->uids.n) return 0;
	int r = owner_of_root(m, &uid, &gid);
	if (r < 0) return err_sys(e, r, "become the container's root");
	*ret = (FsOwner){ .changed = true, .uid = (uint32_t)setfsuid((uid_t)-1), .gid = (uint32_t)setfsgid((gid_t)-1) };
	r = set_owner(uid, gid);
	return r < 0 ? err_sys(e, r, "become the container's root") : 0;
}

void fs_owner_restore(FsOwner *o)
{
	if (o->changed) (void)!set_owner(o->uid, o->gid);
	o->changed = false;
}
