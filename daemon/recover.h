/*
 * The data folder and what its log had to say, put into words: which file,
 * which place, what to do next.
 */
#ifndef DAEMON_RECOVER_H
#define DAEMON_RECOVER_H

#include "daemon/member.h"

/* Makes the data folder if it is missing, and opens it. */
int recover_folder(struct member *member) __attribute__((warn_unused_result));

/*
 * Around a call that may block for long: between the two a line every few
 * seconds says that it is still at work.
 */
void recover_begin(struct log *log);
void recover_end(void);

/* A line for a code of wal_open() or node_init(); the exit status for it. */
int recover_explain(struct member *member, int code)
	__attribute__((warn_unused_result));

/*
 * After the log failed: lets it write down which record it was, if that can
 * still be written, and says what happened. MEMBER_LOG_FAILED.
 */
int recover_fail(struct member *member) __attribute__((warn_unused_result));

/* A line about what recovery found. */
void recover_report(struct member *member);

#endif
