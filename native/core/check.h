// Argument checks shared by the ABI's entry points. Each throws one sentence that names the argument.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "core/activation.h"
#include "core/device.h"
#include "core/error.h"
#include "moe/moe.h"

// MOE_HELD of a declaration, in its definition.
#define MOE_HELD_IGNORED const void*, const void*, const void*, const void*

namespace moe {

inline const char* dtype_name(int32_t dtype) {
  switch (dtype) {
    case MOE_FLOAT32: return "float32";
    case MOE_BFLOAT16: return "bfloat16";
    case MOE_INT32: return "int32";
    case MOE_UINT8: return "uint8";
    default: return "unknown";
  }
}

inline int64_t dtype_bytes(int32_t dtype) {
  switch (dtype) {
    case MOE_FLOAT32:
    case MOE_INT32: return 4;
    case MOE_BFLOAT16: return 2;
    case MOE_UINT8: return 1;
    default: return 0;
  }
}

// `count` rows of a row-major matrix, or elements of a vector, from `begin` on.
inline moe_tensor rows_of(const moe_tensor& matrix, int64_t begin, int64_t count) {
  moe_tensor block = matrix;
  const int64_t row_bytes = (matrix.rank == 2 ? matrix.shape[1] : 1) * dtype_bytes(matrix.dtype);
  block.data = static_cast<char*>(matrix.data) + begin * row_bytes;
  block.bytes = count * row_bytes;
  block.shape[0] = count;
  return block;
}

inline int64_t element_count(const moe_tensor& tensor) {
  int64_t count = 1;
  for (int32_t i = 0; i < tensor.rank; ++i) count *= tensor.shape[i];
  return count;
}

bool same_shape(const moe_tensor& a, const moe_tensor& b);
// "[3, 4]"
std::string shape_text(const int64_t* shape, int32_t rank);
inline std::string shape_text(const moe_tensor& tensor) { return shape_text(tensor.shape, tensor.rank); }

// A size in an expected shape: a number, or kAny.
inline constexpr int64_t kAny = -1;
enum DtypeSet { kFloat32Only, kFloating, kInt32Only, kUint8Only };

// Neither null nor misaligned.
template <typename Value>
Value& check_pointer(const char* name, Value* pointer) {
  if (pointer == nullptr) invalid(name, " is null");
  if (reinterpret_cast<uintptr_t>(pointer) % alignof(Value) != 0) {
    invalid(name, " is misaligned, expected a multiple of ", alignof(Value));
  }
  return *pointer;
}
// ... and of the size that this library knows the struct by.
template <typename Struct>
Struct& check_struct(const char* name, Struct* pointer) {
  check_pointer(name, pointer);
  if (pointer->struct_size != sizeof(Struct)) {
    invalid(name, " has struct_size ", pointer->struct_size, ", expected ", sizeof(Struct));
  }
  return *pointer;
}

// The descriptor is whole: not null, right struct size, known dtype, rank, layout, no overflow, enough memory, aligned.
const moe_tensor& check_tensor(const char* name, const moe_tensor* tensor);
// ... and row-major, of one of the dtypes, of this rank, each size equal unless kAny.
const moe_tensor& check_tensor(const char* name, const moe_tensor* tensor, DtypeSet dtypes,
                               std::initializer_list<int64_t> shape);
// ... or absent.
const moe_tensor* check_optional(const char* name, const moe_tensor* tensor, DtypeSet dtypes,
                                 std::initializer_list<int64_t> shape);
// ... of any rank, with `count` elements unless kAny.
const moe_tensor& check_elements(const char* name, const moe_tensor* tensor, DtypeSet dtypes, int64_t count = kAny);
// A tensor that may be null, and its name.
using Named = std::pair<const char*, const moe_tensor*>;
// Refuses memory that a tensor which is written shares with one that is read, or with another that is written. Above
// all with the indices a kernel reads while it writes: they were checked before.
void check_written(std::initializer_list<Named> written, std::initializer_list<Named> read);
// ... for a kernel that may work in place: unless both are the very same memory and dtype.
void check_written_or_same(Named written, Named read);
void check_same_dtype(const char* name_a, const moe_tensor& a, const char* name_b, const moe_tensor& b);
void check_flag(const char* name, int32_t value);
void check_finite(const char* name, float value);
// An enum's value from 0 to `last`.
void check_enum(const char* name, int32_t value, int32_t last);

// Structs of the ABI, as they were checked: copies, because their memory is the caller's.

// A kind that exists, MOE_CUSTOM_ACTIVATION only if the device has one, with parameters that it takes.
moe_activation_config check_activation(const moe_activation_config* activation, const Device& device);
// An epilogue, or one that does nothing if null. Its activation is never null: `activation` receives it.
moe_epilogue check_epilogue(const moe_epilogue* epilogue, moe_activation_config& activation, const Device& device);

// Checks of values inside tensors, read on the host. Each value is read once: another thread may change it at any time,
// so that a kernel of the host uses the `copy` of what was checked, of as many values.

// Offsets rise from 0 and stay within `rows`.
void check_offset_values(const moe_tensor& offsets, int64_t rows, int32_t* copy = nullptr);
// Every expert id is in [-1, experts), every row starts[expert] + position lies inside its group, and no other route
// has the same. `starts` are checked offsets, `taken` is scratch of route_words(the last of them) numbers. `rows`
// receives each route's row, or -1.
void check_route_values(const moe_tensor& expert, const moe_tensor& position, const int32_t* starts, int64_t experts,
                        uint64_t* taken, int32_t* rows = nullptr);
// Words with a bit for each row.
inline int64_t route_words(int64_t rows) { return rows / 64 + 1; }
// Every int32 value is in [low, high).
void check_range_values(const char* name, const moe_tensor& values, int64_t low, int64_t high, int32_t* copy = nullptr);
// A value of memory that another thread may write.
inline int32_t read_once(const int32_t* value) { return __atomic_load_n(value, __ATOMIC_RELAXED); }

}  // namespace moe

// Inside an ABI function: looks the stream up, locks it and calls its backend's kernel in a frame of its arena.
#define MOE_LAUNCH(stream_handle, kernel, ...)                                              \
  do {                                                                                      \
    const std::shared_ptr<::moe::Stream> launch_stream = ::moe::find_stream(stream_handle); \
    const std::lock_guard launch_lock(launch_stream->mutex());                              \
    const ::moe::Arena::Frame launch_frame(launch_stream->arena());                         \
    launch_stream->device().kernels().kernel(*launch_stream, __VA_ARGS__);                  \
  } while (false)
