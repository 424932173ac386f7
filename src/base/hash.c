/* hash.c: see hash.h. */
#include "base/hash.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <unistd.h>

struct Hash {
	EVP_MD_CTX *ctx;
	uint8_t algorithm;
	bool failed;
};

enum { READ_SIZE = 256 << 10 };

/* Fetched once: a fetch takes as long as hashing some kilobytes. A library context of our own, as the default one reads
 * openssl.cnf. Never freed: they serve until the process ends. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *fetched[DIGEST_SHA512 + 1];

static void fetch_all(void)
{
	OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();
	if (!lib) return;
	fetched[DIGEST_SHA256] = EVP_MD_fetch(lib, "SHA256", NULL);
	fetched[DIGEST_SHA512] = EVP_MD_fetch(lib, "SHA512", NULL);
}

void hash_free(Hash *h)
{
	if (!h) return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

static int hash_alloc(uint8_t algorithm, Hash **ret)
{
	AUTO_HASH *h = calloc(1, sizeof *h);
	if (!h) return -ENOMEM;
	h->algorithm = algorithm;
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx) return -ENOMEM;
	*ret = take(h);
	return 0;
}

int hash_new(uint8_t algorithm, Hash **ret)
{
	AUTO_HASH *h = NULL;
	if (!digest_size(algorithm)) return -ENOTSUP;
	pthread_once(&once, fetch_all);
	if (!fetched[algorithm]) return -ENOMEM;
	int r = hash_alloc(algorithm, &h);
	if (r < 0) return r;
	if (!EVP_DigestInit_ex2(h->ctx, fetched[algorithm], NULL)) return -ENOMEM;
	*ret = take(h);
	return 0;
}

int hash_copy(const Hash *from, Hash **ret)
{
	AUTO_HASH *h = NULL;
	int r = hash_alloc(from->algorithm, &h);
	if (r < 0) return r;
	if (!EVP_MD_CTX_copy_ex(h->ctx, from->ctx)) return -ENOMEM;
	h->failed = from->failed;
	*ret = take(h);
	return 0;
}

void hash_update(Hash *h, const void *p, size_t n)
{
	if (n && !EVP_DigestUpdate(h->ctx, p, n)) h->failed = true;
}

int hash_final(Hash *h, Digest *ret)
{
	Digest d = { .algorithm = h->algorithm };
	unsigned n = 0;
	bool ok = EVP_DigestFinal_ex(h->ctx, d.bytes, &n) && n == digest_size(h->algorithm) && !h->failed;
	h->failed = !EVP_DigestInit_ex2(h->ctx, fetched[h->algorithm], NULL);
	if (!ok) return -EIO;
	*ret = d;
	return 0;
}

int digest_of(uint8_t algorithm, const void *p, size_t n, Digest *ret)
{
	AUTO_HASH *h = NULL;
	int r = hash_new(algorithm, &h);
	if (r < 0) return r;
	hash_update(h, p, n);
	return hash_final(h, ret);
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
		ssize_t n = TEMP_FAILURE_RETRY(pread(fd, block, READ_SIZE, (off_t)at));
		if (n < 0) return -errno;
		if (n == 0) break;
		hash_update(h, block, (size_t)n);
		at += (uint64_t)n;
	}
	r = hash_final(h, ret);
	if (r >= 0 && ret_size) *ret_size = at;
	return r;
}
