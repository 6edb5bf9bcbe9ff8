/* Grams looked for at eight places of a text at once, with instructions that newer processors of
   Intel have. */

#if defined(__GNUC__) && defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define HAS_EIGHT 1
#endif

/* Bytes that can be read behind a text in lower case, and where eight places begin. */
enum { EIGHT = 8, BEHIND = 16 };

/* Whether that is quicker here: with AVX2 where AVX-VNNI is. Processors before it fetch from eight
   addresses no faster than one after the other, by their build (AMD) or by what Intel did against
   Gather Data Sampling (INTEL-SA-00828). */
static int can_eight(void) {
#ifdef HAS_EIGHT
    uint32_t a, b, c, d, low, high;
    if (!__get_cpuid(0, &a, &b, &c, &d) || b != signature_INTEL_ebx || c != signature_INTEL_ecx)
        return 0;
    const uint32_t saves = 1u << 27, avx2 = 1u << 5, vnni = 1u << 4;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & saves)) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & avx2)) return 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & vnni;
#else
    return 0;
#endif
}

#ifdef HAS_EIGHT
/* A bit for each of the eight places from `at` on where a gram of this kind stands, or may. */
__attribute__((target("avx2"))) static inline uint32_t eight_at(const Grams *grams, const int kind,
                                                                const uint8_t *at) {
    const __m256i places = _mm256_setr_epi8(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6, /**/
                                            4, 5, 6, 7, 5, 6, 7, 8, 6, 7, 8, 9, 7, 8, 9, 10);
    const __m256i last = _mm256_set1_epi32(31);
    const __m128i bytes = _mm_loadu_si128((const __m128i *)at);
    __m256i gram = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), places);
    if (kind == SHORT) gram = _mm256_and_si256(gram, _mm256_set1_epi32(0xffff));
    if (kind == SINGLE) gram = _mm256_and_si256(gram, _mm256_set1_epi32(0xff));
    const __m256i mixed = _mm256_mullo_epi32(gram, _mm256_set1_epi32((int)GRAM_FACTOR));
    const __m256i slot = _mm256_srl_epi32(mixed, _mm_cvtsi32_si128((int)grams->shift));
    const __m256i word =
        _mm256_i32gather_epi32((const int *)grams->bits, _mm256_srli_epi32(slot, 5), 4);
    /* The slot's bit to the front. */
    const __m256i front =
        _mm256_sllv_epi32(word, _mm256_sub_epi32(last, _mm256_and_si256(slot, last)));
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(front));
}
#endif
