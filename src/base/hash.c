/* hash.c: see hash.h.
 *
 * OpenSSL's SHA-2 functions are called themselves, not through EVP: the code that does the work is the same (SHA-NI where
 * the processor has it), but the first use of EVP sets up providers, which takes 1.1 ms of a program whose whole start
 * takes 0.9 ms, and links 4.3 MB. The functions are marked deprecated since 3.0 and still there in 3.5. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <unistd.h>

struct Hash {
	uint8_t algorithm;
	bool failed;
	union {
		SHA256_CTX sha256;
		SHA512_CTX sha512;
	};
};

enum { READ_SIZE = 256 << 10 };

static void start(Hash *h)
{
	h->failed = !(h->algorithm == DIGEST_SHA256 ? SHA256_Init(&h->sha256) : SHA512_Init(&h->sha512));
}

int hash_new(uint8_t algorithm, Hash **ret)
{
	if (!digest_size(algorithm)) return -ENOTSUP;
	Hash *h = calloc(1, sizeof *h);
	if (!h) return -ENOMEM;
	h->algorithm = algorithm;
	start(h);
	*ret = h;
	return 0;
}

int hash_copy(const Hash *from, Hash **ret)
{
	Hash *h = malloc(sizeof *h);
	if (!h) return -ENOMEM;
	*h = *from;
	*ret = h;
	return 0;
}

void hash_free(Hash *h)
{
	free(h);
}

void hash_update(Hash *h, const void *p, size_t n)
{
	if (!n) return;
	if (!(h->algorithm == DIGEST_SHA256 ? SHA256_Update(&h->sha256, p, n) : SHA512_Update(&h->sha512, p, n))) h->failed = true;
}

int hash_final(Hash *h, Digest *ret)
{
	Digest d = { .algorithm = h->algorithm };
	bool ok = h->algorithm == DIGEST_SHA256 ? SHA256_Final(d.bytes, &h->sha256) : SHA512_Final(d.bytes, &h->sha512);
	ok = ok && !h->failed;
	start(h);
	if (!ok) return -EIO;
	*ret = d;
	return 0;
}

int digest_of(uint8_t algorithm, const void *p, size_t n, Digest *ret)
{
	Hash h = { .algorithm = algorithm };
	if (!digest_size(algorithm)) return -ENOTSUP;
	start(&h);
	hash_update(&h, p, n);
	return hash_final(&h, ret);
}

int hash_file(int fd, uint8_t algorithm, Digest *ret, uint64_t *ret_size)
{
	AUTO_HASH *h = NULL;
	uint64_t at = 0;
	int r = hash_new(algorithm, &h);
	if (r < 0) return r;
	AUTO_FREE char *block = malloc(READ_SIZE);
	if (!block) return -ENOMEM;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	for (;;) {
		ssize_t n = retry_eintr(pread(fd, block, READ_SIZE, (off_t)at));
		if (n < 0) return -errno;
		if (n == 0) break;
		hash_update(h, block, (size_t)n);
		at += (uint64_t)n;
	}
	r = hash_final(h, ret);
	if (r >= 0 && ret_size) *ret_size = at;
	return r;
}
