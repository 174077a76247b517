/*
 * Authorities and certificates for tests, made where they are needed, in a
 * folder that goes away with the test.
 */
#ifndef TESTS_UNIT_SUPPORT_CERTS_H
#define TESTS_UNIT_SUPPORT_CERTS_H

#include "daemon/tls.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CERT_PATH_MAX = 128,
	CERT_DAY_S = 86400,
	AUTHORITIES_MAX = 16,
};

struct authority {
	EVP_PKEY *key;
	X509 *certificate;
	char path[CERT_PATH_MAX];
};

/* The files of one member. */
struct identity {
	char certificate[CERT_PATH_MAX];
	char key[CERT_PATH_MAX];
};

static char cert_folder[64];
static uint32_t cert_count;
static struct authority authorities[AUTHORITIES_MAX];
static uint32_t authority_count;

static inline void remove_certs(void)
{
	char command[CERT_PATH_MAX];

	for (uint32_t i = 1; i <= cert_count; i++) {
		(void)snprintf(command, sizeof(command), "%s/%u.pem",
			       cert_folder, i);
		(void)unlink(command);
	}
	(void)rmdir(cert_folder);
}

static inline void new_path(char path[CERT_PATH_MAX])
{
	if (cert_folder[0] == '\0') {
		const char *base = getenv("TMPDIR");
		(void)snprintf(cert_folder, sizeof(cert_folder),
			       "%.40s/conclave-certs-XXXXXX",
			       base && strlen(base) < 40 ? base : "/tmp");
		ck_assert_ptr_nonnull(mkdtemp(cert_folder));
		(void)atexit(remove_certs);
	}
	(void)snprintf(path, CERT_PATH_MAX, "%s/%u.pem", cert_folder,
		       ++cert_count);
}

static inline EVP_PKEY *make_key(const char *kind)
{
	EVP_PKEY *key;

	if (strcmp(kind, "RSA") == 0)
		key = EVP_RSA_gen(2048);
	else if (strcmp(kind, "ED25519") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		key = EVP_EC_gen(kind);
	ck_assert_ptr_nonnull(key);
	return key;
}

static inline void add_extension(X509 *certificate, int which,
				 const char *value)
{
	X509_EXTENSION *extension =
		X509V3_EXT_conf_nid(NULL, NULL, which, value);

	ck_assert_ptr_nonnull(extension);
	ck_assert_int_eq(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* Valid from yesterday for `days`; without an issuer it signs itself. */
static inline X509 *make_certificate(EVP_PKEY *key, const char *name,
				     const struct authority *issuer, int days)
{
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);
	X509_NAME *from =
		issuer ? X509_get_subject_name(issuer->certificate) : subject;
	EVP_PKEY *signer = issuer ? issuer->key : key;
	bool pure = EVP_PKEY_is_a(signer, "ED25519");

	ck_assert_int_eq(X509_set_version(certificate, 2), 1);
	ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(certificate),
					  (long)cert_count + 1),
			 1);
	ck_assert_int_eq(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
						    (const unsigned char *)name,
						    -1, -1, 0),
			 1);
	ck_assert_int_eq(X509_set_issuer_name(certificate, from), 1);
	ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notBefore(certificate),
					      -2 * CERT_DAY_S));
	ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(certificate),
					      (days - 1) * CERT_DAY_S));
	ck_assert_int_eq(X509_set_pubkey(certificate, key), 1);
	add_extension(certificate, NID_basic_constraints,
		      issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
	ck_assert_int_gt(
		X509_sign(certificate, signer, pure ? NULL : EVP_sha256()), 0);
	return certificate;
}

static inline void write_certificate(const char *path, X509 *certificate)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
	ck_assert_int_eq(fclose(file), 0);
}

static inline void write_key(const char *path, EVP_PKEY *key,
			     const char *phrase)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(PEM_write_PrivateKey(
				 file, key, phrase ? EVP_aes_128_cbc() : NULL,
				 (const unsigned char *)phrase,
				 phrase ? (int)strlen(phrase) : 0, NULL, NULL),
			 1);
	ck_assert_int_eq(fclose(file), 0);
}

/* They are kept until the end. */
static inline struct authority make_authority(const char *name)
{
	struct authority authority;

	authority.key = make_key("P-256");
	authority.certificate = make_certificate(authority.key, name, NULL, 30);
	new_path(authority.path);
	write_certificate(authority.path, authority.certificate);
	ck_assert_uint_lt(authority_count, AUTHORITIES_MAX);
	authorities[authority_count++] = authority;
	return authority;
}

/* `names` as "DNS:a.b,IP:127.0.0.1"; expired when days is 0. */
static inline struct identity make_identity(const struct authority *authority,
					    const char *kind, const char *names,
					    int days)
{
	struct identity identity;
	EVP_PKEY *key = make_key(kind);
	X509 *certificate = make_certificate(key, "member", authority, days);
	bool pure = EVP_PKEY_is_a(authority->key, "ED25519");

	add_extension(certificate, NID_subject_alt_name, names);
	ck_assert_int_gt(X509_sign(certificate, authority->key,
				   pure ? NULL : EVP_sha256()),
			 0);
	new_path(identity.certificate);
	write_certificate(identity.certificate, certificate);
	new_path(identity.key);
	write_key(identity.key, key, NULL);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return identity;
}

static inline struct tls_files files_of(const struct identity *identity,
					const struct authority *authority,
					const char *names)
{
	struct tls_files files = {
		.certificate = identity->certificate,
		.key = identity->key,
		.authority = authority->path,
		.names = names,
	};

	return files;
}

#endif
