/* The schedule of schedule.py, and the memory that its execution takes. */
#include <stdint.h>

#include "lanes.h"

/* Row i of L + U holds the entries row[i]..row[i+1]-1, columns ascending, its diagonal at diagonal[i]. source is the
 * entry's position in the Jacobian's values, or -1 for fill. Row and column numbers are those after ordering. Column k
 * holds the entries below_entry[below[k]]..below_entry[below[k+1]-1], in the rows below_row, under its diagonal.
 *
 * A complex entry that is not yet eliminated waits in the front, at its slot, which later ones use again: so all that is
 * changed stays in the nearest cache. It comes there when state k needs it, from fresh_entry[fresh[k]].., or as the
 * diagonal of row fresh_row[fresh_diagonal[k]]... target_slot lists, in order of execution, the slot that each update
 * changes, real_target the entry that each update changes of the states that are eliminated in real numbers.
 *
 * Only diagonals of A = j omega M - J are complex; what A has beside them is known row by row from beside (like row),
 * beside_column and beside_source.
 *
 * Chain k ends at the row root[k]. Its link i has three positions in the Jacobian's values: its diagonal, its row's
 * entry for the next link (or the root), and the next one's entry for it. */
typedef struct {
    int32_t n;
    int32_t real;
    int32_t slots;
    int32_t chains;
    int32_t links;
    int32_t observed_states;
    const int32_t *row;
    const int32_t *column;
    const int32_t *diagonal;
    const int32_t *source;
    const int32_t *below;
    const int32_t *below_entry;
    const int32_t *below_row;
    const int32_t *real_target;
    const int32_t *target_slot;
    const int32_t *fresh;
    const int32_t *fresh_entry;
    const int32_t *fresh_diagonal;
    const int32_t *fresh_row;
    const int32_t *slot;
    const double *mass;
    const int32_t *beside;
    const int32_t *beside_column;
    const int32_t *beside_source;
    const int32_t *root;
    const int32_t *link;
    const double *link_mass;
    const int32_t *observed;
} static_lu_t;

/* Places in the caller's memory, first those of LANES frequencies, then those of a sample. */
typedef struct {
    lanes_t *front;
    lanes_t *upper;    /* U beside its diagonal, at its entries' places */
    lanes_t *inverse;  /* 1 / diagonal of U */
    lanes_t *reaction; /* what chains leave on the diagonal; 0 but in their roots' rows */
    lanes_t *x;
    lanes_t *r;
    lanes_t *chain;
    double *real;     /* L + U as far as no frequency has reached it; 1 / diagonal of the states that come first */
    double *diagonal; /* of -J */
    double *beside;   /* what J has beside its diagonal */
    double *link;     /* what J has in chains */
    int32_t *same;    /* whether a chain has the numbers of the one before it */
} work_t;
