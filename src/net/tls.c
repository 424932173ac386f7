/* tls.c: see tls.h. */
#include "net/tls.h"

#include <limits.h>
#define ERR_STATE OPENSSL_ERR_STATE /* both OpenSSL and base/errors.def have one */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

struct TlsContext {
	SSL_CTX **ssl; /* one for each certificate */
	size_t n;
	unsigned refs; /* one for the owner, one for each connection; all in one thread */
};

struct Tls {
	TlsContext *context;
	SSL *ssl;
	bool wants_write, failed, peer_looked_up;
	char *peer;
};

static void close_ssl_context(SSL_CTX **c)
{
	SSL_CTX_free(*c);
}

static void close_context(TlsContext **c)
{
	tls_context_free(*c);
}

/* The newest reason in OpenSSL's queue, which is emptied. */
static int refuse(Err *e, const char *what, const char *file)
{
	unsigned long last = ERR_peek_last_error();
	const char *why = ERR_reason_error_string(last);
	int errnum = ERR_SYSTEM_ERROR(last) ? ERR_GET_REASON(last) : EINVAL;
	if (ERR_SYSTEM_ERROR(last)) why = err_text(errnum);
	(void)err_set(e, ERR_CONFIG, errnum, "TLS: %s %s: %s", what, file, why ? why : "not usable");
	ERR_clear_error();
	return -errnum;
}

/* RFC 7301: our order; a client that offers neither is taken as HTTP/1.1. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned in_n, void *arg)
{
	static const unsigned char ours[] = "\x02h2\x08http/1.1";
	unsigned char *chosen = NULL;
	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_n, ours, sizeof ours - 1, in, in_n) != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int set_client_ca(SSL_CTX *ssl, const TlsServerOptions *o, Err *e)
{
	if (!o->client_ca) return 0;
	if (SSL_CTX_load_verify_locations(ssl, o->client_ca, NULL) != 1) return refuse(e, "client CA", o->client_ca);
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->client_ca);
	if (!names) return refuse(e, "client CA", o->client_ca);
	SSL_CTX_set_client_CA_list(ssl, names); /* owns it */
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | (o->client_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT), NULL);
	return 0;
}

/* RFC 6066 section 3. Names are compared as a client compares them, wildcards included. */
static int choose_certificate(SSL *ssl, int *alert, void *arg)
{
	const TlsContext *c = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	(void)alert;
	for (size_t i = 0; name && i < c->n; i++) {
		if (X509_check_host(SSL_CTX_get0_certificate(c->ssl[i]), name, 0, 0, NULL) != 1) continue;
		SSL_set_SSL_CTX(ssl, c->ssl[i]);
		break;
	}
	return SSL_TLSEXT_ERR_OK;
}

static int new_ssl_context(const TlsServerOptions *o, const TlsCertificate *pair, SSL_CTX **ret, Err *e)
{
	static const unsigned char session_context[] = "skep";
	SSL_CTX *ssl AUTO(close_ssl_context) = SSL_CTX_new(TLS_server_method());
	if (!ssl) return err_set(e, ERR_RESOURCE, ENOMEM, "TLS: no memory");
	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_id_context(ssl, session_context, sizeof session_context - 1);
	SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
	if (SSL_CTX_use_certificate_chain_file(ssl, pair->cert) != 1) return refuse(e, "certificate", pair->cert);
	if (SSL_CTX_use_PrivateKey_file(ssl, pair->key, SSL_FILETYPE_PEM) != 1) return refuse(e, "key", pair->key);
	if (SSL_CTX_check_private_key(ssl) != 1) return refuse(e, "key", pair->key);
	int r = set_client_ca(ssl, o, e);
	if (r >= 0) *ret = take(ssl);
	return r;
}

int tls_server_new(const TlsServerOptions *o, TlsContext **ret, Err *e)
{
	ERR_clear_error();
	TlsContext *c AUTO(close_context) = calloc(1, sizeof *c);
	if (!c) return err_set(e, ERR_RESOURCE, ENOMEM, "TLS: no memory");
	c->refs = 1;
	c->ssl = calloc(o->n, sizeof(SSL_CTX *));
	if (!c->ssl) return err_set(e, ERR_RESOURCE, ENOMEM, "TLS: no memory");
	for (; c->n < o->n; c->n++) {
		int r = new_ssl_context(o, &o->certificates[c->n], &c->ssl[c->n], e);
		if (r < 0) return r;
	}
	if (c->n > 1) {
		SSL_CTX_set_tlsext_servername_callback(c->ssl[0], choose_certificate);
		SSL_CTX_set_tlsext_servername_arg(c->ssl[0], c);
	}
	*ret = take(c);
	return 0;
}

void tls_context_free(TlsContext *c)
{
	if (!c || --c->refs) return;
	for (size_t i = 0; i < c->n; i++)
		SSL_CTX_free(c->ssl[i]);
	free(c->ssl);
	free(c);
}

int tls_accept(TlsContext *c, int fd, Tls **ret)
{
	AUTO_FREE Tls *t = calloc(1, sizeof *t);
	if (!t) return -ENOMEM;
	t->ssl = SSL_new(c->ssl[0]);
	if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1) {
		SSL_free(t->ssl);
		ERR_clear_error();
		return -ENOMEM;
	}
	SSL_set_accept_state(t->ssl);
	t->context = c;
	c->refs++;
	*ret = take(t);
	return 0;
}

void tls_free(Tls *t)
{
	if (!t) return;
	SSL_free(t->ssl);
	OPENSSL_free(t->peer);
	tls_context_free(t->context);
	free(t);
}

/* What a call that returned r <= 0 means; 0 for the peer's goodbye. */
static int judge(Tls *t, int r, int broken)
{
	int why = SSL_get_error(t->ssl, r);
	ERR_clear_error();
	t->wants_write = why == SSL_ERROR_WANT_WRITE;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return -EAGAIN;
	if (why == SSL_ERROR_ZERO_RETURN) return 0;
	t->failed = true; /* nothing may be sent any more, no goodbye either */
	return broken;
}

int tls_handshake(Tls *t)
{
	int r = SSL_do_handshake(t->ssl);
	t->wants_write = false;
	if (r == 1) return 0;
	r = judge(t, r, -EPROTO);
	return r ? r : -ECONNRESET;
}

ssize_t tls_read(Tls *t, void *p, size_t n)
{
	int r = SSL_read(t->ssl, p, n > INT_MAX ? INT_MAX : (int)n);
	t->wants_write = false;
	return r > 0 ? r : judge(t, r, -ECONNRESET);
}

ssize_t tls_write(Tls *t, const void *p, size_t n)
{
	int r = SSL_write(t->ssl, p, n > INT_MAX ? INT_MAX : (int)n);
	if (r > 0) return r;
	r = judge(t, r, -EPIPE);
	t->wants_write = false; /* the caller waits for that anyway */
	return r ? r : -EPIPE;
}

void tls_goodbye(Tls *t)
{
	if (t->failed || !SSL_is_init_finished(t->ssl)) return;
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

bool tls_wants_write(const Tls *t)
{
	return t->wants_write;
}

bool tls_is_h2(const Tls *t)
{
	const unsigned char *name;
	unsigned n;
	SSL_get0_alpn_selected(t->ssl, &name, &n);
	return n == 2 && memcmp(name, "h2", 2) == 0;
}

static char *common_name(X509 *cert)
{
	X509_NAME *name = X509_get_subject_name(cert);
	int at = name ? X509_NAME_get_index_by_NID(name, NID_commonName, -1) : -1;
	unsigned char *text = NULL;
	if (at < 0) return NULL;
	int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (n >= 0 && strlen((char *)text) == (size_t)n) return (char *)text;
	if (n >= 0) OPENSSL_free(text); /* a NUL in a name is there to deceive */
	return NULL;
}

const char *tls_peer_name(Tls *t)
{
	if (t->peer_looked_up) return t->peer;
	t->peer_looked_up = true;
	X509 *cert = SSL_get1_peer_certificate(t->ssl);
	if (cert && SSL_get_verify_result(t->ssl) == X509_V_OK) t->peer = common_name(cert);
	X509_free(cert);
	ERR_clear_error();
	return t->peer;
}
