/*
 * Keys and certificates that members may have, and what is said about those
 * that they may not.
 */
#include "tests/unit/support_certs.h"

#include <errno.h>

static struct authority authority;
static char error[TLS_ERROR_MAX];

static int open_files(const struct tls_files *files)
{
	struct tls_keys keys;
	int result = tls_keys_open(&keys, files, error);

	if (result == 0)
		tls_keys_close(&keys);
	return result;
}

static int open_kind(const char *kind, struct identity *ret_identity)
{
	authority = make_authority("authority");
	*ret_identity = make_identity(&authority, kind, "DNS:a.example", 30);
	struct tls_files files = files_of(ret_identity, &authority, "");
	return open_files(&files);
}

static void said(const char *text)
{
	ck_assert_msg(strstr(error, text), "no \"%s\" in: %s", text, error);
}

START_TEST(quick_keys_are_taken)
{
	struct identity identity;

	ck_assert_int_eq(open_kind("P-256", &identity), 0);
	ck_assert_int_eq(open_kind("ED25519", &identity), 0);
}
END_TEST

START_TEST(other_keys_are_refused_with_what_to_do)
{
	static const char *const kinds[] = {"RSA", "P-384", "P-521", NULL};
	struct identity identity;

	for (uint32_t i = 0; kinds[i]; i++) {
		ck_assert_int_eq(open_kind(kinds[i], &identity), -EINVAL);
		said(identity.certificate);
		said("ECDSA P-256 or Ed25519");
		said("make a new key");
	}
}
END_TEST

START_TEST(a_certificate_that_has_expired_is_refused)
{
	struct identity identity;

	authority = make_authority("authority");
	identity = make_identity(&authority, "P-256", "DNS:a.example", 0);
	struct tls_files files = files_of(&identity, &authority, "");
	ck_assert_int_eq(open_files(&files), -EINVAL);
	said(identity.certificate);
	said("has expired");
}
END_TEST

START_TEST(a_key_of_another_certificate_is_refused)
{
	struct identity one, other;

	authority = make_authority("authority");
	one = make_identity(&authority, "P-256", "DNS:a.example", 30);
	other = make_identity(&authority, "P-256", "DNS:a.example", 30);
	struct tls_files files = files_of(&one, &authority, "");
	files.key = other.key;
	ck_assert_int_eq(open_files(&files), -EINVAL);
	said(other.key);
}
END_TEST

/* A terminal would be asked for the phrase, and there is none. */
START_TEST(a_key_with_a_passphrase_is_refused_and_nobody_is_asked)
{
	struct identity identity;

	ck_assert_int_eq(open_kind("P-256", &identity), 0);
	EVP_PKEY *key = make_key("P-256");
	write_key(identity.key, key, "secret");
	EVP_PKEY_free(key);
	struct tls_files files = files_of(&identity, &authority, "");
	ck_assert_int_eq(open_files(&files), -EINVAL);
	said(identity.key);
	said("without passphrase");
}
END_TEST

START_TEST(files_that_are_missing_or_nonsense_are_named)
{
	struct identity identity;
	char nonsense[CERT_PATH_MAX];

	ck_assert_int_eq(open_kind("P-256", &identity), 0);
	new_path(nonsense);
	for (int round = 0; round < 2; round++) {
		struct tls_files files = files_of(&identity, &authority, "");
		files.certificate = nonsense;
		ck_assert_int_eq(open_files(&files), -EINVAL);
		said(nonsense);
		said("with a certificate");
		files = files_of(&identity, &authority, "");
		files.key = nonsense;
		ck_assert_int_eq(open_files(&files), -EINVAL);
		said(nonsense);
		said("private key");
		files = files_of(&identity, &authority, "");
		files.authority = nonsense;
		ck_assert_int_eq(open_files(&files), -EINVAL);
		said(nonsense);
		said("authority");
		/* Then it is there, and is no PEM file. */
		FILE *file = fopen(nonsense, "w");
		ck_assert_int_gt(fputs("nonsense\n", file), 0);
		ck_assert_int_eq(fclose(file), 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tls_keys");
	TCase *tests = tcase_create("tls_keys");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, quick_keys_are_taken);
	tcase_add_test(tests, other_keys_are_refused_with_what_to_do);
	tcase_add_test(tests, a_certificate_that_has_expired_is_refused);
	tcase_add_test(tests, a_key_of_another_certificate_is_refused);
	tcase_add_test(tests,
		       a_key_with_a_passphrase_is_refused_and_nobody_is_asked);
	tcase_add_test(tests, files_that_are_missing_or_nonsense_are_named);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
