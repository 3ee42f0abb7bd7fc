/* A program of C beside the native library: says which instruction set it uses, and checks a product of matrices. */
#include <gnu/libc-version.h>
#include <stdio.h>

#include "moe/moe.h"

enum { M = 5, N = 96, K = 64 };
static float a[M][K], b[K][N], c[M][N];

static moe_tensor matrix(float* data, int64_t rows, int64_t columns) {
  moe_tensor tensor = {sizeof(moe_tensor), MOE_FLOAT32, data, rows * columns * 4, 2, MOE_ROW_MAJOR, {rows, columns}};
  return tensor;
}

static int failed(const char* call) {
  char text[512];
  moe_last_error(text, sizeof(text));
  fprintf(stderr, "%s: %s\n", call, text);
  return 1;
}

int main(void) {
  moe_device device;
  moe_stream stream;
  moe_device_info info = {sizeof(info)};
  if (moe_abi_version() != MOE_ABI_VERSION) return failed("moe_abi_version");
  if (moe_device_open("cpu", 0, &device) != MOE_OK) return failed("moe_device_open");
  if (moe_device_describe(device, &info) != MOE_OK) return failed("moe_device_describe");
  if (moe_stream_create(device, 2, &stream) != MOE_OK) return failed("moe_stream_create");
  /* Small whole numbers: every sum is exact. */
  for (int k = 0; k < K; ++k) {
    for (int i = 0; i < M; ++i) a[i][k] = (float)((i + k) % 7 - 3);
    for (int j = 0; j < N; ++j) b[k][j] = (float)((k * j) % 5 - 2);
  }
  const moe_gemm_config config = {sizeof(config), 0, 0, 0};
  const moe_tensor left = matrix(a[0], M, K), right = matrix(b[0], K, N), product = matrix(c[0], M, N);
  if (moe_gemm(stream, &config, &left, &right, &product, NULL, NULL, NULL, NULL, NULL) != MOE_OK) {
    return failed("moe_gemm");
  }
  for (int i = 0; i < M; ++i) {
    for (int j = 0; j < N; ++j) {
      float sum = 0;
      for (int k = 0; k < K; ++k) sum += a[i][k] * b[k][j];
      if (c[i][j] != sum) {
        fprintf(stderr, "row %d, column %d is %g, not %g\n", i, j, c[i][j], sum);
        return 1;
      }
    }
  }
  printf("passed: glibc %s, %s, %s\n", gnu_get_libc_version(), info.name, info.target);
  return moe_device_close(device) != MOE_OK;
}
