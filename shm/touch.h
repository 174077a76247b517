/*
 * The hook of the seam (shm/env.h) that stands in front of every access to a
 * shared word, and in front of every copy into or out of shared memory. In a
 * program it is nothing. In the simulator it is a place where the client can
 * be stopped for ever: between any two stores.
 */
#ifndef SHM_TOUCH_H
#define SHM_TOUCH_H

enum cv_touch {
	CV_TOUCH_LOAD = 0,
	CV_TOUCH_STORE = 1,
	CV_TOUCH_EXCHANGE = 2,
	CV_TOUCH_FENCE = 3,
	CV_TOUCH_COPY = 4,
};

#ifdef CONCLAVE_SIM_ENV
#ifdef __cplusplus
extern "C" {
#endif
/* What comes next is the access that `kind` names. May not return. */
void cv_env_touch(enum cv_touch kind);
#ifdef __cplusplus
}
#endif
#else
static inline void cv_env_touch(enum cv_touch kind)
{
	(void)kind;
}
#endif

#endif
