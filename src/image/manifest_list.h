/* manifest_list.h: lists of manifests in the making: one name for the images of several platforms, as `docker manifest` makes them.
 *
 *  - A list is kept in the store, with the manifests that it names as the registry gave them; the images need not be in the store.
 *  - All of its manifests lie in the registry that the list goes to. What they consist of is mounted from their repositories, and sent only where
 *    the registry does not do that.
 *  - It is written as an OCI index, unless all its manifests are docker's: then as docker's manifest list.
 */
#pragma once

#include "image/catalog.h"
#include "image/transfer_client.h"

enum { MANIFEST_LIST_MAX = 1000 }; /* entries of one list */

/* ListEntry: a manifest of a list. Memory is the arena's it was read into. */
typedef struct ListEntry {
	const char *reference; /* whole: "docker.io/library/debian:12" */
	Descriptor descriptor; /* with its platform */
	const char *text;      /* the manifest */
	size_t n;
} ListEntry;
typedef LIST_OF(ListEntry) ManifestList;

/* manifest_list_get: 1, or 0 when there is no list of that name ("docker.io/library/all:1"). In the order in which they were added. */
int manifest_list_get(ImageStore *s, const char *name, Arena *a, ManifestList *ret, Err *e) MUST_USE;
/* manifest_list_put: adds an entry, or replaces the one of the same reference; makes the list when there is none. */
int manifest_list_put(ImageStore *s, const char *name, const ListEntry *entry, Err *e) MUST_USE;
/* manifest_list_drop: 1, or 0 when there was none. */
int manifest_list_drop(ImageStore *s, const char *name, Err *e) MUST_USE;
/* manifest_list_encode: the document, appended to b, and its media type. */
int manifest_list_encode(const ManifestList *l, Arena *a, Buf *b, const char **ret_type, Err *e) MUST_USE;

/* ListEndpoints: how one repository is reached. */
typedef struct ListEndpoints {
	const TransferEndpoint *items;
	size_t n;
} ListEndpoints;

/* FetchedManifest: a manifest or an index as a registry has it. */
typedef struct FetchedManifest {
	ImageDocument document;
	Descriptor descriptor; /* of it; platform: of an image's manifest, from its configuration */
	const char *text;
	size_t n;
} FetchedManifest;

/* manifest_fetch: what ref leads to. -ENOENT. */
int manifest_fetch(TransferClient *worker, const ListEndpoints *at, const Reference *ref, Arena *a, FetchedManifest *ret, Err *e) MUST_USE;

typedef struct ListPush {
	const Reference *target; /* with a tag */
	ListEndpoints at;
	const ManifestList *list;
	const Reference *sources;                                               /* of each entry of the list */
	const ListEndpoints *source_at;                                         /* the same */
	void (*pushed)(void *arg, const ListEntry *entry, const Reference *as); /* a manifest is in the target's repository; may be NULL */
	void *arg;
} ListPush;

/* manifest_list_push: *ret is the list's digest. */
int manifest_list_push(ImageStore *s, TransferClient *worker, const ListPush *p, Arena *a, Digest *ret, Err *e) MUST_USE;
