/*
 * CRC-64/NVME, the checksum that S3 gives every object whose client sent none: one pass at memory speed.
 *
 *   x86-64 with PCLMULQDQ   four lanes of 16 bytes are folded over 64 bytes at a time; what is left of them are 16 bytes
 *                           with the same remainder, which the tables finish
 *   anything else           slice-by-8 tables
 */
#include "common.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Reflected: bit 63 - k is the coefficient of x^k. */
static const uint64_t POLYNOMIAL = 0x9a6c9329ac4bc9b5ull;
enum { STATE_BYTES = 8, LANE_BYTES = 16, FOLD_BYTES = 64 };

static uint64_t table[8][256];

static void fill_tables(void) {
  for (int byte = 0; byte < 256; byte++) {
    uint64_t crc = (uint64_t)byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
    table[0][byte] = crc;
  }
  for (int slice = 1; slice < 8; slice++) {
    for (int byte = 0; byte < 256; byte++) {
      uint64_t before = table[slice - 1][byte];
      table[slice][byte] = (before >> 8) ^ table[0][before & 0xff];
    }
  }
}

static uint64_t crc_by_tables(uint64_t crc, const uint8_t *data, size_t length) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  for (; length >= 8; data += 8, length -= 8) {
    uint64_t word;
    memcpy(&word, data, 8);
    crc ^= word;
    crc = table[7][crc & 0xff] ^ table[6][(crc >> 8) & 0xff] ^ table[5][(crc >> 16) & 0xff] ^
          table[4][(crc >> 24) & 0xff] ^ table[3][(crc >> 32) & 0xff] ^ table[2][(crc >> 40) & 0xff] ^
          table[1][(crc >> 48) & 0xff] ^ table[0][crc >> 56];
  }
#endif
  for (; length > 0; data++, length--) crc = (crc >> 8) ^ table[0][(crc ^ *data) & 0xff];
  return crc;
}

#if defined(__x86_64__)
/* x^(D+63) and x^(D-1) for folding over D bits: a carry-less product of reflected numbers has one factor x too much. */
static uint64_t over_512[2], over_128[2];

static uint64_t power_of_x(int exponent) {
  uint64_t value = 1ull << 63;
  for (int i = 0; i < exponent; i++) value = (value >> 1) ^ ((value & 1) != 0 ? POLYNOMIAL : 0);
  return value;
}

static void fill_powers(void) {
  over_512[0] = power_of_x(512 + 63);
  over_512[1] = power_of_x(512 - 1);
  over_128[0] = power_of_x(128 + 63);
  over_128[1] = power_of_x(128 - 1);
}

__attribute__((target("pclmul,sse2"))) static inline __m128i fold(__m128i lane, __m128i powers, __m128i next) {
  __m128i low = _mm_clmulepi64_si128(lane, powers, 0x00);
  __m128i high = _mm_clmulepi64_si128(lane, powers, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* length >= FOLD_BYTES */
__attribute__((target("pclmul,sse2"))) static uint64_t crc_by_folding(uint64_t crc, const uint8_t *data, size_t length) {
  const __m128i far = _mm_set_epi64x((long long)over_512[1], (long long)over_512[0]);
  const __m128i near = _mm_set_epi64x((long long)over_128[1], (long long)over_128[0]);
  const __m128i *in = (const __m128i *)data;
  __m128i lane[4];
  for (int i = 0; i < 4; i++) lane[i] = _mm_loadu_si128(in + i);
  lane[0] = _mm_xor_si128(lane[0], _mm_set_epi64x(0, (long long)crc));
  for (in += 4, length -= FOLD_BYTES; length >= FOLD_BYTES; in += 4, length -= FOLD_BYTES) {
    for (int i = 0; i < 4; i++) lane[i] = fold(lane[i], far, _mm_loadu_si128(in + i));
  }
  __m128i last = fold(lane[0], near, lane[1]);
  last = fold(last, near, lane[2]);
  last = fold(last, near, lane[3]);
  for (; length >= LANE_BYTES; in++, length -= LANE_BYTES) last = fold(last, near, _mm_loadu_si128(in));
  uint8_t rest[LANE_BYTES];
  _mm_storeu_si128((__m128i *)rest, last);
  return crc_by_tables(crc_by_tables(0, rest, LANE_BYTES), (const uint8_t *)in, length);
}
#endif

static uint64_t crc64(uint64_t crc, const uint8_t *data, size_t length) {
#if defined(__x86_64__)
  if (length >= FOLD_BYTES && __builtin_cpu_supports("pclmul")) return crc_by_folding(crc, data, length);
#endif
  return crc_by_tables(crc, data, length);
}

/* crc64nvme(state, data): carries on a CRC whose value, big-endian, is in the 8 bytes of `state`; zeros begin one. */
static napi_value js_crc64nvme(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  uint8_t *state, *data;
  size_t state_length, length;
  if (!arguments(env, info, 2, argv, NULL)) return NULL;
  TRY(env, napi_get_buffer_info(env, argv[0], (void **)&state, &state_length));
  TRY(env, napi_get_buffer_info(env, argv[1], (void **)&data, &length));
  if (state_length != STATE_BYTES) return throw_text(env, "the state of a CRC has 8 bytes");
  uint64_t crc = 0;
  for (int i = 0; i < STATE_BYTES; i++) crc = (crc << 8) | state[i];
  crc = ~crc64(~crc, data, length);
  for (int i = STATE_BYTES - 1; i >= 0; i--, crc >>= 8) state[i] = (uint8_t)crc;
  return NULL;
}

napi_value add_checksum_functions(napi_env env, napi_value exports) {
  fill_tables();
#if defined(__x86_64__)
  fill_powers();
#endif
  return add_method(env, exports, "crc64nvme", js_crc64nvme, NULL);
}
