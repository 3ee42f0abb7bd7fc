/* Devices, streams and memory.
 *
 * Handles are numbers that carry a type tag and a generation: a closed handle, or a handle of another
 * type, is refused, never dereferenced. 0 is never a valid handle.
 *
 * Work is enqueued on a stream. On the CPU it runs at once, on the stream's own team of threads; a
 * stream is used by one thread at a time. Devices and memory calls are thread-safe. */
#ifndef MOE_DEVICE_H
#define MOE_DEVICE_H

#include "moe/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t moe_device;
typedef uint64_t moe_stream;

typedef struct moe_device_info {
  uint32_t struct_size;
  int32_t processors;        /* hardware threads, or streaming multiprocessors */
  int64_t memory_total;      /* bytes */
  int64_t memory_available;  /* bytes */
  int32_t native_bfloat16;   /* 1 when bfloat16 products run in hardware */
  int32_t vector_bytes;      /* width of one SIMD register, or of a warp's load */
  char name[96];             /* the processor or card */
  char target[32];           /* the instruction set in use, e.g. AVX2, AVX3_ZEN4, sm_90 */
} moe_device_info;

typedef struct moe_memory_usage {
  uint32_t struct_size;
  int32_t reserved;
  int64_t in_use; /* bytes handed out and not freed */
  int64_t cached; /* bytes kept for the next allocation of the same size */
  int64_t peak;   /* most bytes in use at once since the device was opened */
} moe_memory_usage;

/* Opens a device of backend `backend` ("cpu"; "cuda" where its library can be loaded). */
MOE_API moe_status moe_device_open(const char* backend, int32_t ordinal, moe_device* device);
/* Closes the device, its streams and its memory. Pointers from moe_memory_allocate become invalid. */
MOE_API moe_status moe_device_close(moe_device device);
MOE_API moe_status moe_device_describe(moe_device device, moe_device_info* info);

/* A stream with `threads` threads; 0 asks for one per processor. Results do not depend on it. */
MOE_API moe_status moe_stream_create(moe_device device, int32_t threads, moe_stream* stream);
MOE_API moe_status moe_stream_destroy(moe_stream stream);
MOE_API moe_status moe_stream_synchronize(moe_stream stream);

/* Device memory, aligned to 64 bytes, on huge pages where the system grants them, contents undefined.
 * Freed memory is kept for reuse until moe_memory_trim. `bytes` of 0 gives a valid, unique pointer. */
MOE_API moe_status moe_memory_allocate(moe_device device, int64_t bytes, void** memory);
MOE_API moe_status moe_memory_free(moe_device device, void* memory);
MOE_API moe_status moe_memory_trim(moe_device device);
MOE_API moe_status moe_memory_usage_get(moe_device device, moe_memory_usage* usage);
/* dst = src. Same dtype, same number of elements, row-major or both packed alike; may not overlap. */
MOE_API moe_status moe_memory_copy(moe_stream stream, const moe_tensor* src, const moe_tensor* dst);

#ifdef __cplusplus
}
#endif
#endif
