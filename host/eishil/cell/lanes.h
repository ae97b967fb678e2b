/* Complex numbers of LANES frequencies side by side. */
#include <stdint.h>

#define PARTS 2
#define PART_LANES 8
#define LANES (PARTS * PART_LANES)
#define FOR_PARTS for (int v = 0; v < PARTS; v++)

typedef double vector_t __attribute__((vector_size(PART_LANES * sizeof(double)))); /* of GCC and Clang */
typedef int64_t mask_t __attribute__((vector_size(PART_LANES * sizeof(int64_t))));
typedef struct {
    vector_t re;
    vector_t im;
} complex_t;

/* LANES frequencies in parts as wide as a register: one part's arithmetic goes on while the other waits for its own
 * results, and what is done once for an entry serves them both. */
typedef struct {
    complex_t part[PARTS];
} lanes_t;

typedef struct {
    vector_t part[PARTS];
} real_lanes_t;

static inline complex_t multiply(complex_t a, complex_t b)
{
    return (complex_t){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static inline void subtract_product(complex_t *c, const complex_t *a, const complex_t *b)
{
    c->re -= a->re * b->re - a->im * b->im;
    c->im -= a->re * b->im + a->im * b->re;
}

static inline void subtract_real_product(complex_t *c, double a, const complex_t *b)
{
    c->re -= a * b->re;
    c->im -= a * b->im;
}

static inline complex_t reciprocal(complex_t a)
{
    const vector_t scale = 1.0 / (a.re * a.re + a.im * a.im);
    return (complex_t){a.re * scale, -a.im * scale};
}

static inline vector_t magnitude(complex_t a)
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

/* Part by part: copied as a whole, by narrower moves, it could not be loaded again before it is in the cache. */
static inline void assign(complex_t *to, complex_t from)
{
    to->re = from.re;
    to->im = from.im;
}
