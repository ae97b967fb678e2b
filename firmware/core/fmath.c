#include "fmath.h"

extern uint32_t fmath_to_bits(float x);
extern float fmath_from_bits(uint32_t bits);
extern bool fmath_is_finite(real_t x);
extern bool fmath_has_logarithm(real_t x);
extern bool fmath_is_positive(real_t x);
extern real_t fmath_sqrt(real_t x);
extern int32_t fmath_round(float x);

#if !defined(REAL_IS_DOUBLE)

extern float fmath_log_near_one(float d);

/* Centres of 32 equal bins of the bits from 0x3F320000 on; the bin around 1 has its centre there, for ln x to be exact
 * where it is small. */
const fmath_log_bin_t fmath_log_bins[32] = {
    {0x1.68p-1f, 0x1.6c16c2p+0f, -0x1.68ac84p-2f}, {0x1.7p-1f, 0x1.642c86p+0f, -0x1.522aep-2f},
    {0x1.78p-1f, 0x1.5c9882p+0f, -0x1.3c2528p-2f}, {0x1.8p-1f, 0x1.555556p+0f, -0x1.269622p-2f},
    {0x1.88p-1f, 0x1.4e5e0ap+0f, -0x1.1178e8p-2f}, {0x1.9p-1f, 0x1.47ae14p+0f, -0x1.f991c6p-3f},
    {0x1.98p-1f, 0x1.414142p+0f, -0x1.d1038p-3f},  {0x1.ap-1f, 0x1.3b13b2p+0f, -0x1.a93ed4p-3f},
    {0x1.a8p-1f, 0x1.3521dp+0f, -0x1.823c16p-3f},  {0x1.bp-1f, 0x1.2f684cp+0f, -0x1.5bf406p-3f},
    {0x1.b8p-1f, 0x1.29e412p+0f, -0x1.365fccp-3f}, {0x1.cp-1f, 0x1.24924ap+0f, -0x1.1178e8p-3f},
    {0x1.c8p-1f, 0x1.1f7048p+0f, -0x1.da7276p-4f}, {0x1.dp-1f, 0x1.1a7b96p+0f, -0x1.9335e6p-4f},
    {0x1.d8p-1f, 0x1.15b1e6p+0f, -0x1.4d3116p-4f}, {0x1.ep-1f, 0x1.111112p+0f, -0x1.08598cp-4f},
    {0x1.e8p-1f, 0x1.0c9714p+0f, -0x1.894aa2p-5f}, {0x1.fp-1f, 0x1.08421p+0f, -0x1.0415d8p-5f},
    {0x1.f8p-1f, 0x1.041042p+0f, -0x1.020566p-6f}, {0x1p+0f, 0x1p+0f, 0x0p+0f},
    {0x1.08p+0f, 0x1.f07c2p-1f, 0x1.f829bp-6f},    {0x1.1p+0f, 0x1.e1e1e2p-1f, 0x1.f0a30cp-5f},
    {0x1.18p+0f, 0x1.d41d42p-1f, 0x1.6f0d28p-4f},  {0x1.2p+0f, 0x1.c71c72p-1f, 0x1.e27076p-4f},
    {0x1.28p+0f, 0x1.bacf92p-1f, 0x1.29553p-3f},   {0x1.3p+0f, 0x1.af286cp-1f, 0x1.5ff308p-3f},
    {0x1.38p+0f, 0x1.a41a42p-1f, 0x1.9525aap-3f},  {0x1.4p+0f, 0x1.99999ap-1f, 0x1.c8ff7cp-3f},
    {0x1.48p+0f, 0x1.8f9c18p-1f, 0x1.fb9186p-3f},  {0x1.5p+0f, 0x1.861862p-1f, 0x1.1675cap-2f},
    {0x1.58p+0f, 0x1.7d05f4p-1f, 0x1.2e8e2cp-2f},  {0x1.6p+0f, 0x1.745d18p-1f, 0x1.4618bcp-2f},
};

const fmath_exp_table_t fmath_exp_table = {
    {16.0f * 0x1.715476p+0f, 0x1.8p+23f, FMATH_LN2_HIGH / 16.0f, FMATH_LN2_LOW / 16.0f, 1.0f / 6.0f},
    {0x1p+0f, 0x1.0b5586p+0f, 0x1.172b84p+0f, 0x1.2387a6p+0f, 0x1.306fep+0f, 0x1.3dea64p+0f, 0x1.4bfdaep+0f,
     0x1.5ab07ep+0f, 0x1.6a09e6p+0f, 0x1.7a1148p+0f, 0x1.8ace54p+0f, 0x1.9c4918p+0f, 0x1.ae89fap+0f, 0x1.c199bep+0f,
     0x1.d5818ep+0f, 0x1.ea4afap+0f},
};

float fmath_log(float x)
{
    return fmath_has_logarithm(x) ? fmath_log_less(x, REAL(0)) : FMATH_NAN;
}

float fmath_exp(float x)
{
    return fmath_exp_inline(x);
}

float fmath_tanh(float x)
{
    float magnitude = fmath_from_bits(fmath_to_bits(x) & ~FMATH_SIGN_BIT);
    float result;
    if (magnitude < 0.625f) {
        /* The fifth convergent of Lambert's continued fraction x / (1 + x^2 / (3 + x^2 / (5 + ...))). */
        const float z = x * x;
        result = magnitude - magnitude * z * ((315.0f + 14.0f * z) / (945.0f + z * (420.0f + 15.0f * z)));
    } else {
        /* From 9.1 on this is exactly 1 in float32; the bound also keeps the exponential's argument in range. */
        const float bounded = magnitude < 10.0f ? magnitude : 10.0f;
        result = 1.0f - 2.0f / (fmath_exp(2.0f * bounded) + 1.0f);
    }
    return fmath_from_bits(fmath_to_bits(result) | (fmath_to_bits(x) & FMATH_SIGN_BIT));
}

#endif

extern real_t fmath_exp_bound(real_t x);
