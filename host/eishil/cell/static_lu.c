/* (j omega M - J) x = b for many frequencies at once, with one elimination order and without pivoting.
 *
 * The pattern of L + U and every update of the elimination are known beforehand (schedule.py), so that the same
 * schedule runs over LANES frequencies side by side. Nothing is checked on the way; the caller judges each answer by
 * its componentwise backward error (Oettli, Prager: Numerische Mathematik 6, 1964, 405-409). */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 8

typedef double vector_t __attribute__((vector_size(LANES * sizeof(double)))); /* of GCC and Clang */
typedef struct {
    vector_t re;
    vector_t im;
} lanes_t;

/* Row i of L + U holds the entries row[i]..row[i+1]-1, columns ascending, its diagonal at diagonal[i]. source is the
 * entry's position in the Jacobian's values, or -1 for fill. target lists, in order of execution, the entry that each
 * update changes. Row and column numbers are those after ordering. */
typedef struct {
    int32_t n;
    int32_t current;
    const int32_t *row;
    const int32_t *column;
    const int32_t *diagonal;
    const int32_t *source;
    const int32_t *target;
    const double *mass;
} static_lu_t;

static inline lanes_t multiply(lanes_t a, lanes_t b)
{
    return (lanes_t){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static inline void subtract_product(lanes_t *c, const lanes_t *a, const lanes_t *b)
{
    c->re -= a->re * b->re - a->im * b->im;
    c->im -= a->re * b->im + a->im * b->re;
}

static inline lanes_t reciprocal(lanes_t a)
{
    const vector_t square = a.re * a.re + a.im * a.im;
    return (lanes_t){a.re / square, -a.im / square};
}

static inline vector_t magnitude(vector_t a)
{
    for (int k = 0; k < LANES; k++) {
        a[k] = fabs(a[k]);
    }
    return a;
}

/* Entry p of row i of A = j omega M - J. */
static inline lanes_t entry(const static_lu_t *s, const double *jacobian, vector_t omega, int32_t i, int32_t p)
{
    const double real = s->source[p] < 0 ? 0.0 : -jacobian[s->source[p]];
    const double mass = s->column[p] == i ? s->mass[i] : 0.0;
    return (lanes_t){(vector_t){0} + real, mass * omega};
}

/* lu <- L + U (L with a unit diagonal), inverse <- 1 / diagonal of U. */
static void factorise(const static_lu_t *s, const double *jacobian, vector_t omega, lanes_t *lu, lanes_t *inverse)
{
    const int32_t *target = s->target;
    for (int32_t i = 0; i < s->n; i++) {
        for (int32_t p = s->row[i]; p < s->row[i + 1]; p++) {
            lu[p] = entry(s, jacobian, omega, i, p);
        }
        for (int32_t p = s->row[i]; p < s->diagonal[i]; p++) {
            const int32_t pivot = s->column[p];
            const lanes_t factor = multiply(lu[p], inverse[pivot]);
            lu[p] = factor;
            for (int32_t q = s->diagonal[pivot] + 1; q < s->row[pivot + 1]; q++) {
                subtract_product(&lu[*target++], &factor, &lu[q]);
            }
        }
        inverse[i] = reciprocal(lu[s->diagonal[i]]);
    }
}

/* x <- (L U)^-1 x. */
static void substitute(const static_lu_t *s, const lanes_t *lu, const lanes_t *inverse, lanes_t *x)
{
    for (int32_t i = 0; i < s->n; i++) {
        for (int32_t p = s->row[i]; p < s->diagonal[i]; p++) {
            subtract_product(&x[i], &lu[p], &x[s->column[p]]);
        }
    }
    for (int32_t i = s->n - 1; i >= 0; i--) {
        for (int32_t p = s->diagonal[i] + 1; p < s->row[i + 1]; p++) {
            subtract_product(&x[i], &lu[p], &x[s->column[p]]);
        }
        x[i] = multiply(x[i], inverse[i]);
    }
}

/* r <- b - A x; the largest |r_i| / (|A| |x| + |b|)_i of each lane. b is -1 at the current, else 0. */
static vector_t residual(const static_lu_t *s, const double *jacobian, vector_t omega, const lanes_t *x, lanes_t *r)
{
    vector_t worst = {0};
    for (int32_t i = 0; i < s->n; i++) {
        const double b = i == s->current ? -1.0 : 0.0;
        lanes_t rest = {(vector_t){0} + b, {0}};
        vector_t size = (vector_t){0} + (b < 0.0 ? 1.0 : 1e-300);
        for (int32_t p = s->row[i]; p < s->row[i + 1]; p++) {
            const lanes_t a = entry(s, jacobian, omega, i, p);
            const lanes_t *y = &x[s->column[p]];
            subtract_product(&rest, &a, y);
            size += (magnitude(a.re) + magnitude(a.im)) * (magnitude(y->re) + magnitude(y->im));
        }
        r[i] = rest;
        const vector_t here = (magnitude(rest.re) + magnitude(rest.im)) / size;
        for (int k = 0; k < LANES; k++) {
            worst[k] = here[k] > worst[k] || isnan(here[k]) ? here[k] : worst[k];
        }
    }
    return worst;
}

/* Z = -V / I for LANES frequencies, with one step of iterative refinement. work: entries of L + U and 3 n more. */
static lanes_t solve(const static_lu_t *s, const double *jacobian, const double *voltage, vector_t omega, lanes_t *work,
                     vector_t *error)
{
    lanes_t *lu = work, *inverse = lu + s->row[s->n], *x = inverse + s->n, *r = x + s->n;
    memset(x, 0, (size_t)s->n * sizeof *x);
    x[s->current].re -= 1.0;
    factorise(s, jacobian, omega, lu, inverse);
    substitute(s, lu, inverse, x);
    residual(s, jacobian, omega, x, r);
    substitute(s, lu, inverse, r);
    lanes_t v = {{0}, {0}};
    for (int32_t i = 0; i < s->n; i++) {
        x[i].re += r[i].re;
        x[i].im += r[i].im;
        v.re -= voltage[i] * x[i].re;
        v.im -= voltage[i] * x[i].im;
    }
    *error = residual(s, jacobian, omega, x, r);
    return multiply(v, reciprocal(x[s->current]));
}

/* jacobian [samples][n_jacobian], voltage [samples][n] (ordered), omega [groups * LANES]; z_re, z_im, error
 * [samples][groups * LANES]; work: entries of L + U and 3 n more, aligned like a vector_t. */
void static_lu_impedance(const static_lu_t *s, int32_t samples, int32_t n_jacobian, const double *jacobian,
                         const double *voltage, int32_t groups, const double *omega, lanes_t *work, double *z_re,
                         double *z_im, double *error)
{
    for (int32_t j = 0; j < samples; j++) {
        for (int32_t g = 0; g < groups; g++) {
            const int64_t at = ((int64_t)j * groups + g) * LANES;
            vector_t w, worst;
            memcpy(&w, omega + g * LANES, sizeof w);
            const lanes_t z =
                solve(s, jacobian + (int64_t)j * n_jacobian, voltage + (int64_t)j * s->n, w, work, &worst);
            memcpy(z_re + at, &z.re, sizeof z.re);
            memcpy(z_im + at, &z.im, sizeof z.im);
            memcpy(error + at, &worst, sizeof worst);
        }
    }
}
