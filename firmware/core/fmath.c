#include "fmath.h"

extern uint32_t fmath_to_bits(float x);
extern float fmath_from_bits(uint32_t bits);
extern bool fmath_is_finite(real_t x);
extern bool fmath_has_logarithm(real_t x);
extern real_t fmath_sqrt(real_t x);
extern float fmath_round(float x);

#if !defined(REAL_IS_DOUBLE)

#define EXPONENT_BIAS 127
#define MANTISSA_BITS 23
#define MANTISSA_MASK 0x007FFFFFU
#define SIGN_BIT      0x80000000U

/* ln 2 in two parts: the high one has 9 trailing zero bits, so that its product with an exponent is exact. */
#define LN2_HIGH 0x1.62e400p-1f
#define LN2_LOW  0x1.7f7d1cp-20f
#define LOG2_E   0x1.715476p+0f

float fmath_log(float x)
{
    uint32_t bits = fmath_to_bits(x);
    if (!fmath_has_logarithm(x)) {
        return FMATH_NAN;
    }
    /* x = 2^k (1 + f) with 1 + f in sqrt(1/2)..sqrt(2): subtracting the bits of sqrt(1/2) carries into k. */
    const uint32_t sqrt_half = 0x3F3504F3U;
    uint32_t offset = bits - sqrt_half;
    int32_t exponent = (int32_t)offset >> MANTISSA_BITS;
    float k = (float)exponent;
    float f = fmath_from_bits((offset & MANTISSA_MASK) + sqrt_half) - 1.0f;

    /* ln(1 + f) = 2 atanh(s), s = f / (2 + f), written as f - f^2/2 + s (f^2/2 + R) to keep the leading term exact;
     * |s| < 0.172, and the first term left out of R is below 4e-9. */
    float s = f / (2.0f + f);
    float z = s * s;
    float series = z * (2.0f / 3.0f + z * (2.0f / 5.0f + z * (2.0f / 7.0f + z * (2.0f / 9.0f))));
    float half_square = 0.5f * f * f;
    return k * LN2_HIGH + (f - (half_square - (s * (half_square + series) + k * LN2_LOW)));
}

float fmath_exp(float x)
{
    const float lowest = -87.0f;
    const float highest = 88.0f;
    x = x > lowest ? x : lowest;
    x = x < highest ? x : highest;

    float k = fmath_round(x * LOG2_E);
    float high = x - k * LN2_HIGH; /* exact */
    float low = k * LN2_LOW;
    float r = high - low;

    /* Taylor to r^7: |r| < 0.347, and the first term left out is below 6e-9. */
    float tail = 1.0f / 120.0f + r * (1.0f / 720.0f + r * (1.0f / 5040.0f));
    tail = 0.5f + r * (1.0f / 6.0f + r * (1.0f / 24.0f + r * tail));
    float power = fmath_from_bits((uint32_t)((int32_t)k + EXPONENT_BIAS) << MANTISSA_BITS);
    /* high - low once more in place of r: what r lost by rounding would cost a quarter of a unit. */
    return (1.0f + (high + (r * r * tail - low))) * power;
}

float fmath_tanh(float x)
{
    float magnitude = fmath_from_bits(fmath_to_bits(x) & ~SIGN_BIT);
    float result;
    if (magnitude < 0.625f) {
        /* The fifth convergent of Lambert's continued fraction x / (1 + x^2 / (3 + x^2 / (5 + ...))). */
        float z = x * x;
        result = magnitude - magnitude * z * ((315.0f + 14.0f * z) / (945.0f + z * (420.0f + 15.0f * z)));
    } else {
        /* From 9.1 on this is exactly 1 in float32; the bound also keeps the exponential's argument in range. */
        float bounded = magnitude < 10.0f ? magnitude : 10.0f;
        result = 1.0f - 2.0f / (fmath_exp(2.0f * bounded) + 1.0f);
    }
    return fmath_from_bits(fmath_to_bits(result) | (fmath_to_bits(x) & SIGN_BIT));
}

#endif
