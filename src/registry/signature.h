/* signature.h: whether another token server has signed: its public keys, RS256 and ES256 (RFC 7518). The only user of OpenSSL's public keys here.
 *
 * The algorithm belongs to the key. An RSA key verifies RS256, a key on P-256 verifies ES256, and there is nothing else: no key here is a secret, so none
 * can be one of HMAC. What a token says of its algorithm can only leave keys out.
 *
 * The file is a JSON Web Key Set (RFC 7517), or PEM: certificates, which are keys and authorities at once (rootcertbundle of docker's registry), and
 * public keys. An authority's word counts for the certificates that a token brings along (x5c). Keys of other kinds or for other uses are left out.
 */
#pragma once

#include "base/arena.h"
#include "base/bind.h"

enum { SIGNATURE_FILE_MAX = 1 << 20, SIGNATURE_KEYS_MAX = 32, SIGNATURE_CHAIN_MAX = 5, SIGNATURE_RSA_BITS = 2048 };

typedef struct SignatureKeys SignatureKeys;

/* signature_keys_load: -EINVAL when none of what the file holds can verify anything, or when it holds a private key. */
int signature_keys_load(const char *path, SignatureKeys **ret, Err *e) MUST_USE;
/* signature_keys_parse: the same from a text; name stands in messages. */
int signature_keys_parse(Str text, const char *name, SignatureKeys **ret, Err *e) MUST_USE;
void signature_keys_free(SignatureKeys *k);

/* SignatureHead: what a token says of its signature. */
typedef struct SignatureHead {
	const char *algorithm; /* "RS256", "ES256" */
	const char *key_id;    /* NULL: not told; keys that have another one are left out */
	StrList chain;         /* base64 of certificates, the signer's first; none is taken that no authority has signed */
} SignatureHead;

/* signature_verify: 0; -EBADMSG: by none of the keys; -ENOMEM. */
int signature_verify(const SignatureKeys *k, const SignatureHead *head, Str text, Str signature) MUST_USE;
