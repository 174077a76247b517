/*
 * A B+tree over byte strings, in nodes of 1 KiB. A leaf holds offsets of
 * versions (the newest of each key), in the order of their keys; an inner
 * node holds children and between them bounds, the shortest strings that
 * tell left from right.
 *
 * All keys below a node lie between two bounds above it, so all begin with
 * what these two have in common: the node's prefix, of which only the length
 * is kept. Each slot has a mark, the 8 bytes behind the prefix, big-endian
 * and filled up with zeros. A search compares marks, which lie side by side,
 * and looks at keys only where marks are equal.
 *
 * Every node but the root and those on the right edge holds at least
 * TREE_LEAF_MIN or TREE_INNER_MIN slots. A node that overflows at the right
 * edge is left full and a new one begins, so keys that come in order fill
 * their leaves: loading an image in key order builds a dense tree.
 *
 * Each node has a version word: odd while it changes, even and greater
 * afterwards. A reader who sees the same even word before and after reading
 * has read what was once true. Node memory is type-stable (mapping.h), so the
 * word may be read even of a node that was freed meanwhile.
 */
#ifndef DAEMON_STORE_TREE_H
#define DAEMON_STORE_TREE_H

#include "daemon/store/mapping.h"
#include "daemon/store/version.h"

enum tree_limits {
	TREE_NODE_SIZE = 1024,
	TREE_LEAF_MAX = 62,
	TREE_LEAF_MIN = 20,
	TREE_INNER_MAX = 41,
	TREE_INNER_MIN = 13,
	TREE_HEIGHT_MAX = 12,
	TREE_BOUND_SMALL = 32,
	TREE_BOUND_MEDIUM = 256,
};

struct tree {
	uint64_t root;
	uint32_t height; /* levels; 1: the root is a leaf */
	uint32_t reserved;
	uint64_t count; /* slots in all leaves */
};

struct tree_inner {
	uint64_t mark[TREE_INNER_MAX];
	uint64_t bound[TREE_INNER_MAX]; /* least key of the child; [0]: 0 */
	uint64_t child[TREE_INNER_MAX];
};

struct tree_leaf {
	uint64_t mark[TREE_LEAF_MAX];
	uint64_t item[TREE_LEAF_MAX];
};

struct tree_node {
	uint64_t next; /* leaf: the one to the right; free: the mapping's */
	uint64_t word;
	uint16_t count;
	uint16_t level; /* 0: a leaf */
	uint16_t prefix; /* bytes that all keys below have in common */
	uint16_t reserved0;
	uint64_t reserved1;
	union {
		uint64_t mark[TREE_LEAF_MAX];
		struct tree_inner inner;
		struct tree_leaf leaf;
	};
};

_Static_assert(sizeof(struct tree_node) <= TREE_NODE_SIZE, "node");
_Static_assert(offsetof(struct tree_node, word) == 8, "node");

/* A bound, in a block of its own. */
struct tree_bound {
	uint32_t size;
	uint8_t bytes[];
};

/* How a key is reached: nodes from the leaf (level 0) up to the root. */
struct tree_path {
	uint64_t node[TREE_HEIGHT_MAX];
	uint16_t index[TREE_HEIGHT_MAX];
	bool found;
};

/* A place between two keys, for walking to the right. */
struct tree_cursor {
	uint64_t leaf; /* 0: at the end */
	uint32_t index;
};

void tree_init(struct mapping *map, struct tree *tree);

/* The item of a key, or 0. */
uint64_t tree_find(const struct mapping *map, const struct tree *tree,
		   struct key key);

/* The same, and the path to it, or to where it would be. */
uint64_t tree_locate(const struct mapping *map, const struct tree *tree,
		     struct key key, struct tree_path *ret_path);

/* Another item at the place that was found. */
void tree_replace(struct mapping *map, const struct tree_path *path,
		  uint64_t item);

/* A new item, its key in it, where it was not found; the path is used up. */
void tree_insert(struct mapping *map, struct tree *tree, uint64_t item,
		 struct tree_path *path);

/* Takes out what was found; the path is used up. */
void tree_remove(struct mapping *map, struct tree *tree,
		 struct tree_path *path);

/* Whether a path that found nothing leads behind the last key. */
bool tree_at_end(const struct mapping *map, const struct tree *tree,
		 const struct tree_path *path);

/* Bumps the version word of a key's leaf: what it led to is about to go. */
void tree_bump(struct mapping *map, const struct tree *tree, struct key key);

/*
 * Hints for what is about to be asked: brings a key's leaf into the cache and
 * returns it; then, the leaf being there, the version of the key in it.
 */
uint64_t tree_warm_leaf(const struct mapping *map, const struct tree *tree,
			struct key key);
void tree_warm_item(const struct mapping *map, uint64_t leaf, struct key key);

/* To the first key >= `key`, or > `key` with `after`. */
struct tree_cursor tree_seek(const struct mapping *map, const struct tree *tree,
			     struct key key, bool after);

/* The item at the cursor, or 0 at the end. */
uint64_t tree_item(const struct mapping *map, const struct tree_cursor *cursor);
void tree_next(const struct mapping *map, struct tree_cursor *cursor);

/* Another item of the same key at the cursor. */
void tree_replace_at(struct mapping *map, const struct tree_cursor *cursor,
		     uint64_t item);

/*
 * Checks order, marks, bounds, occupancy and links; 0, or a line that says
 * what is wrong. *ret_bytes: of the blocks of nodes and bounds.
 */
int tree_check(const struct mapping *map, const struct tree *tree,
	       uint64_t *ret_bytes, const char **ret_what)
	__attribute__((warn_unused_result));

/* Negative, 0 or positive as a is less than, equal to or greater than b. */
int key_compare(struct key a, struct key b) __attribute__((warn_unused_result));

/* ---- for the files of the tree alone ---- */

static inline struct tree_node *tree_node_at(struct mapping *map,
					     uint64_t offset)
{
	return mapping_at(map, offset);
}

static inline const struct tree_node *tree_node_see(const struct mapping *map,
						    uint64_t offset)
{
	return mapping_see(map, offset);
}

/*
 * The daemon is the only writer, and its stores reach others in order; the
 * barrier keeps the compiler from moving them.
 */
static inline void tree_open(struct tree_node *node)
{
	assert((node->word & 1) == 0);
	*(volatile uint64_t *)&node->word = node->word + 1;
	__asm__ volatile("" ::: "memory");
}

static inline void tree_close(struct tree_node *node)
{
	assert((node->word & 1) == 1);
	__asm__ volatile("" ::: "memory");
	*(volatile uint64_t *)&node->word = node->word + 1;
}

/* The key in a slot: a bound's, or a version's. */
struct key tree_key(const struct mapping *map, const struct tree_node *node,
		    uint32_t index);

/* The 8 bytes of a key behind a prefix that it has. */
uint64_t tree_mark(struct key key, uint32_t prefix);

/* How many bytes two keys have in common at their beginning. */
uint32_t tree_common(struct key a, struct key b);

/* The prefix of the child in slot `index` of the path's node at `level`. */
uint32_t tree_prefix(const struct mapping *map, const struct tree *tree,
		     const struct tree_path *path, uint32_t level,
		     uint32_t index);

/* Sets a node's prefix and all its marks. The node is open. */
void tree_rebuild(const struct mapping *map, struct tree_node *node,
		  uint32_t prefix);

/* The shortest string that is greater than `left`, not than `right`. */
uint64_t tree_bound_new(struct mapping *map, struct key left, struct key right);

#endif
