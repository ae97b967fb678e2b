/* (j omega M - J) x = 0 but for the current's row, for many frequencies at once: one order, no pivoting.
 *
 * The pattern of L + U and every update of the elimination are known beforehand (schedule.py), so that the same
 * schedule runs over LANES frequencies side by side. States that no frequency has reached are eliminated before, in
 * real numbers and once. The current is the last state; x is driven by a unit of it. The caller judges each answer by its componentwise backward error (Oettli, Prager: Numerische Mathematik 6, 1964, 405). */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 8
#define REFINE_ABOVE 1e-12

typedef double vector_t __attribute__((vector_size(LANES * sizeof(double)))); /* of GCC and Clang */
typedef int64_t mask_t __attribute__((vector_size(LANES * sizeof(int64_t))));
typedef struct {
    vector_t re;
    vector_t im;
} lanes_t;

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

/* Places in the caller's memory. reaction is what the chains leave on the diagonal. */
typedef struct {
    lanes_t *front;
    lanes_t *upper; /* U beside its diagonal, at its entries' places */
    lanes_t *inverse; /* 1 / diagonal of U */
    lanes_t *reaction;
    lanes_t *x;
    lanes_t *r;
    lanes_t *link;
    double *real; /* entries of L + U as far as no frequency has reached them; 1 / diagonal of the first states */
    int32_t *same; /* whether a chain has the numbers of the one before it */
} work_t;

static inline lanes_t multiply(lanes_t a, lanes_t b)
{
    return (lanes_t){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static inline void subtract_product(lanes_t *c, const lanes_t *a, const lanes_t *b)
{
    c->re -= a->re * b->re - a->im * b->im;
    c->im -= a->re * b->im + a->im * b->re;
}

static inline void subtract_real_product(lanes_t *c, double a, const lanes_t *b)
{
    c->re -= a * b->re;
    c->im -= a * b->im;
}

static inline lanes_t reciprocal(lanes_t a)
{
    const vector_t scale = 1.0 / (a.re * a.re + a.im * a.im);
    return (lanes_t){a.re * scale, -a.im * scale};
}

static inline vector_t magnitude(lanes_t a)
{
    const mask_t without_sign = (mask_t){0} + INT64_MAX;
    return (vector_t)((mask_t)a.re & without_sign) + (vector_t)((mask_t)a.im & without_sign);
}

/* The larger one, lane by lane; what is not a number is larger than any. */
static inline vector_t larger(vector_t a, vector_t b)
{
    const mask_t first = ~(mask_t)(a <= b);
    return (vector_t)(((mask_t)a & first) | ((mask_t)b & ~first)) + (b - b);
}

/* What the chain leaves on its root's diagonal: the continued fraction d = diagonal - product / d(next inner link).
 * inverse <- 1 / d of each link. */
static lanes_t eliminate_chain(const static_lu_t *s, const int32_t *link, const double *mass, const double *jacobian,
                               vector_t omega, lanes_t *inverse)
{
    lanes_t reaction = {{0}, {0}};
    for (int32_t i = 0; i < s->links; i++, link += 3) {
        const lanes_t d = {-jacobian[link[0]] - reaction.re, mass[i] * omega - reaction.im};
        const double product = jacobian[link[1]] * jacobian[link[2]];
        inverse[i] = reciprocal(d);
        reaction = (lanes_t){product * inverse[i].re, product * inverse[i].im};
    }
    return reaction;
}

/* Backward error of a chain's rows where the root is 1; the root's own value scales both sides. x: links + 1. */
static vector_t chain_error(const static_lu_t *s, const int32_t *link, const double *mass, const double *jacobian,
                            vector_t omega, const lanes_t *inverse, lanes_t *x)
{
    vector_t worst = {0};
    x[s->links] = (lanes_t){(vector_t){0} + 1.0, {0}};
    for (int32_t i = s->links - 1; i >= 0; i--) {
        x[i] = multiply(inverse[i], x[i + 1]);
        x[i].re *= jacobian[link[3 * i + 1]];
        x[i].im *= jacobian[link[3 * i + 1]];
    }
    for (int32_t i = 0; i < s->links; i++) {
        const lanes_t diagonal = {(vector_t){0} - jacobian[link[3 * i]], mass[i] * omega};
        const double next = -jacobian[link[3 * i + 1]], before = i > 0 ? -jacobian[link[3 * i - 1]] : 0.0;
        const lanes_t *inner = &x[i > 0 ? i - 1 : 0];
        const lanes_t product = multiply(diagonal, x[i]);
        const lanes_t rest = {product.re + next * x[i + 1].re + before * inner->re,
                              product.im + next * x[i + 1].im + before * inner->im};
        const vector_t size = magnitude(diagonal) * magnitude(x[i]) + (next < 0.0 ? -next : next) * magnitude(x[i + 1]) +
                              (before < 0.0 ? -before : before) * magnitude(*inner) + 1e-300;
        worst = larger(magnitude(rest) / size, worst);
    }
    return worst;
}

/* Whether two chains have the same numbers: at rest all particles of an electrode do. */
static int same_chain(const static_lu_t *s, int32_t a, int32_t b, const double *jacobian)
{
    const int32_t *first = s->link + 3 * (int64_t)s->links * a, *second = s->link + 3 * (int64_t)s->links * b;
    int same = 1;
    for (int32_t i = 0; i < 3 * s->links; i++) {
        same &= jacobian[first[i]] == jacobian[second[i]];
    }
    const size_t bytes = (size_t)s->links * sizeof(double);
    return same && memcmp(s->link_mass + (int64_t)s->links * a, s->link_mass + (int64_t)s->links * b, bytes) == 0;
}

/* w->reaction <- what the chains leave on each diagonal; the largest backward error of their rows. */
static vector_t eliminate_chains(const static_lu_t *s, const double *jacobian, vector_t omega, const work_t *w)
{
    vector_t worst = {0};
    lanes_t reaction = {{0}, {0}};
    memset(w->reaction, 0, (size_t)s->n * sizeof *w->reaction);
    for (int32_t k = 0; k < s->chains; k++) {
        if (k == 0 || !w->same[k]) {
            const int32_t *link = s->link + 3 * (int64_t)s->links * k;
            const double *mass = s->link_mass + (int64_t)s->links * k;
            reaction = eliminate_chain(s, link, mass, jacobian, omega, w->link);
            worst = larger(chain_error(s, link, mass, jacobian, omega, w->link, w->link + s->links), worst);
        }
        w->reaction[s->root[k]].re += reaction.re;
        w->reaction[s->root[k]].im += reaction.im;
    }
    return worst;
}

/* w->real <- A's real part and, of the states that come first, L + U. */
static void eliminate_real(const static_lu_t *s, const double *jacobian, const work_t *w)
{
    const int32_t *target = s->real_target;
    for (int32_t p = 0; p < s->row[s->n]; p++) {
        w->real[p] = s->source[p] < 0 ? 0.0 : -jacobian[s->source[p]];
    }
    for (int32_t k = 0; k < s->real; k++) {
        const double inverse = 1.0 / w->real[s->diagonal[k]];
        w->real[s->diagonal[k]] = inverse;
        for (int32_t b = s->below[k]; b < s->below[k + 1]; b++) {
            const double factor = w->real[s->below_entry[b]] * inverse;
            w->real[s->below_entry[b]] = factor;
            for (int32_t q = s->diagonal[k] + 1; q < s->row[k + 1]; q++) {
                w->real[*target++] -= factor * w->real[q];
            }
        }
    }
}

/* A's diagonal in row i, after the chains. */
static inline lanes_t diagonal_entry(const static_lu_t *s, double real, vector_t omega, const lanes_t *reaction,
                                     int32_t i)
{
    return (lanes_t){real - reaction[i].re, s->mass[i] * omega - reaction[i].im};
}

/* The complex entries that are needed for state k and for none before. */
static void enter_front(const static_lu_t *s, vector_t omega, const work_t *w, int32_t k)
{
    for (int32_t f = s->fresh[k]; f < s->fresh[k + 1]; f++) {
        const int32_t p = s->fresh_entry[f];
        w->front[s->slot[p]] = (lanes_t){(vector_t){0} + w->real[p], {0}};
    }
    for (int32_t f = s->fresh_diagonal[k]; f < s->fresh_diagonal[k + 1]; f++) {
        const int32_t i = s->fresh_row[f], p = s->diagonal[i];
        w->front[s->slot[p]] = diagonal_entry(s, w->real[p], omega, w->reaction, i);
    }
}

/* w->upper and w->inverse <- U of the rows above the current's; r, where it is not NULL, <- L^-1 r. */
static void eliminate(const static_lu_t *s, vector_t omega, const work_t *w, lanes_t *r)
{
    const int32_t *target = s->target_slot;
    for (int32_t b = 0, k = 0; r != NULL && k < s->real; k++) {
        for (; b < s->below[k + 1]; b++) {
            subtract_real_product(&r[s->below_row[b]], w->real[s->below_entry[b]], &r[k]);
        }
    }
    for (int32_t k = s->real; k < s->n - 1; k++) {
        enter_front(s, omega, w, k);
        const int32_t first = s->diagonal[k] + 1, end = s->row[k + 1];
        for (int32_t q = first; q < end; q++) {
            w->upper[q] = w->front[s->slot[q]];
        }
        const lanes_t inverse = reciprocal(w->front[s->slot[first - 1]]);
        w->inverse[k] = inverse;
        for (int32_t b = s->below[k]; b < s->below[k + 1]; b++) {
            const lanes_t factor = multiply(w->front[s->slot[s->below_entry[b]]], inverse);
            for (int32_t q = first; q < end; q++) {
                subtract_product(&w->front[*target++], &factor, &w->upper[q]);
            }
            if (r != NULL) {
                subtract_product(&r[s->below_row[b]], &factor, &r[k]);
            }
        }
    }
}

/* x <- U^-1 x for the rows above the current's, whose value is given. */
static void substitute_backward(const static_lu_t *s, const work_t *w, lanes_t *x)
{
    for (int32_t i = s->n - 2; i >= s->real; i--) {
        for (int32_t p = s->diagonal[i] + 1; p < s->row[i + 1]; p++) {
            subtract_product(&x[i], &w->upper[p], &x[s->column[p]]);
        }
        x[i] = multiply(x[i], w->inverse[i]);
    }
    for (int32_t i = s->real - 1; i >= 0; i--) {
        for (int32_t p = s->diagonal[i] + 1; p < s->row[i + 1]; p++) {
            subtract_real_product(&x[i], w->real[p], &x[s->column[p]]);
        }
        x[i] = (lanes_t){x[i].re * w->real[s->diagonal[i]], x[i].im * w->real[s->diagonal[i]]};
    }
}

/* r <- -A x above the current's row, where it is 0; the largest |r_i| / (|A| |x|)_i of each lane. */
static vector_t residual(const static_lu_t *s, const double *jacobian, vector_t omega, const work_t *w)
{
    vector_t worst = {0};
    for (int32_t i = 0; i < s->n - 1; i++) {
        const int32_t source = s->source[s->diagonal[i]];
        const lanes_t diagonal = diagonal_entry(s, source < 0 ? 0.0 : -jacobian[source], omega, w->reaction, i);
        lanes_t rest = {{0}, {0}};
        subtract_product(&rest, &diagonal, &w->x[i]);
        vector_t size = magnitude(diagonal) * magnitude(w->x[i]) + 1e-300;
        for (int32_t p = s->beside[i]; p < s->beside[i + 1]; p++) {
            const double a = jacobian[s->beside_source[p]];
            const lanes_t *y = &w->x[s->beside_column[p]];
            rest.re += a * y->re;
            rest.im += a * y->im;
            size += (a < 0.0 ? -a : a) * magnitude(*y);
        }
        w->r[i] = rest;
        worst = larger(magnitude(rest) / size, worst);
    }
    w->r[s->n - 1] = (lanes_t){{0}, {0}};
    return worst;
}

static int exceeds(vector_t a, double limit)
{
    int any = 0;
    for (int k = 0; k < LANES; k++) {
        any |= !(a[k] <= limit);
    }
    return any;
}

/* Z = -V / I for LANES frequencies, with one step of iterative refinement where the first answer is not yet exact. */
static lanes_t solve(const static_lu_t *s, const double *jacobian, const double *voltage, vector_t omega,
                     const work_t *w, vector_t *error)
{
    const vector_t inner = eliminate_chains(s, jacobian, omega, w);
    memset(w->x, 0, (size_t)s->n * sizeof *w->x);
    w->x[s->n - 1].re += 1.0;
    eliminate(s, omega, w, NULL);
    substitute_backward(s, w, w->x);
    vector_t worst = residual(s, jacobian, omega, w);
    if (exceeds(worst, REFINE_ABOVE)) {
        eliminate(s, omega, w, w->r);
        substitute_backward(s, w, w->r);
        for (int32_t i = 0; i < s->n; i++) {
            w->x[i].re += w->r[i].re;
            w->x[i].im += w->r[i].im;
        }
        worst = residual(s, jacobian, omega, w);
    }
    *error = larger(worst, inner);
    lanes_t z = {{0}, {0}};
    for (int32_t i = 0; i < s->observed_states; i++) {
        z.re -= voltage[i] * w->x[s->observed[i]].re;
        z.im -= voltage[i] * w->x[s->observed[i]].im;
    }
    return z;
}

/* jacobian [samples][n_jacobian], voltage [samples][observed_states], omega [groups * LANES]; z_re, z_im, error
 * [samples][groups * LANES]. work, aligned like a vector_t, has room for the entries of L + U, 4 n, 2 links + 1 lanes_t
 * and the front, and after them for one double for each entry and one int32_t for each chain. */
void static_lu_impedance(const static_lu_t *s, int32_t samples, int32_t n_jacobian, const double *jacobian,
                         const double *voltage, int32_t groups, const double *omega, lanes_t *work, double *z_re,
                         double *z_im, double *error)
{
    lanes_t *vectors = work + s->row[s->n];
    const int64_t n = s->n;
    lanes_t *front = vectors + 4 * n + 2 * s->links + 1;
    double *real = (double *)(front + s->slots);
    const work_t w = {front, work, vectors, vectors + n, vectors + 2 * n, vectors + 3 * n, vectors + 4 * n,
                      real, (int32_t *)(real + s->row[n])};
    for (int32_t j = 0; j < samples; j++) {
        const double *values = jacobian + (int64_t)j * n_jacobian;
        for (int32_t k = 1; k < s->chains; k++) {
            w.same[k] = same_chain(s, k - 1, k, values);
        }
        eliminate_real(s, values, &w);
        for (int32_t g = 0; g < groups; g++) {
            const int64_t at = ((int64_t)j * groups + g) * LANES;
            vector_t frequency, worst;
            memcpy(&frequency, omega + g * LANES, sizeof frequency);
            const lanes_t z = solve(s, values, voltage + (int64_t)j * s->observed_states, frequency, &w, &worst);
            memcpy(z_re + at, &z.re, sizeof z.re);
            memcpy(z_im + at, &z.im, sizeof z.im);
            memcpy(error + at, &worst, sizeof worst);
        }
    }
}
