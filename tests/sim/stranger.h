/*
 * Those who dial members and must not get in: of another cluster, of another
 * version, with an id that nobody has, or that was removed, or that is the
 * answerer's own, on a lane that does not exist, or talking nonsense.
 */
#ifndef TESTS_SIM_STRANGER_H
#define TESTS_SIM_STRANGER_H

void stranger_begin(void);
/* One more dials; and those who did before are looked after. */
void stranger_dial(void);
/* All go. */
void stranger_end(void);

#endif
