/* catalog.h: what the registry knows, as rows: repositories, the blobs in them, manifests, tags, referrers, events.
 *
 * Reading takes the loop's own connection and never waits for a writer. Changing happens within a Commit (committer.h), in
 * whose transaction the changes and their checks are one. Digests are text ("sha256:…") throughout.
 *
 * Invariants
 *  - A row of blobs stands for a durable file; a blob is readable in the repositories it has a row in.
 *  - A manifest's references are rows: what a manifest holds is never collected while the manifest is there.
 *  - repositories.bytes is the sum of the sizes of its blobs and manifests.
 */
#pragma once

#include "base/digest.h"
#include "base/err.h"
#include "registry/manifest.h"
#include "registry/options.h"
#include "store/db.h"

/* catalog_open: the database below root, made or brought to this version. May be opened several times. */
int catalog_open(const char *root, Db **ret, Err *e) MUST_USE;

/* ---- reading. 0, -ENOENT, -ENOMEM or -EIO with *e set ---- */

/* catalog_repository: does it exist? */
int catalog_repository(Db *db, const char *name, Err *e) MUST_USE;
typedef struct CatalogBlob {
	uint64_t size;
	int64_t touched; /* ns since 1970: when somebody last counted on it */
} CatalogBlob;
/* catalog_blob: a blob that the repository has. */
int catalog_blob(Db *db, const char *name, const char *digest, CatalogBlob *ret, Err *e) MUST_USE;
/* catalog_tag: the digest a tag stands for. */
int catalog_tag(Db *db, const char *name, const char *tag, char ret_digest[static DIGEST_TEXT_MAX], Err *e) MUST_USE;
/* catalog_manifest: the bytes are appended to body, the media type to type. */
int catalog_manifest(Db *db, const char *name, const char *digest, Buf *type, Buf *body, Err *e) MUST_USE;

/* Lists, in the order of their bytes, after `last` ("" for the first). each() returns false to end the list. */
typedef bool CatalogNameFn(void *arg, const char *name);
int catalog_tags(Db *db, const char *name, const char *last, CatalogNameFn *each, void *arg, Err *e) MUST_USE;
int catalog_repositories(Db *db, const char *last, CatalogNameFn *each, void *arg, Err *e) MUST_USE;
/* catalog_blob_repositories: those that have the blob. */
int catalog_blob_repositories(Db *db, const char *digest, CatalogNameFn *each, void *arg, Err *e) MUST_USE;

typedef struct CatalogReferrer {
	const char *digest, *media_type, *artifact_type, *annotations; /* annotations: a JSON object or NULL */
	uint64_t size;
} CatalogReferrer;
typedef bool CatalogReferrerFn(void *arg, const CatalogReferrer *referrer);
/* catalog_referrers: of subject, by digest, after `last`; artifact_type NULL: all. */
int catalog_referrers(Db *db, const char *name, const char *subject, const char *artifact_type, const char *last, CatalogReferrerFn *each,
		      void *arg, Err *e) MUST_USE;

typedef struct CatalogTotals {
	uint64_t repositories, manifests, tags, blobs, bytes;
} CatalogTotals;
int catalog_totals(Db *db, CatalogTotals *ret, Err *e) MUST_USE;

/* ---- changing. now: nanoseconds since 1970 ---- */

/* catalog_add_blob: a blob whose file is in place (or will be, before this transaction is durable). The repository is
 * made when it is new. -EDQUOT: a quota; the message says which. */
int catalog_add_blob(Db *db, const RegistryOptions *limits, const char *name, const char *digest, uint64_t size, int64_t now,
		     Err *e) MUST_USE;
/* catalog_mount_blob: the same for a blob that another repository has. -ENOENT. */
int catalog_mount_blob(Db *db, const RegistryOptions *limits, const char *from, const char *to, const char *digest, int64_t now,
		       Err *e) MUST_USE;
/* catalog_touch_blob: somebody counts on it: the collection's grace begins anew. */
int catalog_touch_blob(Db *db, const char *name, const char *digest, int64_t now, Err *e) MUST_USE;
/* catalog_delete_blob: from one repository. -ENOENT. */
int catalog_delete_blob(Db *db, const char *name, const char *digest, Err *e) MUST_USE;

typedef struct CatalogManifest {
	const char *digest;
	const ManifestView *view;
	Str body;
	const char *const *tags;
	size_t n_tags;
} CatalogManifest;
/* catalog_put_manifest: -ENOLINK: what it refers to is not in the repository (the message names the first), unless limits->sparse; -EDQUOT. */
int catalog_put_manifest(Db *db, const RegistryOptions *limits, const char *name, const CatalogManifest *m, int64_t now, Err *e) MUST_USE;
/* catalog_touch_tag: it was found to be current: it counts as pushed now. Nothing when there is none. */
int catalog_touch_tag(Db *db, const char *name, const char *tag, int64_t now, Err *e) MUST_USE;
/* catalog_delete_manifest: with the tags that stand for it. catalog_delete_tag: the tag alone. -ENOENT. */
int catalog_delete_manifest(Db *db, const char *name, const char *digest, Err *e) MUST_USE;
int catalog_delete_tag(Db *db, const char *name, const char *tag, Err *e) MUST_USE;
/* catalog_remove_manifest: the same as delete, by the repository's row: for the collection. */
int catalog_remove_manifest(Db *db, int64_t repository, const char *digest, Err *e) MUST_USE;
