/*
 * Every file is compiled with this header forced in front of it: an assertion
 * states what must hold, and a program that goes on where it does not hold may
 * acknowledge what it never kept.
 */
#ifndef TESTS_LINT_ALWAYS_ASSERT_H
#define TESTS_LINT_ALWAYS_ASSERT_H

#ifdef NDEBUG
#error "asserts are always on: build without NDEBUG"
#endif

#endif
