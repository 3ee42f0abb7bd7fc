/* Devices, streams and memory.
 *
 * Handles are numbers that carry a type tag and a generation: a closed handle, or one of another type, is refused and
 * never dereferenced. 0 is never a valid handle.
 *
 * Work is enqueued on a stream. On the CPU it runs at once, on the stream's own team of threads. On a CUDA device it
 * runs asynchronously in the GPU's memory, which the host reaches only by moe_memory_write, moe_memory_read and
 * moe_memory_zero.
 *
 * Any thread may call any function at any time. Calls on one stream run one after another, in an unspecified order.
 * What another thread closes or destroys lives until the calls that use it have returned. If another thread changes
 * values inside tensors during a call, its results are undefined or it is refused; on the CPU they never lead a kernel
 * outside its tensors. The caller keeps the memory itself until the call returns, or on a CUDA device until its work is
 * done, and does not change descriptors meanwhile. */
#ifndef MOE_DEVICE_H
#define MOE_DEVICE_H

#include "moe/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t moe_device;
typedef uint64_t moe_stream;
typedef uint64_t moe_graph;

typedef struct moe_device_info {
  uint32_t struct_size;
  int32_t processors;       /* hardware threads, or streaming multiprocessors */
  int64_t memory_total;     /* bytes */
  int64_t memory_available; /* bytes */
  int32_t native_bfloat16;  /* 1 when bfloat16 products run in hardware */
  int32_t vector_bytes;     /* width of one SIMD register, or of a warp's load */
  char name[96];            /* the processor or GPU */
  char target[32];          /* the instruction set in use, e.g. AVX2, AVX3_ZEN4, sm_90 */
  int32_t asynchronous;     /* 1: calls return before their work is done, tensors are in memory of
                             * moe_memory_allocate, the host reads and writes it by moe_memory_read, moe_memory_write
                             * and moe_memory_zero alone (its own access may end the process), and graphs can be made;
                             * 0: work has run when its call returns, on any memory of the process */
  int32_t reserved;
} moe_device_info;

typedef struct moe_memory_usage {
  uint32_t struct_size;
  int32_t reserved;
  int64_t in_use; /* bytes handed out and not freed, and the scratch memory of streams */
  int64_t cached; /* bytes kept for the next allocation of the same size */
  int64_t peak;   /* most bytes in use at once since the device was opened */
} moe_memory_usage;

/* Opens a device of backend `backend`: "cpu", or "cuda", whose library libpanamoe_cuda.so is next to this one (also
 * "simt", its emulation for tests). MOE_UNSUPPORTED says what is missing: the library, a driver or a GPU.
 * MOE_INVALID_ARGUMENT if there is no GPU `ordinal`, or an environment variable of the backend is malformed. */
MOE_API moe_status moe_device_open(const char* backend, int32_t ordinal, moe_device* device);
/* Closes the device, its streams, graphs and memory; what another thread's call uses is released when that call
 * returns. Pointers from moe_memory_allocate become invalid. */
MOE_API moe_status moe_device_close(moe_device device);
MOE_API moe_status moe_device_describe(moe_device device, moe_device_info* info);

/* Creates a stream with `threads` threads, 0 to 1024 or MOE_INVALID_ARGUMENT; 0 means one per processor. Results do not
 * depend on the number, nor on how many threads the system grants. MOE_OUT_OF_MEMORY if the GPU has no room for a
 * stream. */
MOE_API moe_status moe_stream_create(moe_device device, int32_t threads, moe_stream* stream);
/* Work already given to the stream still completes. Its graphs can no longer be launched. */
MOE_API moe_status moe_stream_destroy(moe_stream stream);
/* Waits until all work given to the stream is done. MOE_INVALID_ARGUMENT if an earlier call on it got an invalid value
 * inside a tensor, and between moe_graph_begin and moe_graph_end. */
MOE_API moe_status moe_stream_synchronize(moe_stream stream);
/* Sets `finished` to 1 if all work given to the stream is done, else to 0; to 0 also while a graph is captured, or
 * while another thread makes a call on the stream or waits for it. Never blocks; any thread may ask. */
MOE_API moe_status moe_stream_query(moe_stream stream, int32_t* finished);
/* Returns a mark of the stream: all work that it has been given so far. MOE_INVALID_ARGUMENT between moe_graph_begin
 * and moe_graph_end. */
MOE_API moe_status moe_stream_mark(moe_stream stream, int64_t* mark);
/* Later work of `stream` starts only when `other`, a stream of the same device, has done its work up to the mark. The
 * host does not wait. Does nothing if moe_device_info.asynchronous is 0. MOE_INVALID_ARGUMENT for a stream of another
 * device, a mark that is not `other`'s, and while either stream captures a graph. */
MOE_API moe_status moe_stream_wait(moe_stream stream, moe_stream other, int64_t mark);
/* Returns the cudaStream_t for other libraries, such as NCCL; it lives as long as `stream`. Makes the stream's GPU
 * current for the calling thread. MOE_UNSUPPORTED if moe_device_info.asynchronous is 0. */
MOE_API moe_status moe_stream_native(moe_stream stream, void** handle);

/* Allocates device memory, aligned to 64 bytes, on huge pages where the system grants them, with undefined contents.
 * Freed memory is kept for reuse until moe_memory_trim. 0 `bytes` give a valid, unique pointer; a negative number is
 * MOE_INVALID_ARGUMENT. MOE_OUT_OF_MEMORY if the device, or the limit set for it, has no more. The limit of a GPU is
 * PANAMOE_CUDA_MEMORY_LIMIT, or else the memory that was free when the device was opened, less 5 % of the GPU's memory.
 * With PANAMOE_CUDA_MANAGED=1 it is managed memory, which may exceed the GPU's memory under a higher limit, and which
 * the host can access once the work of all streams is done. */
MOE_API moe_status moe_memory_allocate(moe_device device, int64_t bytes, void** memory);
/* MOE_INVALID_ARGUMENT for null, and for every pointer that is not a live one from this device's moe_memory_allocate.
 * Never blocks: work given to streams, or a call of another thread, may still use the memory, and the next allocation
 * may get it at once; no check finds that. So the next owner uses it on the same stream, whose work is ordered, or
 * waits first. */
MOE_API moe_status moe_memory_free(moe_device device, void* memory);
/* Returns memory kept for reuse to the system, once the work that uses it is done. */
MOE_API moe_status moe_memory_trim(moe_device device);
MOE_API moe_status moe_memory_usage_get(moe_device device, moe_memory_usage* usage);
/* dst = src. Both row-major with one dtype and number of elements, or both packed with one dtype and shape. They may
 * not overlap. */
MOE_API moe_status moe_memory_copy(moe_stream stream, const moe_tensor* src, const moe_tensor* dst, MOE_HELD);

/* The next three calls move bytes between host and device, on every device. `host` is memory that the host can access,
 * `memory` is device memory of the stream's device, from any byte on. MOE_INVALID_ARGUMENT for negative `bytes`, a null
 * pointer unless `bytes` is 0, and for overlapping host and memory. */

/* memory = host, after the earlier work of the stream. Does not wait for that work, except for earlier writes that
 * still fill the stream's staging memory (some hundred KiB). `host` may change once the call has returned.
 * MOE_INVALID_ARGUMENT between moe_graph_begin and moe_graph_end: write before the launch. */
MOE_API moe_status moe_memory_write(moe_stream stream, const void* host, int64_t bytes, void* memory);
/* host = memory, after the earlier work of the stream, for which it waits like moe_stream_synchronize: even for 0
 * bytes. Refused for the reasons that moe_stream_synchronize names, with `host` untouched. */
MOE_API moe_status moe_memory_read(moe_stream stream, const void* memory, int64_t bytes, void* host);
/* Sets all bytes to 0, after the earlier work of the stream. Never blocks; a graph can capture it. */
MOE_API moe_status moe_memory_zero(moe_stream stream, void* memory, int64_t bytes);

/* A graph: a sequence of calls on one stream that is launched as one, without checks and without work of the host
 * between them. From begin to end the stream captures its calls instead of running them; they must have run before with
 * the same shapes, so that their scratch memory exists. A launch uses the memory of the tensors passed to the captured
 * calls, which must live as long as the graph is launched, and the stream's scratch memory, so a graph is refused on
 * another stream. MOE_UNSUPPORTED if moe_device_info.asynchronous is 0. MOE_INVALID_ARGUMENT for a graph begun twice,
 * ended without a begin, or launched on another stream; a launch reports invalid values inside tensors like a kernel
 * call. MOE_OUT_OF_MEMORY if the GPU has no room for the graph. An end with a null `graph` drops the captured calls:
 * nothing of them stays. */
MOE_API moe_status moe_graph_begin(moe_stream stream);
MOE_API moe_status moe_graph_end(moe_stream stream, moe_graph* graph);
MOE_API moe_status moe_graph_launch(moe_stream stream, moe_graph graph);
MOE_API moe_status moe_graph_destroy(moe_graph graph);

#ifdef __cplusplus
}
#endif
#endif
