/* (j omega M - J) x = 0 but for the current's row, for many frequencies at once: one order, no pivoting.
 *
 * The pattern of L + U and every update of the elimination are known beforehand (schedule.py), so that the same
 * schedule runs over LANES frequencies side by side. States that no frequency has reached are eliminated before, in
 * real numbers and once. The current is the last state; x is driven by a unit of it. The caller judges each answer by
 * its componentwise backward error (Oettli, Prager: Numerische Mathematik 6, 1964, 405). */
#include "static_lu.h"

#include <stddef.h>
#include <string.h>

#define REFINE_ABOVE 1e-12

/* *reaction <- what the chain leaves on its root's diagonal, the continued fraction d = diagonal - product / d(next
 * inner link); inverse <- 1 / d of each link. */
static void eliminate_chain(const static_lu_t *s, const double *link, const double *mass, const real_lanes_t *omega,
                            lanes_t *inverse, lanes_t *reaction)
{
    memset(reaction, 0, sizeof *reaction);
    lanes_t rest = *reaction;
    for (int32_t i = 0; i < s->links; i++, link += 3) {
        const double product = link[1] * link[2];
        FOR_PARTS {
            const complex_t d = {-link[0] - rest.part[v].re, mass[i] * omega->part[v] - rest.part[v].im};
            const complex_t inverted = reciprocal(d);
            assign(&inverse[i].part[v], inverted);
            assign(&rest.part[v], (complex_t){product * inverted.re, product * inverted.im});
        }
    }
    FOR_PARTS assign(&reaction->part[v], rest.part[v]);
}

/* Backward error of a chain's rows where the root is 1; the root's own value scales both sides. The chain's states take
 * the place of their inverses. */
static void chain_error(const static_lu_t *s, const double *link, const double *mass, const real_lanes_t *omega,
                        lanes_t *x, real_lanes_t *worst)
{
    FOR_PARTS assign(&x[s->links].part[v], (complex_t){(vector_t){0} + 1.0, {0}});
    for (int32_t i = s->links - 1; i >= 0; i--) {
        FOR_PARTS {
            const complex_t product = multiply(x[i].part[v], x[i + 1].part[v]);
            assign(&x[i].part[v], (complex_t){product.re * link[3 * i + 1], product.im * link[3 * i + 1]});
        }
    }
    for (int32_t i = 0; i < s->links; i++) {
        const double next = -link[3 * i + 1], before = i > 0 ? -link[3 * i - 1] : 0.0;
        FOR_PARTS {
            const complex_t own = x[i].part[v], outer = x[i + 1].part[v], inner = x[i > 0 ? i - 1 : 0].part[v];
            const complex_t diagonal = {(vector_t){0} - link[3 * i], mass[i] * omega->part[v]};
            const complex_t product = multiply(diagonal, own);
            const complex_t rest = {product.re + next * outer.re + before * inner.re,
                                    product.im + next * outer.im + before * inner.im};
            const vector_t size = magnitude(diagonal) * magnitude(own) + __builtin_fabs(next) * magnitude(outer) +
                                  __builtin_fabs(before) * magnitude(inner) + 1e-300;
            worst->part[v] = larger(magnitude(rest) / size, worst->part[v]);
        }
    }
}

/* w->reaction <- what the chains leave on each diagonal; *worst <- the largest backward error of their rows. At rest all
 * particles of an electrode have the same numbers. */
static void eliminate_chains(const static_lu_t *s, const real_lanes_t *omega, const work_t *w, real_lanes_t *worst)
{
    lanes_t reaction;
    memset(worst, 0, sizeof *worst);
    for (int32_t k = 0; k < s->chains; k++) {
        memset(&w->reaction[s->root[k]], 0, sizeof *w->reaction);
    }
    for (int32_t k = 0; k < s->chains; k++) {
        if (k == 0 || !w->same[k]) {
            const double *link = w->link + 3 * (int64_t)s->links * k, *mass = s->link_mass + (int64_t)s->links * k;
            eliminate_chain(s, link, mass, omega, w->chain, &reaction);
            chain_error(s, link, mass, omega, w->chain, worst);
        }
        FOR_PARTS {
            w->reaction[s->root[k]].part[v].re += reaction.part[v].re;
            w->reaction[s->root[k]].part[v].im += reaction.part[v].im;
        }
    }
}

/* What a sample's Jacobian tells before there is a frequency. */
static void take_sample(const static_lu_t *s, const double *jacobian, const work_t *w)
{
    const int32_t width = 3 * s->links;
    for (int32_t i = 0; i < s->chains * width; i++) {
        w->link[i] = jacobian[s->link[i]];
    }
    for (int32_t k = 1; k < s->chains; k++) {
        const double *link = w->link + (int64_t)width * k, *mass = s->link_mass + (int64_t)s->links * k;
        w->same[k] = memcmp(link - width, link, (size_t)width * sizeof *link) == 0 &&
                     memcmp(mass - s->links, mass, (size_t)s->links * sizeof *mass) == 0;
    }
    for (int32_t p = 0; p < s->row[s->n]; p++) {
        w->real[p] = s->source[p] < 0 ? 0.0 : -jacobian[s->source[p]];
    }
    for (int32_t i = 0; i < s->n; i++) {
        w->diagonal[i] = w->real[s->diagonal[i]];
    }
    for (int32_t b = 0; b < s->beside[s->n]; b++) {
        w->beside[b] = jacobian[s->beside_source[b]];
    }
}

/* w->real <- L + U of the states that come first, and what they leave. */
static void eliminate_real(const static_lu_t *s, const work_t *w)
{
    const int32_t *target = s->real_target;
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

/* The diagonal of row i after the chains, of which `real` is the real part before. */
static inline complex_t diagonal_entry(const static_lu_t *s, double real, vector_t omega, const complex_t *reaction,
                                       int32_t i)
{
    return (complex_t){real - reaction->re, s->mass[i] * omega - reaction->im};
}

/* The complex entries that are needed for state k and for none before. */
static inline void enter_front(const static_lu_t *s, const real_lanes_t *omega, const work_t *w, int32_t k)
{
    for (int32_t f = s->fresh[k]; f < s->fresh[k + 1]; f++) {
        const int32_t p = s->fresh_entry[f];
        lanes_t *to = &w->front[s->slot[p]];
        FOR_PARTS assign(&to->part[v], (complex_t){(vector_t){0} + w->real[p], {0}});
    }
    for (int32_t f = s->fresh_diagonal[k]; f < s->fresh_diagonal[k + 1]; f++) {
        const int32_t i = s->fresh_row[f], p = s->diagonal[i];
        lanes_t *to = &w->front[s->slot[p]];
        FOR_PARTS assign(&to->part[v], diagonal_entry(s, w->real[p], omega->part[v], &w->reaction[i].part[v], i));
    }
}

/* w->upper and w->inverse <- U of the rows above the current's; r, where it is not NULL, <- L^-1 r. */
static void eliminate(const static_lu_t *s, const real_lanes_t *omega, const work_t *w, lanes_t *r)
{
    const int32_t *target = s->target_slot;
    for (int32_t b = 0, k = 0; r != NULL && k < s->real; k++) {
        for (; b < s->below[k + 1]; b++) {
            FOR_PARTS subtract_real_product(&r[s->below_row[b]].part[v], w->real[s->below_entry[b]], &r[k].part[v]);
        }
    }
    for (int32_t k = s->real; k < s->n - 1; k++) {
        enter_front(s, omega, w, k);
        const int32_t first = s->diagonal[k] + 1, end = s->row[k + 1];
        for (int32_t q = first; q < end; q++) {
            FOR_PARTS assign(&w->upper[q].part[v], w->front[s->slot[q]].part[v]);
        }
        FOR_PARTS assign(&w->inverse[k].part[v], reciprocal(w->front[s->slot[first - 1]].part[v]));
        for (int32_t b = s->below[k]; b < s->below[k + 1]; b++) {
            const lanes_t *below = &w->front[s->slot[s->below_entry[b]]];
            complex_t factor[PARTS];
            FOR_PARTS assign(&factor[v], multiply(below->part[v], w->inverse[k].part[v]));
            for (int32_t q = first; q < end; q++) {
                lanes_t *changed = &w->front[*target++];
                FOR_PARTS subtract_product(&changed->part[v], &factor[v], &w->upper[q].part[v]);
            }
            if (r != NULL) {
                FOR_PARTS subtract_product(&r[s->below_row[b]].part[v], &factor[v], &r[k].part[v]);
            }
        }
    }
}

/* x <- U^-1 r for the rows above the current's, whose value is given; r NULL is 0. */
static void substitute_backward(const static_lu_t *s, const work_t *w, const lanes_t *r, lanes_t *x)
{
    for (int32_t i = s->n - 2; i >= 0; i--) {
        complex_t sum[PARTS];
        FOR_PARTS assign(&sum[v], r == NULL ? (complex_t){{0}, {0}} : r[i].part[v]);
        if (i >= s->real) {
            for (int32_t p = s->diagonal[i] + 1; p < s->row[i + 1]; p++) {
                FOR_PARTS subtract_product(&sum[v], &w->upper[p].part[v], &x[s->column[p]].part[v]);
            }
            FOR_PARTS assign(&x[i].part[v], multiply(sum[v], w->inverse[i].part[v]));
        } else {
            for (int32_t p = s->diagonal[i] + 1; p < s->row[i + 1]; p++) {
                FOR_PARTS subtract_real_product(&sum[v], w->real[p], &x[s->column[p]].part[v]);
            }
            const double inverse = w->real[s->diagonal[i]];
            FOR_PARTS assign(&x[i].part[v], (complex_t){sum[v].re * inverse, sum[v].im * inverse});
        }
    }
}

/* r <- -A x above the current's row, where it is 0; *worst <- the largest |r_i| / (|A| |x|)_i of each lane. */
static void residual(const static_lu_t *s, const real_lanes_t *omega, const work_t *w, real_lanes_t *worst)
{
    memset(worst, 0, sizeof *worst);
    for (int32_t i = 0; i < s->n - 1; i++) {
        complex_t rest[PARTS];
        vector_t size[PARTS];
        FOR_PARTS {
            const complex_t diagonal =
                diagonal_entry(s, w->diagonal[i], omega->part[v], &w->reaction[i].part[v], i);
            assign(&rest[v], (complex_t){{0}, {0}});
            subtract_product(&rest[v], &diagonal, &w->x[i].part[v]);
            size[v] = magnitude(diagonal) * magnitude(w->x[i].part[v]) + 1e-300;
        }
        for (int32_t p = s->beside[i]; p < s->beside[i + 1]; p++) {
            const double a = w->beside[p];
            const lanes_t *y = &w->x[s->beside_column[p]];
            FOR_PARTS {
                subtract_real_product(&rest[v], -a, &y->part[v]);
                size[v] += __builtin_fabs(a) * magnitude(y->part[v]);
            }
        }
        FOR_PARTS {
            assign(&w->r[i].part[v], rest[v]);
            worst->part[v] = larger(magnitude(rest[v]) / size[v], worst->part[v]);
        }
    }
    memset(&w->r[s->n - 1], 0, sizeof *w->r);
}

static int exceeds(const real_lanes_t *a, double limit)
{
    int any = 0;
    for (int k = 0; k < LANES; k++) {
        any |= !(a->part[k / PART_LANES][k % PART_LANES] <= limit);
    }
    return any;
}

/* x for LANES frequencies, with one step of iterative refinement where the first answer is not yet exact. */
static void solve(const static_lu_t *s, const real_lanes_t *omega, const work_t *w, real_lanes_t *error)
{
    real_lanes_t inner, worst;
    eliminate_chains(s, omega, w, &inner);
    eliminate(s, omega, w, NULL);
    FOR_PARTS assign(&w->x[s->n - 1].part[v], (complex_t){(vector_t){0} + 1.0, {0}});
    substitute_backward(s, w, NULL, w->x);
    residual(s, omega, w, &worst);
    if (exceeds(&worst, REFINE_ABOVE)) {
        eliminate(s, omega, w, w->r);
        substitute_backward(s, w, w->r, w->r);
        for (int32_t i = 0; i < s->n; i++) {
            FOR_PARTS {
                w->x[i].part[v].re += w->r[i].part[v].re;
                w->x[i].part[v].im += w->r[i].part[v].im;
            }
        }
        residual(s, omega, w, &worst);
    }
    FOR_PARTS error->part[v] = larger(worst.part[v], inner.part[v]);
}

/* jacobian [samples][n_jacobian], voltage [samples][observed_states], omega [groups * LANES]; z_re, z_im, error
 * [samples][groups * LANES]. lanes, aligned like a vector_t, has room for slots + row[n] + 4 n + links + 1 lanes_t;
 * numbers for row[n] + n + beside[n] + 3 chains links doubles; same for as many numbers as there are chains. */
void static_lu_impedance(const static_lu_t *s, int32_t samples, int32_t n_jacobian, const double *jacobian,
                         const double *voltage, int32_t groups, const double *omega, lanes_t *lanes, double *numbers,
                         int32_t *same, double *z_re, double *z_im, double *error)
{
    const int64_t n = s->n, entries = s->row[n];
    lanes_t *upper = lanes + s->slots, *vectors = upper + entries;
    const work_t w = {lanes, upper, vectors, vectors + n, vectors + 2 * n, vectors + 3 * n, vectors + 4 * n,
                      numbers, numbers + entries, numbers + entries + n, numbers + entries + n + s->beside[n], same};
    memset(w.reaction, 0, (size_t)n * sizeof *w.reaction);
    for (int32_t j = 0; j < samples; j++) {
        const double *observed = voltage + (int64_t)j * s->observed_states;
        take_sample(s, jacobian + (int64_t)j * n_jacobian, &w);
        eliminate_real(s, &w);
        for (int32_t g = 0; g < groups; g++) {
            const int64_t at = ((int64_t)j * groups + g) * LANES;
            real_lanes_t frequency, worst;
            memcpy(&frequency, omega + g * LANES, sizeof frequency);
            solve(s, &frequency, &w, &worst);
            memcpy(error + at, &worst, sizeof worst);
            FOR_PARTS {
                complex_t z = {{0}, {0}};
                for (int32_t i = 0; i < s->observed_states; i++) {
                    subtract_real_product(&z, observed[i], &w.x[s->observed[i]].part[v]);
                }
                memcpy(z_re + at + v * PART_LANES, &z.re, sizeof z.re);
                memcpy(z_im + at + v * PART_LANES, &z.im, sizeof z.im);
            }
        }
    }
}
