// Argument checks shared by the ABI's entry points. Each throws one sentence that names the argument.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "core/activation.h"
#include "core/block_formats.h"
#include "core/device.h"
#include "core/error.h"
#include "core/visible_keys.h"
#include "moe/moe.h"

// MOE_HELD in function definitions, as unnamed parameters.
#define MOE_HELD_IGNORED const void*, const void*, const void*, const void*

namespace moe {

inline const char* dtype_name(int32_t dtype) {
  switch (dtype) {
    case MOE_FLOAT32: return "float32";
    case MOE_BFLOAT16: return "bfloat16";
    case MOE_INT32: return "int32";
    case MOE_UINT8: return "uint8";
    case MOE_FLOAT64: return "float64";
    case MOE_INT8: return "int8";
    default: return in_blocks(dtype) ? block_format(dtype)->name : "unknown";
  }
}

// Bytes of an element; 0 for block formats.
constexpr int64_t dtype_bytes(int32_t dtype) {
  switch (dtype) {
    case MOE_FLOAT32:
    case MOE_INT32: return 4;
    case MOE_BFLOAT16: return 2;
    case MOE_UINT8:
    case MOE_INT8: return 1;
    case MOE_FLOAT64: return 8;
    default: return 0;
  }
}

// Elements of a row that are stored together, and their bytes.
constexpr BlockFormat block_of(int32_t dtype) {
  return in_blocks(dtype) ? *block_format(dtype) : BlockFormat{dtype, "", 1, dtype_bytes(dtype), 1, 0, 0};
}

// Bytes of a row of a row-major tensor, or of an element of a vector.
inline int64_t row_bytes(const moe_tensor& tensor) {
  int64_t elements = 1;
  for (int32_t i = 1; i < tensor.rank; ++i) elements *= tensor.shape[i];
  const BlockFormat block = block_of(tensor.dtype);
  return elements / block.elements * block.bytes;
}

// Rows of a row-major matrix, or elements of a vector, from `begin` on.
inline moe_tensor rows_of(const moe_tensor& matrix, int64_t begin, int64_t count) {
  moe_tensor block = matrix;
  block.data = static_cast<char*>(matrix.data) + begin * row_bytes(matrix);
  block.bytes = count * row_bytes(matrix);
  block.shape[0] = count;
  return block;
}

inline int64_t element_count(const moe_tensor& tensor) {
  int64_t count = 1;
  for (int32_t i = 0; i < tensor.rank; ++i) count *= tensor.shape[i];
  return count;
}

// Bytes of a checked row-major tensor.
inline int64_t tensor_bytes(const moe_tensor& tensor) {
  const BlockFormat block = block_of(tensor.dtype);
  return element_count(tensor) / block.elements * block.bytes;
}

bool same_shape(const moe_tensor& a, const moe_tensor& b);
// Text like "[3, 4]".
std::string shape_text(const int64_t* shape, int32_t rank);
inline std::string shape_text(const moe_tensor& tensor) { return shape_text(tensor.shape, tensor.rank); }

// A size in an expected shape: a number, or kAny.
inline constexpr int64_t kAny = -1;
enum DtypeSet { kFloat32Only, kFloating, kInt32Only, kUint8Only, kFloat64Only, kFloatingOrInt8 };

// Refuses a null or misaligned pointer.
template <typename Value>
Value& check_pointer(const char* name, Value* pointer) {
  if (pointer == nullptr) invalid(name, " is null");
  if (reinterpret_cast<uintptr_t>(pointer) % alignof(Value) != 0) {
    invalid(name, " is misaligned, expected a multiple of ", alignof(Value));
  }
  return *pointer;
}
// Also refuses a struct whose struct_size is not this library's.
template <typename Struct>
Struct& check_struct(const char* name, Struct* pointer) {
  check_pointer(name, pointer);
  if (pointer->struct_size != sizeof(Struct)) {
    invalid(name, " has struct_size ", pointer->struct_size, ", expected ", sizeof(Struct));
  }
  return *pointer;
}

// Refuses a descriptor that is null, has another struct_size, an unknown dtype, rank or layout, a size that overflows,
// too little memory, or misaligned data.
const moe_tensor& check_tensor(const char* name, const moe_tensor* tensor);
// Also refuses a tensor that is packed, has another dtype or rank, or another shape than expected (kAny: any size).
const moe_tensor& check_tensor(const char* name, const moe_tensor* tensor, DtypeSet dtypes,
                               std::initializer_list<int64_t> shape);
// Also accepts null.
const moe_tensor* check_optional(const char* name, const moe_tensor* tensor, DtypeSet dtypes,
                                 std::initializer_list<int64_t> shape);
// Refuses a tensor that is packed, or has another dtype or number of elements; any rank.
const moe_tensor& check_elements(const char* name, const moe_tensor* tensor, DtypeSet dtypes, int64_t count = kAny);
// A name, and a tensor or null.
using Named = std::pair<const char*, const moe_tensor*>;
// Refuses an output that shares memory with an input or another output. Otherwise a kernel could overwrite indices that
// were already checked.
void check_written(std::initializer_list<Named> written, std::initializer_list<Named> read);
// For kernels that may work in place: also accepts equal memory with the same dtype.
void check_written_or_same(Named written, Named read);
void check_same_dtype(const char* name_a, const moe_tensor& a, const char* name_b, const moe_tensor& b);
void check_flag(const char* name, int32_t value);
void check_finite(const char* name, double value);
// Refuses a soft cap that is negative or not finite; 0 means no cap.
void check_soft_cap(const char* name, float cap);
// Refuses a value outside 0 .. `last`.
void check_enum(const char* name, int32_t value, int32_t last);

// The next checks return copies, because the caller's memory may change.

// Refuses an unknown kind, MOE_CUSTOM_ACTIVATION if the device has none, and parameters that the kind does not take.
moe_activation_config check_activation(const moe_activation_config* activation, const Device& device);
// Null gives an epilogue that does nothing. The result's activation is never null and points to `activation`.
moe_epilogue check_epilogue(const moe_epilogue* epilogue, moe_activation_config& activation, const Device& device);

// Checks of values inside tensors by the host. Another thread may change a value at any time, so each is read once, and
// the CPU's kernels use the `copy` of the checked values.

// Refuses offsets that do not rise from 0 to at most `rows`.
void check_offset_values(const moe_tensor& offsets, int64_t rows, int32_t* copy = nullptr);
// Refuses an expert outside [-1, experts), a position outside its expert's rows, and two routes to one row. `starts`
// are checked offsets; `taken` is scratch memory of route_words(starts[experts]) words. `rows` receives each route's
// row starts[expert] + position, or -1.
void check_route_values(const moe_tensor& expert, const moe_tensor& position, const int32_t* starts, int64_t experts,
                        uint64_t* taken, int32_t* rows = nullptr);
// 64-bit words of a bit set over rows.
inline int64_t route_words(int64_t rows) { return rows / 64 + 1; }
// Refuses an int32 value outside [low, high).
void check_range_values(const char* name, const moe_tensor& values, int64_t low, int64_t high, int32_t* copy = nullptr);
// Positions that a slot of the cache has room for.
int64_t cache_capacity(const moe_cache_places& places);
// Refuses a row whose position is outside the cache, and a table entry outside [0, blocks) of a block that a row reads.
// The copies receive slots, positions, and these table entries.
void check_place_values(const moe_cache_places& places, VisibleKeys visible, int32_t* table, int32_t* slot,
                        int32_t* position);
// The row of keys [blocks * block, G, D] that stores row t of checked places.
inline int64_t cache_row(const moe_cache_places& checked, int64_t t) {
  const auto at = [&](const moe_tensor* values, int64_t i) -> int64_t {
    return static_cast<const int32_t*>(values->data)[i];
  };
  const int64_t block = checked.keys->shape[1], position = at(checked.position, t);
  const int64_t entry = at(checked.slot, t) * checked.table->shape[1] + position / block;
  return at(checked.table, entry) * block + position % block;
}
// Reads a value that another thread may write.
inline int32_t read_once(const int32_t* value) { return __atomic_load_n(value, __ATOMIC_RELAXED); }

}  // namespace moe

// Inside an ABI function: looks the stream up, locks it and calls its backend's kernel in a frame of its arena.
#define MOE_CALL(stream_handle, kernel, ...)                                              \
  do {                                                                                    \
    const std::shared_ptr<::moe::Stream> call_stream = ::moe::find_stream(stream_handle); \
    const std::lock_guard call_lock(call_stream->mutex());                                \
    const ::moe::Arena::Frame call_frame(call_stream->arena());                           \
    call_stream->device().kernels().kernel(*call_stream, __VA_ARGS__);                    \
  } while (false)
