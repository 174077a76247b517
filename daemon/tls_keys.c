/*
 * Certificate, key and authority of this member, from their files.
 */
#include "daemon/tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

static const char ciphers[] = "TLS_AES_128_GCM_SHA256:"
			      "TLS_AES_256_GCM_SHA384:"
			      "TLS_CHACHA20_POLY1305_SHA256";
/* Not const, as the macros that take them cast that away. */
static char groups[] = "X25519:P-256";
/* With which a connection may be signed: nothing slow, nothing old. */
static char signatures[] = "ECDSA+SHA256:ed25519";

/* `why` may end in what OpenSSL has to say. */
static int refuse(char *error, const char *file, const char *why)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	(void)snprintf(error, TLS_ERROR_MAX, "%s %s%s%s%s", file, why,
		       reason ? " (" : "", reason ? reason : "",
		       reason ? ")" : "");
	ERR_clear_error();
	return -EINVAL;
}

/* A key that wants a passphrase is refused; nobody is there to type it. */
static int no_passphrase(char *room, int size, int writing, void *user)
{
	(void)room;
	(void)size;
	(void)writing;
	(void)user;
	return 0;
}

static bool is_quick(EVP_PKEY *key)
{
	char group[32] = "";

	if (EVP_PKEY_is_a(key, "ED25519"))
		return true;
	if (!EVP_PKEY_is_a(key, "EC"))
		return false;
	return EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

static int load_own(SSL_CTX *context, const struct tls_files *files,
		    char *error)
{
	if (SSL_CTX_use_certificate_chain_file(context, files->certificate) !=
	    1)
		return refuse(error, files->certificate,
			      "is no readable PEM file with a certificate");
	X509 *certificate = SSL_CTX_get0_certificate(context);
	if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0)
		return refuse(error, files->certificate,
			      "has expired: issue a new certificate");
	if (!is_quick(X509_get0_pubkey(certificate)))
		return refuse(error, files->certificate,
			      "is not for an ECDSA P-256 or Ed25519 key; RSA "
			      "and others would hold up the daemon at each "
			      "connection: make a new key and certificate");
	if (SSL_CTX_use_PrivateKey_file(context, files->key,
					SSL_FILETYPE_PEM) != 1)
		return refuse(error, files->key,
			      "is no readable PEM file with the private key of "
			      "the certificate, without passphrase");
	if (SSL_CTX_check_private_key(context) != 1)
		return refuse(error, files->key,
			      "does not belong to the certificate");
	return 0;
}

static int set_up(SSL_CTX *context)
{
	SSL_CTX_set_default_passwd_cb(context, no_passphrase);
	SSL_CTX_set_verify(context,
			   SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			   NULL);
	SSL_CTX_set_verify_depth(context, TLS_DEPTH_MAX);
	SSL_CTX_set_max_cert_list(context, TLS_CHAIN_MAX);
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_num_tickets(context, 0) != 1 ||
	    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(context, ciphers) != 1 ||
	    SSL_CTX_set1_groups_list(context, groups) != 1 ||
	    SSL_CTX_set1_sigalgs_list(context, signatures) != 1)
		return -ENOTSUP;
	return 0;
}

int tls_keys_open(struct tls_keys *ret_keys, const struct tls_files *files,
		  char ret_error[TLS_ERROR_MAX])
{
	struct tls_keys keys = {0};
	int result;

	assert(strlen(files->names) < sizeof(keys.names));
	ERR_clear_error();
	keys.context = SSL_CTX_new(TLS_method());
	if (!keys.context || set_up(keys.context) < 0) {
		result = refuse(ret_error, "OpenSSL",
				"cannot do TLS 1.3 as it is needed here: look "
				"at its configuration");
		goto out_free;
	}
	result = load_own(keys.context, files, ret_error);
	if (result < 0)
		goto out_free;
	if (SSL_CTX_load_verify_file(keys.context, files->authority) != 1) {
		result = refuse(ret_error, files->authority,
				"is no readable PEM file with the certificates "
				"of an authority");
		goto out_free;
	}
	memcpy(keys.names, files->names, strlen(files->names) + 1);
	*ret_keys = keys;
	return 0;
out_free:
	SSL_CTX_free(keys.context); /* NULL is fine */
	return result;
}

void tls_keys_close(struct tls_keys *keys)
{
	SSL_CTX_free(keys->context); /* connections keep what they use */
	keys->context = NULL;
}
