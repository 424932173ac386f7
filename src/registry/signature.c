/* signature.c: see signature.h. */
#include "registry/signature.h"

#include <fcntl.h>
#include <limits.h>
#define ERR_STATE OPENSSL_ERR_STATE /* both OpenSSL and base/errors.def have one */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#undef ERR_STATE

#include "base/base64.h"
#include "sys/fd.h"

enum { FIELD_BYTES = 32 /* of P-256 */, NUMBER_MAX = 1024, PARSE_ARENA = 8 << 20 };

typedef enum { ALGORITHM_NONE, ALGORITHM_RS256, ALGORITHM_ES256 } Algorithm;

static const char *const algorithm_names[] = { "", "RS256", "ES256" };

typedef struct Key {
	EVP_PKEY *pkey;
	Algorithm algorithm;
	char *id; /* NULL: it has none */
} Key;

struct SignatureKeys {
	Key keys[SIGNATURE_KEYS_MAX];
	size_t n;
	X509_STORE *authorities; /* NULL: there are none */
};

static void close_pkey(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

static void close_number(BIGNUM **n)
{
	BN_free(*n);
}

static void close_certificate(X509 **c)
{
	X509_free(*c);
}

static void close_keys(SignatureKeys **k)
{
	signature_keys_free(*k);
}

void signature_keys_free(SignatureKeys *k)
{
	if (!k) return;
	for (size_t i = 0; i < k->n; i++) {
		EVP_PKEY_free(k->keys[i].pkey);
		free(k->keys[i].id);
	}
	X509_STORE_free(k->authorities);
	free(k);
}

static Algorithm algorithm_of(const EVP_PKEY *p)
{
	char group[32] = "";
	if (EVP_PKEY_is_a(p, "RSA")) return EVP_PKEY_get_bits(p) >= SIGNATURE_RSA_BITS ? ALGORITHM_RS256 : ALGORITHM_NONE;
	if (!EVP_PKEY_is_a(p, "EC") || EVP_PKEY_get_group_name(p, group, sizeof group, NULL) != 1) return ALGORITHM_NONE;
	return streq(group, "prime256v1") ? ALGORITHM_ES256 : ALGORITHM_NONE;
}

/* add_key: p is owned from now on. One that can verify nothing here is left out. */
static int add_key(SignatureKeys *k, EVP_PKEY *p, const char *id)
{
	EVP_PKEY *own AUTO(close_pkey) = p;
	Algorithm algorithm = p ? algorithm_of(p) : ALGORITHM_NONE;
	if (!algorithm) return 0;
	if (k->n == SIGNATURE_KEYS_MAX) return -E2BIG;
	AUTO_FREE char *copy = id ? strdup(id) : NULL;
	if (id && !copy) return -ENOMEM;
	k->keys[k->n++] = (Key){ take(own), algorithm, take(copy) };
	return 0;
}

/* ---- JSON Web Keys ---- */

typedef struct Jwk {
	const char *type, *use, *algorithm, *id, *curve, *n, *e, *x, *y;
} Jwk;

typedef struct JwkSet {
	LIST_OF(Jwk) keys;
} JwkSet;

#define ROW(json_name, field) \
	{ \
		.name = (json_name), .kind = BIND_STRING, .offset = offsetof(Jwk, field) \
	}
BIND_TABLE(jwk_table, "key", Jwk, ROW("kty", type), ROW("use", use), ROW("alg", algorithm), ROW("kid", id), ROW("crv", curve), ROW("n", n),
	   ROW("e", e), ROW("x", x), ROW("y", y));
static const BindRow jwk_set_rows[] = {
	{ .name = "keys", .kind = BIND_LIST, .offset = offsetof(JwkSet, keys), .flags = BIND_REQUIRED, .sub = &jwk_table },
};
static const BindTable jwk_set_table = { .type = "keys", .size = sizeof(JwkSet), .rows = jwk_set_rows, .n = ARRAY_LEN(jwk_set_rows) };

static BIGNUM *number_of(const char *text)
{
	AUTO_BUF b = BUF_INIT(NUMBER_MAX);
	if (!text || base64url_decode(str_of(text), &b) < 0 || !b.n) return NULL;
	return BN_bin2bn((const unsigned char *)b.p, (int)b.n, NULL);
}

static EVP_PKEY *make(const char *type, OSSL_PARAM_BLD *build)
{
	EVP_PKEY *p = NULL;
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (!params || !c || EVP_PKEY_fromdata_init(c) != 1 || EVP_PKEY_fromdata(c, &p, EVP_PKEY_PUBLIC_KEY, params) != 1) p = NULL;
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(params);
	return p;
}

static EVP_PKEY *rsa_key(const Jwk *j)
{
	BIGNUM *n AUTO(close_number) = number_of(j->n);
	BIGNUM *e AUTO(close_number) = number_of(j->e);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	bool ok = build && n && e && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		  OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1;
	EVP_PKEY *p = ok ? make("RSA", build) : NULL;
	OSSL_PARAM_BLD_free(build);
	return p;
}

/* A point that is not on the curve is refused by OpenSSL. */
static EVP_PKEY *ec_key(const Jwk *j)
{
	AUTO_BUF point = BUF_INIT(1 + 2 * FIELD_BYTES);
	buf_putc(&point, 4); /* not compressed (SEC 1, 2.3.3) */
	if (!j->curve || !streq(j->curve, "P-256") || !j->x || !j->y) return NULL;
	if (base64url_decode(str_of(j->x), &point) < 0 || point.n != 1 + FIELD_BYTES) return NULL;
	if (base64url_decode(str_of(j->y), &point) < 0 || point.n != 1 + 2 * FIELD_BYTES) return NULL;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	bool ok = build && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
		  OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point.p, point.n) == 1;
	EVP_PKEY *p = ok ? make("EC", build) : NULL;
	OSSL_PARAM_BLD_free(build);
	return p;
}

static int add_jwk(SignatureKeys *k, const Jwk *j)
{
	Algorithm algorithm = !j->type                ? ALGORITHM_NONE
			      : streq(j->type, "RSA") ? ALGORITHM_RS256
			      : streq(j->type, "EC")  ? ALGORITHM_ES256
						      : ALGORITHM_NONE;
	if (!algorithm || (j->use && !streq(j->use, "sig")) || (j->algorithm && !streq(j->algorithm, algorithm_names[algorithm]))) return 0;
	return add_key(k, algorithm == ALGORITHM_RS256 ? rsa_key(j) : ec_key(j), j->id);
}

static int read_set(SignatureKeys *k, Str text, const char *name, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(PARSE_ARENA);
	JwkSet set;
	char *copy = arena_str(&a, text);
	if (!copy) return err_sys(e, ENOMEM, "%s", name);
	int r = bind_parse(&jwk_set_table, copy, text.n, &set, name, &a, e);
	for (size_t i = 0; r >= 0 && i < set.keys.n; i++)
		if ((r = add_jwk(k, &set.keys.items[i])) < 0) err_sys(e, -r, "%s: key %zu", name, i);
	return r;
}

/* ---- PEM ---- */

static int add_certificate(SignatureKeys *k, const unsigned char *der, long n)
{
	X509 *c AUTO(close_certificate) = d2i_X509(NULL, &der, n);
	if (!c) return -EINVAL;
	if (!k->authorities) {
		k->authorities = X509_STORE_new();
		/* whoever is named here is trusted, whether or not somebody else has signed for him */
		if (!k->authorities || X509_STORE_set_flags(k->authorities, X509_V_FLAG_PARTIAL_CHAIN) != 1) return -ENOMEM;
	}
	if (X509_STORE_add_cert(k->authorities, c) != 1) return -ENOMEM;
	return add_key(k, X509_get_pubkey(c), NULL);
}

static int add_block(SignatureKeys *k, const char *type, const unsigned char *der, long n)
{
	if (streq(type, "CERTIFICATE")) return add_certificate(k, der, n);
	if (streq(type, "PUBLIC KEY")) {
		EVP_PKEY *p = d2i_PUBKEY(NULL, &der, n);
		return p ? add_key(k, p, NULL) : -EINVAL;
	}
	return ends_with(type, "PRIVATE KEY") ? -EPERM : 0;
}

static int read_pem(SignatureKeys *k, Str text, const char *name, Err *e)
{
	int r = 0;
	BIO *from = text.n <= INT_MAX ? BIO_new_mem_buf(text.p, (int)text.n) : NULL;
	if (!from) return err_sys(e, ENOMEM, "%s", name);
	for (unsigned i = 1; r >= 0; i++) {
		char *type = NULL, *header = NULL;
		unsigned char *der = NULL;
		long n = 0;
		if (PEM_read_bio(from, &type, &header, &der, &n) != 1) break;
		r = add_block(k, type, der, n);
		if (r == -EPERM)
			err_set(e, ERR_CONFIG, EINVAL,
				"%s: holds a private key: the server that signs has it, its certificate belongs here", name);
		else if (r < 0)
			err_sys(e, -r, "%s: PEM block %u", name, i);
		OPENSSL_free(type);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
	}
	BIO_free(from);
	ERR_clear_error();
	return r;
}

int signature_keys_parse(Str text, const char *name, SignatureKeys **ret, Err *e)
{
	SignatureKeys *k AUTO(close_keys) = calloc(1, sizeof *k);
	if (!k) return err_sys(e, ENOMEM, "%s", name);
	Str trimmed = str_trim(text);
	int r = trimmed.n && trimmed.p[0] == '{' ? read_set(k, text, name, e) : read_pem(k, text, name, e);
	ERR_clear_error();
	if (r < 0) return r;
	if (!k->n && !k->authorities)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "%s: no key for RS256 (RSA of %d bits or more) or ES256 (P-256): expected a JSON Web Key Set or PEM", name,
			       SIGNATURE_RSA_BITS);
	*ret = take(k);
	return 0;
}

int signature_keys_load(const char *path, SignatureKeys **ret, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(2 * SIGNATURE_FILE_MAX);
	char *text;
	size_t n;
	int r = fd_read_file(AT_FDCWD, path, SIGNATURE_FILE_MAX, &a, &text, &n, e);
	return r < 0 ? r : signature_keys_parse((Str){ text, n }, path, ret, e);
}

/* ---- verifying ---- */

/* r and s, each of the field's size, as RFC 7518 section 3.4 has them, into the form that OpenSSL reads. Length; 0: they are none. */
static int der_of(Str signature, unsigned char **ret)
{
	const unsigned char *p = (const unsigned char *)signature.p;
	if (signature.n != 2 * FIELD_BYTES) return 0;
	ECDSA_SIG *both = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(p, FIELD_BYTES, NULL), *s = BN_bin2bn(p + FIELD_BYTES, FIELD_BYTES, NULL);
	int n = 0;
	if (both && r && s && ECDSA_SIG_set0(both, r, s) == 1) {
		n = i2d_ECDSA_SIG(both, ret);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(both);
	return n > 0 ? n : 0;
}

static bool has_signed(EVP_PKEY *p, Algorithm algorithm, Str text, Str signature)
{
	EVP_PKEY_CTX *options = NULL; /* the context's own */
	unsigned char *der = NULL;
	size_t n = signature.n;
	const unsigned char *bytes = (const unsigned char *)signature.p;
	if (algorithm == ALGORITHM_ES256) {
		n = (size_t)der_of(signature, &der);
		bytes = der;
	}
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool good = n && c && EVP_DigestVerifyInit(c, &options, EVP_sha256(), NULL, p) == 1 &&
		    (algorithm != ALGORITHM_RS256 || EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PADDING) == 1) &&
		    EVP_DigestVerify(c, bytes, n, (const unsigned char *)text.p, text.n) == 1;
	EVP_MD_CTX_free(c);
	OPENSSL_free(der);
	ERR_clear_error();
	return good;
}

static X509 *decode_certificate(const char *text)
{
	AUTO_BUF der = BUF_INIT(SIGNATURE_FILE_MAX);
	if (base64_decode(str_of(text), &der) < 0 || !der.n) return NULL;
	const unsigned char *p = (const unsigned char *)der.p;
	return d2i_X509(NULL, &p, (long)der.n);
}

/* The signer's key, when an authority stands behind him. The caller frees it. */
static EVP_PKEY *key_of_chain(const SignatureKeys *k, const StrList *chain)
{
	EVP_PKEY *p = NULL;
	STACK_OF(X509) *between = sk_X509_new_null();
	X509_STORE_CTX *c = X509_STORE_CTX_new();
	X509 *signer AUTO(close_certificate) = decode_certificate(chain->items[0]);
	bool whole = between && c && signer;
	for (size_t i = 1; whole && i < chain->n; i++) {
		X509 *next = decode_certificate(chain->items[i]);
		whole = next && sk_X509_push(between, next) > 0;
		if (!whole) X509_free(next);
	}
	if (whole && X509_STORE_CTX_init(c, k->authorities, signer, between) == 1 && X509_verify_cert(c) == 1) p = X509_get_pubkey(signer);
	X509_STORE_CTX_free(c);
	sk_X509_pop_free(between, X509_free);
	ERR_clear_error();
	return p;
}

int signature_verify(const SignatureKeys *k, const SignatureHead *head, Str text, Str signature)
{
	Algorithm algorithm = ALGORITHM_NONE;
	for (size_t i = 1; i < ARRAY_LEN(algorithm_names); i++)
		if (head->algorithm && streq(head->algorithm, algorithm_names[i])) algorithm = (Algorithm)i;
	if (!algorithm) return -EBADMSG;
	for (size_t i = 0; i < k->n; i++) {
		const Key *key = &k->keys[i];
		if (key->algorithm != algorithm || (key->id && head->key_id && !streq(key->id, head->key_id))) continue;
		if (has_signed(key->pkey, algorithm, text, signature)) return 0;
	}
	if (!k->authorities || !head->chain.n || head->chain.n > SIGNATURE_CHAIN_MAX) return -EBADMSG;
	EVP_PKEY *p AUTO(close_pkey) = key_of_chain(k, &head->chain);
	return p && algorithm_of(p) == algorithm && has_signed(p, algorithm, text, signature) ? 0 : -EBADMSG;
}
