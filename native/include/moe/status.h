/* Status codes and the text of the last failure.
 *
 * Every function of the ABI returns a moe_status. Nothing throws across the ABI and nothing aborts
 * the process: a bad argument is refused with a sentence that names the argument, its value and what
 * was expected. Outputs are untouched when a call is refused; but where calls return before their work is done
 * (moe_device_info.asynchronous), values inside tensors are judged while the work runs: a bad one is never used as an
 * index, the outputs are undefined, and a later call on the stream, at the latest moe_stream_synchronize, reports it.
 *
 * A function's comment names what it returns besides MOE_OK. These hold for many functions:
 *   any that takes a handle    MOE_INVALID_HANDLE if the handle is null, destroyed or of another type
 *   any                        MOE_INVALID_ARGUMENT if a required pointer is null or misaligned, or a struct has the
 *                              wrong struct_size; MOE_OUT_OF_MEMORY if the host has none left; MOE_INTERNAL
 *   any that reaches a card    MOE_DEVICE_FAILED
 *   a kernel call              all of these; MOE_INVALID_ARGUMENT also for tensors, numbers and values inside tensors
 *                              that are not as described; MOE_OUT_OF_MEMORY also if the device has no scratch memory
 *                              left. A kernel call is a function that takes a stream and tensors. */
#ifndef MOE_STATUS_H
#define MOE_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOE_API __attribute__((visibility("default")))

/* Raised whenever a struct, an enum value or a signature of this ABI changes. */
#define MOE_ABI_VERSION 13

typedef enum moe_status {
  MOE_OK = 0,
  MOE_INVALID_ARGUMENT = 1, /* null pointer, bad size, dtype, shape, range */
  MOE_INVALID_HANDLE = 2,   /* closed, never opened, or a handle of another type */
  MOE_UNSUPPORTED = 3,      /* a legal request that this backend does not serve */
  MOE_OUT_OF_MEMORY = 4,
  MOE_DEVICE_FAILED = 5, /* the device itself reported a failure; its streams are dead */
  MOE_INTERNAL = 6       /* a defect of this library */
} moe_status;

/* The version the library was built with; a caller compares it with its own MOE_ABI_VERSION. */
MOE_API int32_t moe_abi_version(void);

/* Copies the message of this thread's last failed call, NUL-terminated and cut to `capacity` bytes.
 * Returns the bytes needed for the whole message with its NUL (1 when there was no failure).
 * `buffer` may be null when `capacity` is 0. */
MOE_API int64_t moe_last_error(char* buffer, int64_t capacity);

#ifdef __cplusplus
}
#endif
#endif
