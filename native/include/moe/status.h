/* Status codes and the message of the last failure.
 *
 * Every function of the ABI returns a moe_status. Nothing throws across the ABI and nothing aborts the process: a bad
 * argument is refused with a sentence that names the argument, its value and what was expected. A refused call leaves
 * its outputs untouched. Where calls return before their work is done (moe_device_info.asynchronous), values inside
 * tensors are checked while the work runs: a bad value is never used as an index, the outputs are undefined, and a
 * later call on the stream reports it, at the latest moe_stream_synchronize.
 *
 * A function's comment names what it returns besides MOE_OK. These hold for many functions:
 *   takes a handle         MOE_INVALID_HANDLE if the handle is null, destroyed or of another type
 *   every function         MOE_INVALID_ARGUMENT if a required pointer is null or misaligned, or a struct has the wrong
 *                          struct_size; MOE_OUT_OF_MEMORY if the host has no memory left; MOE_INTERNAL
 *   uses a GPU             MOE_DEVICE_FAILED
 *   a kernel call          all of these; MOE_INVALID_ARGUMENT also for tensors, numbers and values inside tensors that
 *                          are not as described; MOE_OUT_OF_MEMORY also if the device has no scratch memory left.
 *                          A kernel call is a function that takes a stream and tensors. */
#ifndef MOE_STATUS_H
#define MOE_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOE_API __attribute__((visibility("default")))

/* Raised whenever a struct, an enum value or a signature of this ABI changes. */
#define MOE_ABI_VERSION 20

typedef enum moe_status {
  MOE_OK = 0,
  MOE_INVALID_ARGUMENT = 1, /* null pointer; bad size, dtype, shape or range */
  MOE_INVALID_HANDLE = 2,   /* closed, never opened, or of another type */
  MOE_UNSUPPORTED = 3,      /* a valid request that this backend does not support */
  MOE_OUT_OF_MEMORY = 4,
  MOE_DEVICE_FAILED = 5, /* the device reported a failure; its streams are unusable */
  MOE_INTERNAL = 6       /* a bug in this library */
} moe_status;

/* The version the library was built with; callers compare it with their own MOE_ABI_VERSION. */
MOE_API int32_t moe_abi_version(void);

/* Copies the message of this thread's last failed call, NUL-terminated and cut to `capacity` bytes.
 * Returns the bytes needed for the whole message with its NUL (1 when there was no failure).
 * `buffer` may be null when `capacity` is 0. */
MOE_API int64_t moe_last_error(char* buffer, int64_t capacity);

#ifdef __cplusplus
}
#endif
#endif
