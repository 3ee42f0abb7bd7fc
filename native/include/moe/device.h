/* Devices, streams and memory.
 *
 * Handles are numbers that carry a type tag and a generation: a closed handle, or a handle of another
 * type, is refused, never dereferenced. 0 is never a valid handle.
 *
 * Work is enqueued on a stream. On the CPU it runs at once, on the stream's own team of threads. On a CUDA device it
 * runs behind the caller's back, on the card's memory, which the host reaches by moe_memory_write, moe_memory_read and
 * moe_memory_zero alone.
 *
 * Every function may be called by any thread at any time. Calls on one stream run one after another, in an unspecified
 * order. What another thread closes or destroys lives until the calls that use it have returned. Values inside
 * tensors that another thread changes during a call make its results undefined, or the call is refused; on the CPU they
 * never lead a kernel outside its tensors. Only the memory itself is the caller's care: it must stay until the call
 * returns, or on a CUDA device until its work is done; and descriptors may not change meanwhile. */
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
  char name[96];            /* the processor or card */
  char target[32];          /* the instruction set in use, e.g. AVX2, AVX3_ZEN4, sm_90 */
  int32_t asynchronous;     /* 1: calls return before their work is done, tensors lie in memory of
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

/* Opens a device of backend `backend`: "cpu", or "cuda", whose library libpanamoe_cuda.so lies beside this one
 * ("simt", its emulation for tests, likewise). MOE_UNSUPPORTED says what is missing: the library, a driver, a card.
 * MOE_INVALID_ARGUMENT where there is no card `ordinal`, or an environment variable of the backend has no meaning. */
MOE_API moe_status moe_device_open(const char* backend, int32_t ordinal, moe_device* device);
/* Closes the device, its streams, graphs and memory; what a call of another thread uses goes when that call returns.
 * Pointers from moe_memory_allocate become invalid. */
MOE_API moe_status moe_device_close(moe_device device);
MOE_API moe_status moe_device_describe(moe_device device, moe_device_info* info);

/* A stream with `threads` threads, 0 to 1024 or MOE_INVALID_ARGUMENT; 0 asks for one per processor. Results do not
 * depend on it, nor on how many of them the system grants. MOE_OUT_OF_MEMORY where a card has no room for one. */
MOE_API moe_status moe_stream_create(moe_device device, int32_t threads, moe_stream* stream);
/* The work given to the stream is still done. Its graphs can be launched no more. */
MOE_API moe_status moe_stream_destroy(moe_stream stream);
/* Waits until all work given to the stream is done. MOE_INVALID_ARGUMENT where an earlier call on it was given a value
 * inside a tensor that it cannot take, and between moe_graph_begin and moe_graph_end. */
MOE_API moe_status moe_stream_synchronize(moe_stream stream);
/* Whether all work given to the stream is done, 1 or 0; 0 as well while a graph is made, or while another thread makes
 * a call on the stream or waits for it. Waits for nothing; any thread may ask. */
MOE_API moe_status moe_stream_query(moe_stream stream, int32_t* finished);
/* A mark of the stream: all work that it has been given so far. MOE_INVALID_ARGUMENT between moe_graph_begin and
 * moe_graph_end. */
MOE_API moe_status moe_stream_mark(moe_stream stream, int64_t* mark);
/* Work that `stream` is given from now on begins when `other`, a stream of the same device, has done its work up to the
 * mark. The host does not wait. Does nothing where moe_device_info.asynchronous is 0. MOE_INVALID_ARGUMENT for a stream
 * of another device, a mark that `other` has not given, and while either stream makes a graph. */
MOE_API moe_status moe_stream_wait(moe_stream stream, moe_stream other, int64_t mark);
/* The stream as other libraries, such as NCCL, know it: a cudaStream_t, which lives as long as `stream`. Makes its card
 * the calling thread's. MOE_UNSUPPORTED where moe_device_info.asynchronous is 0: nobody else can use such a stream. */
MOE_API moe_status moe_stream_native(moe_stream stream, void** handle);

/* Device memory, aligned to 64 bytes, on huge pages where the system grants them, contents undefined.
 * Freed memory is kept for reuse until moe_memory_trim. `bytes` of 0 gives a valid, unique pointer; fewer are
 * MOE_INVALID_ARGUMENT. MOE_OUT_OF_MEMORY where the device, or the limit set for it, has no more. The limit of a card
 * is PANAMOE_CUDA_MEMORY_LIMIT, or else the memory that was free when the device was opened, less 5 % of the card's.
 * With PANAMOE_CUDA_MANAGED=1 a card's memory is managed memory, which with a higher limit may exceed the card's, and
 * which the host can access once the work of all streams is done. */
MOE_API moe_status moe_memory_allocate(moe_device device, int64_t bytes, void** memory);
/* MOE_INVALID_ARGUMENT for null, and for every pointer but those that this device's moe_memory_allocate gave and that
 * were not freed since. Waits for nothing: work given to streams, or a call of another thread, may still use the
 * memory, and the next allocation may get it at once; no check finds that. So whoever allocates next gives it to the
 * same stream, whose work comes in order, or waits before. */
MOE_API moe_status moe_memory_free(moe_device device, void* memory);
/* Gives memory kept for reuse back to the system, once the work that uses it is done. */
MOE_API moe_status moe_memory_trim(moe_device device);
MOE_API moe_status moe_memory_usage_get(moe_device device, moe_memory_usage* usage);
/* dst = src. Row-major with the same dtype and number of elements, or both packed with the same dtype and shape; may
 * not overlap. */
MOE_API moe_status moe_memory_copy(moe_stream stream, const moe_tensor* src, const moe_tensor* dst, MOE_HELD);

/* The next three move bytes between the host and the device, on every device. `host` is memory of the process that the
 * host can access, `memory` device memory of the stream's device, from any byte on. MOE_INVALID_ARGUMENT for negative
 * `bytes`, a null pointer unless `bytes` is 0, and for host and memory that overlap. */

/* memory = host, after the work given to the stream before. Does not wait for that work, except for earlier writes that
 * still fill the stream's staging memory (some hundred KiB); `host` may change once the call has returned.
 * MOE_INVALID_ARGUMENT between moe_graph_begin and moe_graph_end: write before the launch. */
MOE_API moe_status moe_memory_write(moe_stream stream, const void* host, int64_t bytes, void* memory);
/* host = memory, after the work given to the stream before, for which it waits as moe_stream_synchronize does: also for
 * 0 bytes, and refused for the same reasons, with `host` untouched. */
MOE_API moe_status moe_memory_read(moe_stream stream, const void* memory, int64_t bytes, void* host);
/* Sets all bytes to 0, after the work given to the stream before. Waits for nothing; a graph can record it. */
MOE_API moe_status moe_memory_zero(moe_stream stream, void* memory, int64_t bytes);

/* A graph: a row of calls on one stream that is launched as one, without checks and without work of the host between
 * them. From begin to end the stream keeps its calls instead of running them; they must have run before, with the same
 * shapes, so that their scratch memory is there. A launch uses the tensors' memory as it was given to the calls, which
 * must live as long as the graph is launched; and it uses the stream's scratch memory: on another stream than its own a
 * graph is refused. MOE_UNSUPPORTED where moe_device_info.asynchronous is 0. MOE_INVALID_ARGUMENT for a graph begun
 * twice, one ended that was not begun, and one launched on another stream; for a launch, as for a kernel call, also
 * where values inside the tensors are not as described. MOE_OUT_OF_MEMORY where a card has no room for the graph. */
MOE_API moe_status moe_graph_begin(moe_stream stream);
MOE_API moe_status moe_graph_end(moe_stream stream, moe_graph* graph);
MOE_API moe_status moe_graph_launch(moe_stream stream, moe_graph graph);
MOE_API moe_status moe_graph_destroy(moe_graph graph);

#ifdef __cplusplus
}
#endif
#endif
