/*
 * One TLS connection over a stream.
 *
 * OpenSSL reads and writes through a BIO of our own: reading takes what the
 * stream received, writing appends to `out`. There is always room for what
 * it writes by itself, and tls_put() gives it no more than there is room for,
 * so a write never has to be repeated.
 */
#include "daemon/tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* ---- between OpenSSL and the stream ---- */

static int bio_read(BIO *bio, char *to, int room)
{
	struct tls *tls = BIO_get_data(bio);
	const uint8_t *bytes;
	uint32_t size;

	BIO_clear_retry_flags(bio);
	size = engine_received(tls->engine, tls->stream, &bytes);
	if (size == 0 || room <= 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (size > (uint32_t)room)
		size = (uint32_t)room;
	memcpy(to, bytes, size);
	engine_take(tls->engine, tls->stream, size);
	return (int)size;
}

static int bio_write(BIO *bio, const char *bytes, int size)
{
	struct tls *tls = BIO_get_data(bio);
	uint32_t room = TLS_ROOM - tls->out_used;

	BIO_clear_retry_flags(bio);
	if (size <= 0 || (uint32_t)size > room) {
		BIO_set_retry_write(bio);
		return -1;
	}
	memcpy(tls->out + tls->out_used, bytes, (size_t)size);
	tls->out_used += (uint32_t)size;
	return size;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio; /* there is nothing to be told of it */
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

/* Made once, for all connections. */
static BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *method;
	int type;

	if (method)
		return method;
	type = BIO_get_new_index();
	if (type < 0)
		return NULL;
	method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "conclave stream");
	if (!method)
		return NULL;
	(void)BIO_meth_set_read(method, bio_read); /* these cannot fail */
	(void)BIO_meth_set_write(method, bio_write);
	(void)BIO_meth_set_ctrl(method, bio_control);
	return method;
}

/* ---- life ---- */

int tls_begin(struct tls *tls, const struct tls_keys *keys,
	      struct engine *engine, int stream, bool dialled)
{
	BIO_METHOD *method = bio_method();
	BIO *bio = method ? BIO_new(method) : NULL;

	assert(!tls->ssl);
	tls->engine = engine;
	tls->stream = stream;
	tls->failed = false;
	tls->in_size = 0;
	tls->in_taken = 0;
	tls->out_used = 0;
	tls->out_sent = 0;
	tls->plain_used = 0;
	tls->error[0] = '\0';
	tls->ssl = bio ? SSL_new(keys->context) : NULL;
	if (!tls->ssl) {
		BIO_free(bio); /* NULL is fine */
		return -ENOMEM;
	}
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio); /* one reference serves both */
	if (dialled)
		SSL_set_connect_state(tls->ssl);
	else
		SSL_set_accept_state(tls->ssl);
	return 0;
}

void tls_end(struct tls *tls)
{
	SSL_free(tls->ssl); /* NULL is fine */
	tls->ssl = NULL;
	tls->failed = false;
	tls->out_used = 0;
	tls->out_sent = 0;
}

/* ---- failing ---- */

/* What OpenSSL's words leave open, for the mistakes that people make. */
static const char *remedy_of(unsigned long code)
{
	switch (ERR_GET_REASON(code)) {
	case SSL_R_WRONG_VERSION_NUMBER:
		return "; it may speak no TLS: start both with the same "
		       "--peer-ca, or both without";
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		return "; has it expired, or did nobody in --peer-ca sign it?";
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return "; the other side's --peer-ca does not name who signed "
		       "--peer-cert of this one";
	default:
		return "";
	}
}

static void fail(struct tls *tls)
{
	long verified = SSL_get_verify_result(tls->ssl);
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	if (!reason)
		reason = "the connection broke";
	if (verified != X509_V_OK)
		(void)snprintf(tls->error, sizeof(tls->error), "%s: %s%s",
			       reason, X509_verify_cert_error_string(verified),
			       remedy_of(code));
	else
		(void)snprintf(tls->error, sizeof(tls->error), "%s%s", reason,
			       remedy_of(code));
	tls->failed = true;
	ERR_clear_error();
}

/* Whether what OpenSSL returned means that it waits. */
static bool waits(const struct tls *tls, int result)
{
	int error = SSL_get_error(tls->ssl, result);

	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

int tls_shake(struct tls *tls)
{
	if (tls->failed)
		return -EPROTO;
	ERR_clear_error();
	int result = SSL_do_handshake(tls->ssl);
	if (result == 1)
		return 1;
	if (waits(tls, result))
		return 0;
	fail(tls);
	return -EPROTO;
}

/* ---- names ---- */

static bool has_name(X509 *certificate, const char *name)
{
	uint32_t flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
			 X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

	if (name[0] == '\0')
		return false;
	if (X509_check_ip_asc(certificate, name, 0) == 1)
		return true;
	return X509_check_host(certificate, name, 0, flags, NULL) == 1;
}

static bool has_one_of(X509 *certificate, const char *names)
{
	char name[TLS_NAME_MAX];

	while (*names) {
		size_t size = strcspn(names, ",");
		if (size < sizeof(name)) {
			memcpy(name, names, size);
			name[size] = '\0';
			if (has_name(certificate, name))
				return true;
		}
		names += size;
		names += *names == ',';
	}
	return false;
}

bool tls_is_named(const struct tls *tls, const struct tls_keys *keys,
		  const char *host)
{
	X509 *certificate = SSL_get0_peer_certificate(tls->ssl);

	if (!certificate)
		return false;
	if (keys->names[0] != '\0')
		return has_one_of(certificate, keys->names);
	return has_name(certificate, host);
}

/* ---- bytes ---- */

uint32_t tls_received(struct tls *tls, const uint8_t **ret_bytes)
{
	if (tls->in_taken == tls->in_size && !tls->failed) {
		ERR_clear_error();
		int size = SSL_read(tls->ssl, tls->in, sizeof(tls->in));
		tls->in_taken = 0;
		tls->in_size = size > 0 ? (uint32_t)size : 0;
		if (size <= 0 && !waits(tls, size))
			fail(tls);
	}
	*ret_bytes = tls->in + tls->in_taken;
	return tls->in_size - tls->in_taken;
}

void tls_take(struct tls *tls, uint32_t size)
{
	assert(size <= tls->in_size - tls->in_taken);
	tls->in_taken += size;
}

/* Only while nothing of it is being sent. */
static void make_room(struct tls *tls)
{
	if (tls->out_sent == 0)
		return;
	memmove(tls->out, tls->out + tls->out_sent,
		tls->out_used - tls->out_sent);
	tls->out_used -= tls->out_sent;
	tls->out_sent = 0;
}

uint32_t tls_room(struct tls *tls)
{
	make_room(tls);
	/* One record stays free for what OpenSSL has to say by itself. */
	uint32_t records =
		(TLS_ROOM - tls->out_used) / (TLS_RECORD + TLS_OVERHEAD);
	if (tls->failed || records < 2)
		return 0;
	return (records - 1) * TLS_RECORD - tls->plain_used;
}

/* One record. There is room for it, so it never has to be repeated. */
static void seal(struct tls *tls, const uint8_t *bytes, uint32_t size)
{
	ERR_clear_error();
	int put = SSL_write(tls->ssl, bytes, (int)size);
	if (put <= 0)
		fail(tls);
	else
		assert((uint32_t)put == size);
}

uint32_t tls_put(struct tls *tls, const void *bytes, uint32_t size)
{
	const uint8_t *from = bytes;
	uint32_t room = tls_room(tls);
	uint32_t done = 0;

	if (size > room)
		size = room;
	while (done < size && !tls->failed) {
		uint32_t part = TLS_RECORD - tls->plain_used;
		if (part > size - done)
			part = size - done;
		if (part == TLS_RECORD) {
			seal(tls, from + done, part);
		} else {
			memcpy(tls->plain + tls->plain_used, from + done, part);
			tls->plain_used += part;
		}
		if (tls->plain_used == TLS_RECORD)
			tls_flush(tls);
		done += part;
	}
	return done;
}

void tls_flush(struct tls *tls)
{
	if (tls->plain_used > 0 && !tls->failed)
		seal(tls, tls->plain, tls->plain_used);
	tls->plain_used = 0;
}

uint32_t tls_out(const struct tls *tls, const uint8_t **ret_bytes)
{
	*ret_bytes = tls->out + tls->out_sent;
	return tls->out_used - tls->out_sent;
}

void tls_sent(struct tls *tls, uint32_t size)
{
	assert(size <= tls->out_used - tls->out_sent);
	tls->out_sent += size;
	if (tls->out_sent == tls->out_used) {
		tls->out_sent = 0;
		tls->out_used = 0;
	}
}
