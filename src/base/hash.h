/* hash.h: computing digests (base/digest.h). The only wrapper of OpenSSL's digests; a library of its own (hash_dep),
 * because skep-runtime links no OpenSSL.
 *
 *  - A failure inside of OpenSSL is kept and reported by hash_final: callers of hash_update need not check.
 *  - No state outside of the Hash; OpenSSL is neither initialized nor configured by it.
 *  - A Hash belongs to one thread at a time.
 */
#pragma once

#include "base/digest.h"

typedef struct Hash Hash;

/* hash_new: -ENOTSUP (no such algorithm), -ENOMEM. The caller owns *ret. */
int hash_new(uint8_t algorithm, Hash **ret) MUST_USE;
void hash_free(Hash *h);
static inline void hash_freep(Hash **h)
{
	hash_free(*h);
}
#define AUTO_HASH AUTO(hash_freep) Hash

void hash_update(Hash *h, const void *p, size_t n);
/* hash_final: the digest of all bytes since hash_new or the last hash_final; h then stands at the beginning again. -EIO. */
int hash_final(Hash *h, Digest *ret) MUST_USE;
/* hash_copy: a second hash that has seen the same bytes: the digest so far, while the first goes on. */
int hash_copy(const Hash *h, Hash **ret) MUST_USE;

/* digest_of: of n bytes at p; allocates nothing. -ENOTSUP, -EIO. */
int digest_of(uint8_t algorithm, const void *p, size_t n, Digest *ret) MUST_USE;
/* hash_file: of a regular file from its first byte to its end; the file offset is neither used nor moved. ret_size (may be
 * NULL) gets the bytes read. -errno of pread, too. */
int hash_file(int fd, uint8_t algorithm, Digest *ret, uint64_t *ret_size) MUST_USE;
