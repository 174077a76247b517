/*
 * TLS between members: each shows a certificate, and believes the other's if
 * the same authority signed it and it has a name that is allowed.
 *
 * TLS 1.3 alone, by OpenSSL, over the engine's streams: it reads what was
 * received where it lies, and what it writes goes into a room of fixed size
 * that is sent like anything else. Keys are ECDSA P-256 or Ed25519. An RSA
 * key is refused: its private operation takes a millisecond and more, which
 * is a whole turn. Nothing is resumed, so every connection proves itself.
 */
#ifndef DAEMON_TLS_H
#define DAEMON_TLS_H

#include "daemon/engine.h"

#include <openssl/ssl.h>

enum tls_limits {
	TLS_RECORD = 16384, /* bytes in one record */
	TLS_OVERHEAD = 256, /* more than a record, an alert or both add */
	TLS_ROOM = 8 * (TLS_RECORD + TLS_OVERHEAD),
	TLS_ERROR_MAX = 256,
	TLS_NAMES_MAX = 1024, /* as the option peer-names has them */
	TLS_NAME_MAX = 256,
	TLS_CHAIN_MAX = 16384, /* bytes of certificates that a peer shows */
	TLS_DEPTH_MAX = 4,
};

/* Paths of PEM files, and a list of names with commas between, or "". */
struct tls_files {
	const char *certificate;
	const char *key;
	const char *authority;
	const char *names;
};

/* What connections begin with; those that have begun keep theirs. */
struct tls_keys {
	SSL_CTX *context;
	char names[TLS_NAMES_MAX]; /* "": the host at which a member is */
};

/*
 * Reads the files. 0, or -EINVAL and in ret_error a sentence that names the
 * file and what to do.
 */
int tls_keys_open(struct tls_keys *ret_keys, const struct tls_files *files,
		  char ret_error[TLS_ERROR_MAX])
	__attribute__((warn_unused_result));
void tls_keys_close(struct tls_keys *keys);

/* One connection. */
struct tls {
	SSL *ssl; /* NULL: none */
	struct engine *engine;
	int stream;
	bool failed; /* nothing more can come */
	uint32_t in_size;
	uint32_t in_taken;
	uint32_t out_used;
	uint32_t out_sent;
	char error[TLS_ERROR_MAX]; /* why it failed */
	uint32_t plain_used;
	uint8_t in[TLS_RECORD];
	uint8_t plain[TLS_RECORD]; /* a record that is not yet full */
	uint8_t out[TLS_ROOM];
};

/* Begins on a connected stream, as the side that dialled or the other. */
int tls_begin(struct tls *tls, const struct tls_keys *keys,
	      struct engine *engine, int stream, bool dialled)
	__attribute__((warn_unused_result));
void tls_end(struct tls *tls);

/*
 * Goes on with the handshake. 1: it is over, 0: the other side has to say
 * something, -EPROTO: it failed, and what is to be sent says so to the other.
 */
int tls_shake(struct tls *tls) __attribute__((warn_unused_result));

/*
 * Whether the peer's certificate has one of the names that the keys allow,
 * or, where they name none, `host`.
 */
bool tls_is_named(const struct tls *tls, const struct tls_keys *keys,
		  const char *host);

/* As engine_received() and engine_take(), for what was sealed. */
uint32_t tls_received(struct tls *tls, const uint8_t **ret_bytes);
void tls_take(struct tls *tls, uint32_t size);

/* How many bytes tls_put() would take. */
uint32_t tls_room(struct tls *tls);

/*
 * Takes bytes, no more than there is room for; how many. They are sealed when
 * a record is full, or by tls_flush().
 */
uint32_t tls_put(struct tls *tls, const void *bytes, uint32_t size);
void tls_flush(struct tls *tls);

/* What is to be sent, and that so much of it was. */
uint32_t tls_out(const struct tls *tls, const uint8_t **ret_bytes);
void tls_sent(struct tls *tls, uint32_t size);

#endif
