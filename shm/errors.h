/*
 * What codes mean: for a program that must know what became of a write, and
 * for a person.
 */
#ifndef SHM_ERRORS_H
#define SHM_ERRORS_H

#include <errno.h>

#include "shm/types.h"

CONCLAVE_DEF enum conclave_error_kind conclave_error_kind(int code)
{
	switch (code) {
	case CONCLAVE_EDEADLINE:
	case CONCLAVE_ESESSION:
	case CONCLAVE_ESTOPPED:
	case CONCLAVE_EPROTO:
	case -ETIMEDOUT:
	case -EALREADY:
	case -EINTR:
		return CONCLAVE_UNKNOWN;
	default:
		/* Every other code is given only when it is certain. */
		return code >= 0 ? CONCLAVE_APPLIED : CONCLAVE_NOT_APPLIED;
	}
}

static inline const char *cv_strerror_refused(int code)
{
	switch (code) {
	case CONCLAVE_ENOLEADER:
		return "the cluster has no leader";
	case CONCLAVE_ETRANSFER:
		return "leadership is being handed over";
	case CONCLAVE_ELOGFULL:
		return "too much is waiting to be committed";
	case CONCLAVE_EREMOVED:
		return "this member was removed from the cluster";
	case CONCLAVE_ETOOLARGE:
		return "the request is larger than the handle or the log takes";
	case CONCLAVE_ETOOMANY:
		return "a limit on handles, sessions or watches is reached";
	case CONCLAVE_EQUOTA:
		return "the store is full";
	case CONCLAVE_EPERM:
		return "not allowed to this user";
	case CONCLAVE_EBADREQ:
		return "the request is malformed";
	case CONCLAVE_EUNSUPPORTED:
		return "the daemon does not know this request";
	case CONCLAVE_ECANCELLED:
		return "cancelled before it was proposed";
	case CONCLAVE_ENOSPACE:
		return "the disk is full: writes are refused";
	case CONCLAVE_ENOTAPPLIED:
		return "not applied: the daemon stopped first";
	case CONCLAVE_EMEMBERSHIP:
		return "this change of members is refused";
	case CONCLAVE_ECORRUPT:
		return "this member's state is not what the others have";
	default:
		return NULL;
	}
}

static inline const char *cv_strerror_answer(int code)
{
	switch (code) {
	case CONCLAVE_ECOMPARE:
		return "the key has another revision than expected";
	case CONCLAVE_ECOMPACTED:
		return "that revision was compacted";
	case CONCLAVE_EFUTURE:
		return "that revision does not exist yet";
	case CONCLAVE_ETOOSMALL:
		return "the reply does not fit into its room";
	case CONCLAVE_ENOTFOUND:
		return "not found";
	case CONCLAVE_EEPOCH:
		return "the session was resumed by somebody else";
	case CONCLAVE_EWINDOW:
		return "too many requests are not settled";
	case CONCLAVE_ESETTLED:
		return "the request was settled before";
	default:
		return NULL;
	}
}

static inline const char *cv_strerror_client(int code)
{
	switch (code) {
	case CONCLAVE_EDEADLINE:
		return "the deadline passed; the outcome is not known yet";
	case CONCLAVE_ESESSION:
		return "the session expired; the outcome cannot be known";
	case CONCLAVE_ESTOPPED:
		return "no daemon answers";
	case CONCLAVE_EVERSION:
		return "client and daemon speak different versions";
	case CONCLAVE_EFORKED:
		return "this handle belongs to the parent process";
	case CONCLAVE_EPROTO:
		return "the daemon said something impossible";
	case CONCLAVE_EUNTRUSTED:
		return "the daemon runs as a user who is not trusted";
	default:
		return NULL;
	}
}

static inline const char *cv_strerror_errno(int code)
{
	switch (code) {
	case 0:
		return "success";
	case -EAGAIN:
		return "no room at the moment";
	case -EALREADY:
		return "the daemon has taken the request already";
	case -EBUSY:
		return "the request is not in that state";
	case -EINTR:
		return "interrupted by a signal";
	case -EINVAL:
		return "invalid argument";
	case -ENAMETOOLONG:
		return "the path of the socket is too long";
	case -ENOENT:
		return "nothing is outstanding";
	case -ENOMEM:
		return "out of memory";
	case -ENOTCONN:
		return "no daemon answers, and nothing was sent";
	case -ETIMEDOUT:
		return "not complete within the time given";
	default:
		return NULL;
	}
}

CONCLAVE_DEF const char *conclave_strerror(int code)
{
	const char *text = cv_strerror_refused(code);

	if (text == NULL)
		text = cv_strerror_answer(code);
	if (text == NULL)
		text = cv_strerror_client(code);
	if (text == NULL)
		text = cv_strerror_errno(code);
	return text != NULL ? text : "unknown error";
}

#endif
